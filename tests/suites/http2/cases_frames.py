"""Cases of the connection, of frames by themselves, and of SETTINGS, PING, GOAWAY and CONTINUATION."""

from case import ANSWERED, GOES_ON, Case, connection_error, outcomes, stream_error
from frames import *

PROTOCOL = connection_error("PROTOCOL_ERROR")
SIZE = connection_error("FRAME_SIZE_ERROR")
FLOW = connection_error("FLOW_CONTROL_ERROR")
START = block(METHOD, SCHEME)
REST = block(PATH, AUTHORITY)


def first_frame(connection):
    received = connection.read()
    is_settings = received and (received.kind, received.flags) == (SETTINGS, 0)
    return "SETTINGS first" if is_settings else f"{received} first"


def acknowledged(times):
    def plays(connection):
        came = connection.settle()
        return f"{sum((f.kind, f.flags) == (SETTINGS, ACK) for f in came)} acknowledged of {times}"
    return plays


def ping_answers(connection):
    came = [f for f in connection.settle() if f.kind == PING]
    return " ".join(f"{f.payload.decode()}:{f.flags}:{f.stream}" for f in came)


def goaway_last_stream(connection):
    connection.outcome(5)
    connection.send(ping(b"short"))
    received = connection.until(lambda f: f.kind == GOAWAY)
    return f"last stream {struct.unpack('>I', received.payload[:4])[0]}" if received else "close"


def leaves_after_goaway(connection):
    outcome = connection.outcome(1)
    while connection.read() is not None:
        pass
    return f"{outcome}, then close"


PREFACES = [
    Case("the server's SETTINGS come first", "3.4", b"", outcomes("SETTINGS first"), plays=first_frame),
    Case("a request behind the preface, without a wait", "3.4", get(1), ANSWERED, 1),
    Case("a preface with a wrong end", "3.4", b"", PROTOCOL | outcomes("close"), None, b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n" + settings()),
    Case("PING before SETTINGS", "3.4", b"", PROTOCOL | outcomes("close"), None, PREFACE + ping()),
    Case("HEADERS before SETTINGS", "3.4", b"", PROTOCOL | outcomes("close"), None, PREFACE + get(1)),
    Case("an acknowledgement before SETTINGS", "3.4", b"", PROTOCOL | outcomes("close"), None, PREFACE + frame(SETTINGS, ACK, 0)),
]

FRAMES = [
    Case("an unknown frame on the connection", "4.1", frame(UNKNOWN, 0xFF, 0, b"?"), GOES_ON),
    Case("an unknown frame on an idle stream", "4.1", frame(UNKNOWN, 0, 9, b"?"), GOES_ON),
    Case("an unknown frame within a request", "4.1", post(1) + frame(UNKNOWN, 0, 1, b"?") + data(1), ANSWERED, 1),
    Case("an empty unknown frame", "4.1", frame(UNKNOWN, 0, 0), GOES_ON),
    Case("an unknown frame that is too long", "4.2", frame(UNKNOWN, 0, 0, bytes(16385)), SIZE | GOES_ON),
    Case("PING with unknown flags", "4.1", frame(PING, 0xFE, 0, bytes(8)), GOES_ON),
    Case("SETTINGS with unknown flags", "4.1", frame(SETTINGS, 0xFE, 0), GOES_ON),
    Case("HEADERS with unknown flags", "4.1", headers(1, None, END_STREAM | END_HEADERS | 0xD2), ANSWERED, 1),
    Case("DATA with unknown flags", "4.1", post(1) + data(1, b"x", 0xF7), ANSWERED, 1),
    Case("the reserved bit of HEADERS", "4.1", frame(HEADERS, END_STREAM | END_HEADERS, 1 | 1 << 31, request()), ANSWERED, 1),
    Case("the reserved bit of PING", "4.1", frame(PING, 0, 1 << 31, bytes(8)), GOES_ON),
    Case("DATA of the largest size", "4.2", post(1) + data(1, bytes(16384)), ANSWERED, 1),
    Case("DATA that is too long", "4.2", post(1) + data(1, bytes(16385)), stream_error("FRAME_SIZE_ERROR"), 1),
    Case("HEADERS that are too long", "4.2", headers(1, request() + field("x", "x" * 16400)), SIZE, None),
    Case("SETTINGS that are too long", "4.2", settings(*[(0x99, 1)] * 2731), SIZE, None),
    Case("CONTINUATION that is too long", "4.2",
         headers(1, request(), END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, field("x", "x" * 16400)), SIZE, None),
]

PRIORITIES = [
    Case("PRIORITY on an idle stream", "6.3", priority(7), GOES_ON),
    Case("PRIORITY on a stream that is over", "6.3", get(1) + priority(1, 3), ANSWERED, 1),
    Case("PRIORITY on the connection", "6.3", priority(0), PROTOCOL, None),
    Case("PRIORITY with 4 bytes", "6.3", get(1) + frame(PRIORITY, 0, 1, bytes(4)), stream_error("FRAME_SIZE_ERROR") | ANSWERED, 1),
    Case("PRIORITY with 6 bytes", "6.3", get(1) + frame(PRIORITY, 0, 1, bytes(6)), stream_error("FRAME_SIZE_ERROR") | ANSWERED, 1),
    Case("PRIORITY on itself", "5.3.2", priority(3, 3), GOES_ON | PROTOCOL),
    Case("HEADERS with a priority", "6.2", headers(1, struct.pack(">IB", 0, 200) + request(), 0x25), ANSWERED, 1),
    Case("HEADERS that depend exclusively on another stream", "6.2", headers(3, struct.pack(">IB", 1 << 31 | 1, 0) + request(), 0x25),
         ANSWERED, 3),
    Case("HEADERS that depend on themselves", "5.3.2", headers(1, struct.pack(">IB", 1, 0) + request(), 0x25),
         ANSWERED | stream_error("PROTOCOL_ERROR"), 1),
    Case("HEADERS too short for their priority", "6.2", headers(1, bytes(4), 0x25),
         connection_error("PROTOCOL_ERROR", "FRAME_SIZE_ERROR"), None),
]

SETTINGS_CASES = [
    Case("SETTINGS are acknowledged once each", "6.5.3", settings((4, 70000)) + settings() + settings((4, 65535)),
         outcomes("4 acknowledged of 4"), plays=acknowledged(4)),
    Case("SETTINGS on a stream", "6.5", frame(SETTINGS, 0, 1), PROTOCOL, None),
    Case("SETTINGS with 5 bytes", "6.5", frame(SETTINGS, 0, 0, bytes(5)), SIZE, None),
    Case("SETTINGS with 7 bytes", "6.5", frame(SETTINGS, 0, 0, bytes(7)), SIZE, None),
    Case("an acknowledgement with a payload", "6.5", frame(SETTINGS, ACK, 0, bytes(6)), SIZE, None),
    Case("an acknowledgement that nobody waits for", "6.5", b"".join([frame(SETTINGS, ACK, 0)] * 3), GOES_ON | PROTOCOL),
    Case("an unknown setting", "6.5.2", settings((0xFFFF, 0xFFFFFFFF)), GOES_ON),
    Case("setting 0", "6.5.2", settings((0, 7)), GOES_ON),
    Case("ENABLE_PUSH 0", "6.5.2", settings((ENABLE_PUSH, 0)), GOES_ON),
    Case("ENABLE_PUSH 1", "6.5.2", settings((ENABLE_PUSH, 1)), GOES_ON),
    Case("ENABLE_PUSH 2", "6.5.2", settings((ENABLE_PUSH, 2)), PROTOCOL, None),
    Case("INITIAL_WINDOW_SIZE at its most", "6.5.2", settings((INITIAL_WINDOW_SIZE, LARGEST_WINDOW)), GOES_ON),
    Case("INITIAL_WINDOW_SIZE above its most", "6.5.2", settings((INITIAL_WINDOW_SIZE, 1 << 31)), FLOW, None),
    Case("MAX_FRAME_SIZE below its least", "6.5.2", settings((MAX_FRAME_SIZE, 16383)), PROTOCOL, None),
    Case("MAX_FRAME_SIZE at its most", "6.5.2", settings((MAX_FRAME_SIZE, 16777215)), GOES_ON),
    Case("MAX_FRAME_SIZE above its most", "6.5.2", settings((MAX_FRAME_SIZE, 16777216)), PROTOCOL, None),
    Case("MAX_CONCURRENT_STREAMS 0 of a client", "6.5.2", settings((MAX_CONCURRENT_STREAMS, 0)), GOES_ON),
    Case("HEADER_TABLE_SIZE at its most", "6.5.2", settings((HEADER_TABLE_SIZE, 0xFFFFFFFF)), GOES_ON),
    Case("one setting twice: the last one counts", "6.5.3", settings((INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 65535)), GOES_ON),
    Case("settings of later RFCs", "6.5.2", settings((8, 1), (9, 1)), GOES_ON),
]

PINGS = [
    Case("PINGs are answered with what is in them", "6.7", ping(b"12345678") + ping(b"abcdefgh"),
         outcomes("12345678:1:0 abcdefgh:1:0"), plays=ping_answers),
    Case("an answer to no PING", "6.7", frame(PING, ACK, 0, b"12345678"), outcomes(""), plays=ping_answers),
    Case("PING on a stream", "6.7", frame(PING, 0, 1, bytes(8)), PROTOCOL, None),
    Case("PING with 7 bytes", "6.7", ping(bytes(7)), SIZE, None),
    Case("PING with 9 bytes", "6.7", ping(bytes(9)), SIZE, None),
    Case("an empty PING", "6.7", ping(b""), SIZE, None),
]

GOAWAYS = [
    Case("GOAWAY on a stream", "6.8", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL, None),
    Case("GOAWAY with 7 bytes", "6.8", frame(GOAWAY, 0, 0, bytes(7)), SIZE | PROTOCOL, None),
    Case("GOAWAY: what runs is answered", "6.8", get(1) + goaway(), outcomes("answer 200, then close"), plays=leaves_after_goaway),
    Case("GOAWAY with an unknown code and words", "7", get(1) + goaway(0, 0xABCD, b"words"),
         outcomes("answer 200, then close", "close, then close"), plays=leaves_after_goaway),
    Case("GOAWAY names the last stream that was served", "6.8", get(1) + get(3) + get(5), outcomes("last stream 5"),
         plays=goaway_last_stream),
]

CONTINUATIONS = [
    Case("a block in two frames", "6.10", headers(1, START, END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, REST), ANSWERED, 1),
    Case("a block in as many frames as it has bytes", "6.10",
         headers(1, request()[:1], END_STREAM) + b"".join(frame(CONTINUATION, 0, 1, bytes([b])) for b in request()[1:10])
         + frame(CONTINUATION, END_HEADERS, 1, request()[10:]), ANSWERED, 1),
    Case("a block that begins with an empty frame", "6.10", headers(1, b"", END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, request()),
         ANSWERED, 1),
    Case("a block that ends with an empty frame", "6.10", headers(1, request(), END_STREAM) + frame(CONTINUATION, END_HEADERS, 1),
         ANSWERED, 1),
    Case("CONTINUATION on the connection", "6.10", headers(1, START, END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, REST), PROTOCOL, None),
    Case("CONTINUATION on another stream", "6.10", headers(1, START, END_STREAM) + frame(CONTINUATION, END_HEADERS, 3, REST), PROTOCOL, None),
    Case("CONTINUATION behind no HEADERS", "6.10", frame(CONTINUATION, END_HEADERS, 1, request()), PROTOCOL, None),
    Case("CONTINUATION behind END_HEADERS", "6.10", get(1) + frame(CONTINUATION, END_HEADERS, 1, field("a", "b")), PROTOCOL, None),
    Case("CONTINUATION behind DATA", "6.10", post(1) + data(1, b"x", 0) + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL, None),
] + [
    Case(f"{what} within a block", "6.10", headers(1, START, END_STREAM) + between + frame(CONTINUATION, END_HEADERS, 1, REST), PROTOCOL, None)
    for what, between in [
        ("DATA", data(1, b"x")), ("HEADERS of another stream", get(3)), ("PRIORITY", priority(1)), ("RST_STREAM", reset(1)),
        ("SETTINGS", settings()), ("PING", ping()), ("GOAWAY", goaway()), ("WINDOW_UPDATE", window_update(0, 1)),
        ("an unknown frame", frame(UNKNOWN, 0, 0)),
    ]
]

CASES = PREFACES + FRAMES + PRIORITIES + SETTINGS_CASES + PINGS + GOAWAYS + CONTINUATIONS
