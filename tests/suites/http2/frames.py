"""HTTP/2 frames and field blocks by the byte (RFC 9113 4.1, RFC 7541 6), the wrong ones as well.

A field block is written without a table and without compression, so that one can stand anywhere; what is about the table
says so by its name.
"""

import struct

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNKNOWN = 0x5A

END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)

ERRORS = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]
CANCEL = ERRORS.index("CANCEL")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LARGEST_WINDOW = 2**31 - 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", number, value) for number, value in pairs))


def ping(payload=b"whatever"):
    return frame(PING, 0, 0, payload)


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def goaway(last=0, code=0, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def window_update(stream, by):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", by))


def priority(stream, on=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", on, weight))


def data(stream, body=b"", flags=END_STREAM):
    return frame(DATA, flags, stream, body)


def integer(value, prefix_bits, first=0):
    """RFC 7541 5.1."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes(out + [value])


def text(value):
    return integer(len(value), 7) + value


def compressed(value):
    """A string in the code of RFC 7541 appendix B."""
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(value)
    return integer(len(coded), 7, 0x80) + coded


def field(name, value):
    """Literal without indexing (RFC 7541 6.2.2)."""
    return b"\0" + text(as_bytes(name)) + text(as_bytes(value))


def kept(name, value):
    """Literal with incremental indexing: the newest entry of the table, number 62 then (RFC 7541 6.2.1)."""
    return b"\x40" + text(as_bytes(name)) + text(as_bytes(value))


def secret(name, value):
    """Literal that is never indexed (RFC 7541 6.2.3)."""
    return b"\x10" + text(as_bytes(name)) + text(as_bytes(value))


def indexed(number):
    return integer(number, 7, 0x80)


def table_size(size):
    return integer(size, 5, 0x20)


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def block(*fields):
    """A field block from pairs, or from bytes that are one already."""
    return b"".join(one if isinstance(one, bytes) else field(*one) for one in fields)


METHOD, SCHEME, PATH, AUTHORITY = (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")


def request(method="GET", path="/", *more):
    """The fields of a request in good order, and more behind them."""
    return block((":method", method), SCHEME, (":path", path), AUTHORITY, *more)


def headers(stream, fields=None, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, request() if fields is None else fields)


def get(stream, path="/", *more):
    return headers(stream, request("GET", path, *more))


def post(stream, path="/echo", *more):
    """The start of a request with a body."""
    return headers(stream, request("POST", path, *more), END_HEADERS)
