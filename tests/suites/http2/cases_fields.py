"""Cases of field blocks (RFC 7541), and of what a request has to look like (RFC 9113 8)."""

import json

from case import ANSWERED, GOES_ON, MALFORMED, Case, connection_error, outcomes, stream_error
from frames import *

# HTTP/1 has no such mark.
NEVER_INDEXED = outcomes("a, never: ['x-secret']", "a, never: []")
COMPRESSION = connection_error("COMPRESSION_ERROR")
PSEUDO = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a.example"}


def without(name):
    return headers(1, block(*[(one, value) for one, value in PSEUDO.items() if one != name]))


def with_(**changed):
    return headers(1, block(*({**PSEUDO, **{f":{name}": value for name, value in changed.items()}}).items()))


def doubled(name):
    return headers(1, block(*PSEUDO.items(), (name, PSEUDO[name])))


def told(look):
    """What the server behind the tap says that it got."""
    def plays(connection):
        outcome = connection.outcome(1)
        return look(json.loads(connection.answers[1].body)) if outcome == "answer 200" else outcome
    return plays


def values(name):
    return told(lambda seen: " | ".join(value for found, value in seen["fields"] if found == name))


def authority(seen):
    named = dict(seen["fields"])
    return named.get(":authority") or named["host"]


def answer_of(*parts):
    """Of the answer: its body's length, its trailers, the interim answers before it."""
    def plays(connection):
        outcome = connection.outcome(1)
        answer = connection.answers.get(1)
        shown = {"body": answer and len(answer.body), "trailers": answer and answer.trailers, "interim": connection.interim}
        return " ".join([outcome, *[f"{part}={shown[part]}" for part in parts]])
    return plays


def table_is_given_up(connection):
    """The tap's own encoder keeps to the table that it is told."""
    connection.decoder.max_allowed_table_size = 0
    first = connection.outcome(1)
    connection.send(get(3))
    return f"{first}, {connection.outcome(3)}"


REPRESENTATIONS = [
    Case("a field of the static table", "7541 6.1", headers(1, indexed(2) + indexed(6) + indexed(4) + block(AUTHORITY)), ANSWERED, 1),
    Case("a field of the dynamic table", "7541 6.1", headers(1, request() + kept("x-kept", "a")) + headers(3, request() + indexed(62)), ANSWERED, 3),
    Case("a name of the dynamic table", "7541 6.2.1",
         headers(1, request() + kept("x-kept", "a")) + headers(3, request() + integer(62, 6, 0x40) + text(b"b")), ANSWERED, 3),
    Case("compressed strings", "7541 5.2", headers(1, request() + b"\0" + compressed(b"x-name") + compressed(b"value")), ANSWERED, 1),
    Case("a field that must never be indexed", "7541 6.2.3", headers(1, request("GET", "/echo", secret("x-secret", "a"))), NEVER_INDEXED,
         plays=told(lambda seen: f"{dict(seen['fields'])['x-secret']}, never: {seen['never']}")),
    Case("an entry larger than the table empties it", "7541 4.4",
         headers(1, request() + kept("x-kept", "a") + kept("x-large", "l" * 5000)) + headers(3, request() + indexed(62)), COMPRESSION, None),
    Case("an entry larger than the table is no fault", "7541 4.4", headers(1, request() + kept("x-large", "l" * 5000)), ANSWERED, 1),
    Case("the oldest entry is put out", "7541 4.4",
         headers(1, request() + kept("x-kept", "a") + kept("x-a", "a" * 2040) + kept("x-b", "b" * 2040)) + headers(3, request() + indexed(64)),
         COMPRESSION, None),
    Case("what a malformed request put into the table stays", "4.3",
         headers(1, request() + kept("x-kept", "a") + field("connection", "close")) + headers(3, request() + indexed(62)), ANSWERED, 3),
    Case("what a reset request put into the table stays", "4.3",
         headers(1, request() + kept("x-kept", "a")) + reset(1) + headers(3, request() + indexed(62)), ANSWERED, 3),
    Case("what trailers put into the table stays", "4.3",
         post(1) + headers(1, kept("x-trailer", "a")) + headers(3, request() + indexed(62)), ANSWERED, 3),
]

TABLES = [
    Case("an index of 0", "7541 6.1", headers(1, request() + b"\x80"), COMPRESSION, None),
    Case("an index behind the tables", "7541 2.3.3", headers(1, request() + indexed(62)), COMPRESSION, None),
    Case("an index far behind the tables", "7541 2.3.3", headers(1, request() + indexed(70000)), COMPRESSION, None),
    Case("a name's index behind the tables", "7541 2.3.3", headers(1, request() + integer(99, 6, 0x40) + text(b"v")), COMPRESSION, None),
    Case("a size update at the start", "7541 4.2", headers(1, table_size(4096) + request()), ANSWERED, 1),
    Case("two size updates at the start", "7541 4.2", headers(1, table_size(0) + table_size(4096) + request()), ANSWERED, 1),
    Case("a size update to less than the setting", "7541 6.3", headers(1, table_size(100) + request()), ANSWERED, 1),
    Case("a size update above the setting", "7541 6.3", headers(1, table_size(4097) + request()), COMPRESSION, None),
    Case("a size update behind a field", "7541 4.2", headers(1, request() + table_size(100)), COMPRESSION, None),
    Case("a size update within a block in two frames", "7541 4.2",
         headers(1, block(METHOD, SCHEME), END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, table_size(100) + block(PATH, AUTHORITY)),
         COMPRESSION, None),
    Case("a size update of 0 empties the table", "7541 4.2",
         headers(1, request() + kept("x-kept", "a")) + headers(3, table_size(0) + table_size(4096) + request() + indexed(62)), COMPRESSION, None),
    Case("the tap's own table goes where the client has none", "7541 4.2", get(1), outcomes("answer 200, answer 200"),
         greeting=PREFACE + settings((HEADER_TABLE_SIZE, 0)), plays=table_is_given_up),
]

STRINGS = [
    Case("an integer without an end", "7541 5.1", headers(1, request() + b"\xff\x80\x80"), COMPRESSION, None),
    Case("an integer beyond all numbers", "7541 5.1", headers(1, request() + b"\xff" + b"\xff" * 12 + b"\x7f"), COMPRESSION, None),
    Case("a string longer than the block", "7541 5.2", headers(1, request() + b"\0\x01x\x7f\x05abc"), COMPRESSION, None),
    Case("a name without a value", "7541 6.2", headers(1, request() + b"\0\x01x"), COMPRESSION, None),
    Case("compressed padding of 8 bits", "7541 5.2", headers(1, request() + b"\0\x01x\x82\x1f\xff"), COMPRESSION, None),
    Case("compressed padding of zeros", "7541 5.2", headers(1, request() + b"\0\x01x\x81\x18"), COMPRESSION, None),
    Case("the end of string within a compressed string", "7541 5.2", headers(1, request() + b"\0\x01x\x84\xff\xff\xff\xff"), COMPRESSION, None),
    Case("an empty compressed string", "7541 5.2", headers(1, request() + b"\0\x01x\x80"), ANSWERED, 1),
    Case("a block that is cut within a field", "4.3", headers(1, request()[:-3]), COMPRESSION, None),
    Case("an empty block", "8.3.1", headers(1, b""), MALFORMED, 1),
]

NAMES = [
    Case(f"a name with {what}", "8.2.1", headers(1, request() + field(name, "v")), MALFORMED, 1)
    for what, name in [
        ("a capital letter", "x-Upper"), ("a space", "x name"), ("a colon", "x:name"), ("a NUL", b"x\0"), ("a line end", b"x\r\n"),
        ("a DEL", b"x\x7f"), ("a byte above ASCII", b"x\xe9"), ("no character", ""),
    ]
] + [
    Case(f"a value with {what}", "8.2.1", headers(1, request() + field("x-name", value)), MALFORMED, 1)
    for what, value in [
        ("a NUL", b"a\0b"), ("a carriage return", b"a\rb"), ("a line feed", b"a\nb"), ("a line end and another field", b"a\r\nx-b: c"),
        ("a space before it", b" a"), ("a space behind it", b"a "), ("a tab before it", b"\ta"),
    ]
] + [
    Case("a value of bytes above ASCII", "8.2.1", headers(1, request() + field("x-name", b"\xe9\xff")), ANSWERED, 1),
    Case("an empty value", "8.2.1", headers(1, request() + field("x-name", "")), ANSWERED, 1),
]

CONNECTION_FIELDS = [
    Case(f"{name}: {value}", "8.2.2", headers(1, request() + field(name, value)), MALFORMED, 1)
    for name, value in [
        ("connection", "close"), ("connection", "x-a"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("te", "gzip"), ("te", "trailers, gzip"),
    ]
] + [
    Case("te: trailers", "8.2.2", headers(1, request() + field("te", "trailers")), ANSWERED, 1),
    Case("a cookie in pieces", "8.2.3", get(1, "/echo", ("cookie", "a=1"), ("cookie", "b=2")), outcomes("a=1; b=2", "a=1 | b=2"),
         plays=values("cookie")),
]

PSEUDO_FIELDS = [
    Case("a pseudo-header behind a field", "8.3", headers(1, block(METHOD, SCHEME, PATH, ("x-name", "v"), AUTHORITY)), MALFORMED, 1),
    Case("an unknown pseudo-header", "8.3", headers(1, block((":unknown", "v"), *PSEUDO.items())), MALFORMED, 1),
    Case(":status in a request", "8.3", headers(1, block((":status", "200"), *PSEUDO.items())), MALFORMED, 1),
    Case("a pseudo-header with a capital letter", "8.3", headers(1, block((":Method", "GET"), SCHEME, PATH, AUTHORITY)), MALFORMED, 1),
    Case("no :method", "8.3.1", without(":method"), MALFORMED, 1),
    Case("no :scheme", "8.3.1", without(":scheme"), MALFORMED, 1),
    Case("no :path", "8.3.1", without(":path"), MALFORMED, 1),
    Case("host instead of :authority", "8.3.1", headers(1, block(METHOD, SCHEME, PATH, ("host", "a.example"))), ANSWERED, 1),
    Case("neither host nor :authority", "8.3.1", without(":authority"), MALFORMED, 1),
    Case("host instead of :authority is where it goes", "8.3.1",
         headers(1, block(METHOD, SCHEME, (":path", "/echo"), ("host", "a.example"))), outcomes("a.example"), plays=told(authority)),
    Case("host beside the same :authority", "8.3.1", headers(1, request() + field("host", "a.example")), ANSWERED, 1),
    Case("an empty :path", "8.3.1", with_(path=""), MALFORMED, 1),
    Case("an empty :method", "8.3.1", with_(method=""), MALFORMED, 1),
    Case("an empty :scheme", "8.3.1", with_(scheme=""), MALFORMED, 1),
    Case(":path without a slash", "8.3.1", with_(path="a"), MALFORMED, 1),
    Case(":path with a space", "8.3.1", with_(path="/a b"), MALFORMED, 1),
    Case(":path with a line end", "8.3.1", with_(path="/ HTTP/1.1\r\nx: y\r\n\r\n"), MALFORMED, 1),
    Case(":method with a space", "8.3.1", with_(method="GET /x"), MALFORMED, 1),
    Case(":authority with a line end", "8.3.1", with_(authority="a\r\nx: y"), MALFORMED, 1),
    Case(":authority with a user", "8.3.1", with_(authority="user@a.example"), MALFORMED, 1),
    Case("* of OPTIONS", "8.3.1", with_(method="OPTIONS", path="*"), ANSWERED, 1),
    Case("* of GET", "8.3.1", with_(path="*"), MALFORMED, 1),
    Case("an unknown method", "8.3.1", with_(method="BREW"), ANSWERED, 1),
    Case("CONNECT with :path and :scheme", "8.5", with_(method="CONNECT"), MALFORMED, 1),
    Case("CONNECT without :authority", "8.5", headers(1, block((":method", "CONNECT"))), MALFORMED, 1),
    Case(":protocol that was not allowed", "8.3", headers(1, block((":method", "CONNECT"), (":protocol", "websocket"), SCHEME, PATH, AUTHORITY)),
         MALFORMED, 1),
] + [Case(f"{name} twice", "8.3", doubled(name), MALFORMED, 1) for name in PSEUDO]

BODIES = [
    Case("content-length of the body", "8.1.1", post(1, "/echo", ("content-length", "4")) + data(1, b"body"), ANSWERED, 1),
    Case("content-length in two frames", "8.1.1", post(1, "/echo", ("content-length", "4")) + data(1, b"bo", 0) + data(1, b"dy"), ANSWERED, 1),
    Case("content-length above the body", "8.1.1", post(1, "/echo", ("content-length", "9")) + data(1, b"body"), MALFORMED, 1),
    Case("content-length below the body", "8.1.1", post(1, "/echo", ("content-length", "1")) + data(1, b"body"), MALFORMED, 1),
    Case("content-length below the body in two frames", "8.1.1", post(1, "/echo", ("content-length", "3")) + data(1, b"bo", 0) + data(1, b"dy"),
         MALFORMED, 1),
    Case("content-length without a body", "8.1.1", headers(1, request("POST", "/echo", ("content-length", "4"))), MALFORMED, 1),
    Case("two lengths", "8.1.1", post(1, "/echo", ("content-length", "4"), ("content-length", "5")) + data(1, b"body"), MALFORMED, 1),
    Case("a length that is no number", "8.1.1", post(1, "/echo", ("content-length", "four")) + data(1, b"body"), MALFORMED, 1),
    Case("a length below zero", "8.1.1", post(1, "/echo", ("content-length", "-4")) + data(1, b"body"), MALFORMED, 1),
    Case("a length beyond all numbers", "8.1.1", post(1, "/echo", ("content-length", "9" * 30)) + data(1, b"body"), MALFORMED, 1),
    Case("content-length above the body before trailers", "8.1.1",
         post(1, "/echo", ("content-length", "9")) + data(1, b"body", 0) + headers(1, field("x-trailer", "a")), MALFORMED, 1),
    Case("announced trailers reach the server", "8.1",
         post(1, "/echo", ("trailer", "x-trailer")) + data(1, b"body", 0) + headers(1, field("x-trailer", "a")), outcomes("4 ['x-trailer']"),
         plays=told(lambda seen: f"{seen['length']} {seen['trailers']}")),
    # Trailers may be left out on the way (RFC 9110 6.5.1).
    Case("trailers reach the server", "8.1", post(1) + data(1, b"body", 0) + headers(1, field("x-trailer", "a")),
         outcomes("4 ['x-trailer']", "4 []"), plays=told(lambda seen: f"{seen['length']} {seen['trailers']}")),
    Case("trailers without a body", "8.1", post(1) + headers(1, field("x-trailer", "a")), ANSWERED, 1),
    Case("trailers that do not end the stream", "8.1", post(1) + data(1, b"x", 0) + headers(1, field("x-trailer", "a"), END_HEADERS),
         MALFORMED, 1),
    Case("a pseudo-header in trailers", "8.1", post(1) + data(1, b"x", 0) + headers(1, block((":path", "/x"))), MALFORMED, 1),
    Case("a capital letter in trailers", "8.2.1", post(1) + data(1, b"x", 0) + headers(1, field("X-Trailer", "a")), MALFORMED, 1),
    Case("a connection's field in trailers", "8.2.2", post(1) + data(1, b"x", 0) + headers(1, field("connection", "close")), MALFORMED, 1),
    Case("DATA behind trailers", "8.1", post(1, "/held") + headers(1, field("x-trailer", "a")) + data(1, b"x"),
         stream_error("STREAM_CLOSED"), 1),
]

ANSWERS = [
    Case("HEAD has no body", "8.1", with_(method="HEAD"), outcomes("answer 200 body=0"), plays=answer_of("body")),
    Case("204 has no body", "8.1", get(1, "/204"), outcomes("answer 204 body=0"), plays=answer_of("body")),
    Case("304 has no body", "8.1", get(1, "/304"), outcomes("answer 304 body=0"), plays=answer_of("body")),
    Case("trailers of an answer", "8.1", get(1, "/trailers"), outcomes("answer 200 body=6 trailers=[('x-trailer', 'last')]"),
         plays=answer_of("body", "trailers")),
    Case("an interim answer", "8.1", get(1, "/interim"), outcomes("answer 200 interim=['103']"), plays=answer_of("interim")),
    Case("three requests at once", "5", get(1) + get(3) + get(5), ANSWERED, 5),
    Case("a header list beyond the limit", "10.5.1",
         headers(1, request(), END_STREAM) + b"".join(frame(CONTINUATION, 0, 1, field("x-l", "l" * 16000)) for _ in range(17))
         + frame(CONTINUATION, END_HEADERS, 1), outcomes("answer 431") | stream_error("PROTOCOL_ERROR", "ENHANCE_YOUR_CALM"), 1),
]

CASES = REPRESENTATIONS + TABLES + STRINGS + NAMES + CONNECTION_FIELDS + PSEUDO_FIELDS + BODIES + ANSWERS
