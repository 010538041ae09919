"""Cases of the states and numbers of streams, of DATA, RST_STREAM and PUSH_PROMISE, and of flow control."""

from case import ANSWERED, GOES_ON, Case, connection_error, outcomes, stream_error
from frames import *

PROTOCOL = connection_error("PROTOCOL_ERROR")
SIZE = connection_error("FRAME_SIZE_ERROR")
CLOSED = stream_error("STREAM_CLOSED")
# A request that gets no answer, so that its stream stays half closed.
HELD = get(1, "/held")


def behind_the_answer(late):
    """Sends a frame when the stream has got its whole answer and is closed on both sides."""
    def plays(connection):
        connection.outcome(1)
        connection.send(late)
        return connection.verdict(0)
    return plays


def exactly(*wanted):
    """After each update, so much of the body comes and no more."""
    def plays(connection):
        received = 0
        for update, size in wanted:
            connection.send(update)
            target = received + size
            while received < target:
                frame_ = connection.until(lambda f: f.kind in (DATA, RST_STREAM, GOAWAY))
                if frame_ is None or frame_.kind != DATA:
                    return f"{frame_} after {received} bytes"
                received += len(frame_.payload)
            # Whatever would be sent too much is on its way before the answer to this.
            received += sum(len(f.payload) for f in connection.settle() if f.kind == DATA)
            if received != target:
                return f"{received} bytes instead of {target}"
        return "as much as allowed"
    return plays


def many_streams(connection):
    connection.send(b"".join(post(2 * at + 1) for at in range(257)))
    return connection.outcome(513)


AS_ALLOWED = outcomes("as much as allowed")
LARGE = get(1, "/large")

NUMBERS = [
    Case(f"{name} on the connection", section, sends, PROTOCOL, None)
    for name, section, sends in [
        ("DATA", "6.1", data(0, b"x")), ("HEADERS", "6.2", headers(0)), ("RST_STREAM", "6.4", reset(0)),
    ]
] + [
    Case("an even stream", "5.1.1", get(2), PROTOCOL, None),
    Case("a stream below another one", "5.1.1", get(5) + get(3), connection_error("PROTOCOL_ERROR", "STREAM_CLOSED"), None),
    Case("a stream a second time", "5.1.1", get(1), connection_error("PROTOCOL_ERROR", "STREAM_CLOSED") | CLOSED,
         plays=behind_the_answer(get(1))),
    Case("streams with gaps", "5.1.1", get(1) + get(7) + get(101), ANSWERED, 101),
    Case("one stream too many", "5.1.2", b"", stream_error("REFUSED_STREAM", "PROTOCOL_ERROR"), plays=many_streams),
]

STATES = [
    Case("DATA on an idle stream", "5.1", data(1, b"x"), PROTOCOL, None),
    Case("RST_STREAM on an idle stream", "5.1", reset(1), PROTOCOL, None),
    Case("WINDOW_UPDATE on an idle stream", "5.1", window_update(1, 1), PROTOCOL, None),
    Case("DATA behind the end of the request", "5.1", HELD + data(1, b"x"), CLOSED, 1),
    Case("HEADERS behind the end of the request", "5.1", HELD + headers(1, field("x-trailer", "a")), CLOSED, 1),
    Case("WINDOW_UPDATE behind the end of the request", "5.1", get(1) + window_update(1, 1), ANSWERED, 1),
    Case("RST_STREAM behind the end of the request", "5.1", HELD + reset(1), GOES_ON),
    Case("DATA behind a reset", "5.1", post(1) + reset(1) + data(1, b"x"), CLOSED | GOES_ON),
    Case("HEADERS behind a reset", "5.1", post(1) + reset(1) + headers(1, field("x-trailer", "a")), CLOSED | GOES_ON),
    Case("a second reset", "5.1", post(1) + reset(1) + reset(1), GOES_ON | CLOSED),
    Case("WINDOW_UPDATE behind a reset", "5.1", post(1) + reset(1) + window_update(1, 1), GOES_ON | CLOSED),
    Case("PRIORITY behind a reset", "5.1", post(1) + reset(1) + priority(1), GOES_ON),
    Case("DATA when all is over", "5.1", get(1), CLOSED | PROTOCOL | GOES_ON, plays=behind_the_answer(data(1, b"x"))),
    Case("HEADERS when all is over", "5.1", get(1), CLOSED | PROTOCOL, plays=behind_the_answer(headers(1, field("a", "b")))),
    Case("WINDOW_UPDATE when all is over", "5.1", get(1), GOES_ON, plays=behind_the_answer(window_update(1, 1))),
    Case("RST_STREAM when all is over", "5.1", get(1), GOES_ON, plays=behind_the_answer(reset(1))),
    Case("PRIORITY when all is over", "5.1", get(1), GOES_ON, plays=behind_the_answer(priority(1))),
    Case("DATA on a stream that was passed over", "5.1.1", get(5) + data(3, b"x"), connection_error("PROTOCOL_ERROR", "STREAM_CLOSED") | CLOSED, 3),
]

DATAS = [
    Case("DATA in several frames", "6.1", post(1) + data(1, b"one", 0) + data(1, b"two", 0) + data(1), ANSWERED, 1),
    Case("empty DATA", "6.1", post(1) + data(1, b"", 0) + data(1), ANSWERED, 1),
    Case("padded DATA", "6.1", post(1) + data(1, b"\x04body" + bytes(4), PADDED | END_STREAM), ANSWERED, 1),
    Case("DATA that are nothing but padding", "6.1", post(1) + data(1, b"\x04" + bytes(4), PADDED | END_STREAM), ANSWERED, 1),
    Case("DATA with padding of no length", "6.1", post(1) + data(1, b"\0body", PADDED | END_STREAM), ANSWERED, 1),
    Case("DATA with more padding than payload", "6.1", post(1) + data(1, b"\x09body" + bytes(4), PADDED | END_STREAM), PROTOCOL, None),
    Case("DATA with as much padding as payload", "6.1", post(1) + data(1, b"\x05body", PADDED | END_STREAM), PROTOCOL, None),
    Case("padded DATA without the length of the padding", "6.1", post(1) + data(1, b"", PADDED | END_STREAM),
         connection_error("PROTOCOL_ERROR", "FRAME_SIZE_ERROR"), None),
    Case("padded HEADERS", "6.2", headers(1, b"\x08" + request() + bytes(8), 0x0D), ANSWERED, 1),
    Case("HEADERS with more padding than payload", "6.2", headers(1, b"\xff" + request(), 0x0D), PROTOCOL, None),
    Case("padded HEADERS with a priority", "6.2", headers(1, b"\x02" + struct.pack(">IB", 0, 1) + request() + bytes(2), 0x2D), ANSWERED, 1),
    Case("padding that covers the priority", "6.2", headers(1, b"\x05" + bytes(5), 0x2D),
         connection_error("PROTOCOL_ERROR", "FRAME_SIZE_ERROR", "COMPRESSION_ERROR") | stream_error("PROTOCOL_ERROR"), 1),
]

RESETS = [
    Case("RST_STREAM with 3 bytes", "6.4", post(1) + frame(RST_STREAM, 0, 1, bytes(3)), SIZE, None),
    Case("RST_STREAM with 5 bytes", "6.4", post(1) + frame(RST_STREAM, 0, 1, bytes(5)), SIZE, None),
    Case("RST_STREAM with an unknown code", "7", post(1) + reset(1, 0xABCD), GOES_ON),
    Case("RST_STREAM within a body", "6.4", post(1) + data(1, b"x", 0) + reset(1), GOES_ON),
    Case("PUSH_PROMISE of a client", "8.4", post(1) + frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + request()), PROTOCOL, None),
    Case("PUSH_PROMISE on the connection", "6.6", frame(PUSH_PROMISE, END_HEADERS, 0, struct.pack(">I", 2) + request()), PROTOCOL, None),
]

FLOW = [
    Case("WINDOW_UPDATE of 0 on the connection", "6.9", window_update(0, 0), PROTOCOL, None),
    Case("WINDOW_UPDATE of 0 on a stream", "6.9", post(1) + window_update(1, 0), stream_error("PROTOCOL_ERROR"), 1),
    Case("WINDOW_UPDATE with 3 bytes", "6.9", frame(WINDOW_UPDATE, 0, 0, bytes(3)), SIZE, None),
    Case("WINDOW_UPDATE with 5 bytes", "6.9", frame(WINDOW_UPDATE, 0, 0, bytes(5)), SIZE, None),
    Case("the reserved bit of WINDOW_UPDATE", "6.9", window_update(0, 1 << 31 | 1), GOES_ON),
    Case("the window of the connection up to its most", "6.9.1", window_update(0, LARGEST_WINDOW - 65535), GOES_ON),
    Case("the window of the connection above its most", "6.9.1", window_update(0, LARGEST_WINDOW), connection_error("FLOW_CONTROL_ERROR"), None),
    Case("the window of a stream above its most", "6.9.1", post(1) + window_update(1, LARGEST_WINDOW), stream_error("FLOW_CONTROL_ERROR"), 1),
    Case("INITIAL_WINDOW_SIZE lifts a stream above its most", "6.9.2",
         post(1) + window_update(1, LARGEST_WINDOW - 65535) + settings((INITIAL_WINDOW_SIZE, 65536)), connection_error("FLOW_CONTROL_ERROR"), None),
    Case("no body without a window", "6.9.2", settings((INITIAL_WINDOW_SIZE, 0)) + LARGE, AS_ALLOWED,
         plays=exactly((b"", 0), (window_update(1, 10), 10), (window_update(1, 5), 5))),
    Case("one byte for a window of one", "6.9.1", settings((INITIAL_WINDOW_SIZE, 1)) + LARGE, AS_ALLOWED,
         plays=exactly((b"", 1), (window_update(1, 1), 1), (window_update(1, 7), 7))),
    Case("SETTINGS open the windows of open streams", "6.9.2", settings((INITIAL_WINDOW_SIZE, 0)) + LARGE, AS_ALLOWED,
         plays=exactly((b"", 0), (settings((INITIAL_WINDOW_SIZE, 30)), 30), (settings((INITIAL_WINDOW_SIZE, 50)), 20))),
    Case("a window below zero", "6.9.2", settings((INITIAL_WINDOW_SIZE, 100)) + LARGE, AS_ALLOWED,
         plays=exactly((b"", 100), (settings((INITIAL_WINDOW_SIZE, 40)), 0), (window_update(1, 60), 0), (window_update(1, 3), 3))),
    Case("the window of the connection holds", "6.9.1", settings((INITIAL_WINDOW_SIZE, LARGEST_WINDOW)) + LARGE, AS_ALLOWED,
         plays=exactly((b"", 65535), (window_update(1, 10), 0), (window_update(0, 1000), 1000))),
    Case("an answer without a body needs no window", "6.9", settings((INITIAL_WINDOW_SIZE, 0)) + get(1, "/204"), outcomes("answer 204"),
         plays=lambda connection: connection.outcome(1)),
]

CASES = NUMBERS + STATES + DATAS + RESETS + FLOW
