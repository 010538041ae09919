"""A client's connection, and what came of what it sent."""

import socket
import struct
from dataclasses import dataclass

import hpack
from hyperframe.frame import Frame

from frames import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ERRORS, GOAWAY, HEADERS, PADDED, PING, PREFACE, RST_STREAM,
                    SETTINGS, frame, get, settings)

# Far more than is needed: a loaded machine is no failure.
PATIENCE = 10
# For an end that has to come at once; where it doesn't, a request tells what the connection is like.
SHORT = 2
# The stream of the request that shows that a connection is still good. Cases use lower ones.
NEXT = 1001


class Silence(Exception):
    """Nothing came in time."""


@dataclass
class Received:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def code(self):
        code = struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]
        return ERRORS[code] if code < len(ERRORS) else str(code)


@dataclass
class Answer:
    status: str
    fields: list
    body: bytes
    trailers: list

    def get(self, name):
        return ", ".join(value for found, value in self.fields if found == name)


class Connection:
    def __init__(self, addr, greeting=PREFACE + settings()):
        self.socket = socket.create_connection(addr, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.decoder = hpack.Decoder()
        self.interim = []
        self.answers = {}
        self.running = {}
        self.send(greeting)

    def send(self, payload):
        try:
            self.socket.sendall(payload)
        except (BrokenPipeError, ConnectionResetError):
            # It is what was received that tells why.
            pass

    def take(self, length):
        got = b""
        while len(got) < length:
            try:
                piece = self.socket.recv(length - len(got))
            except (ConnectionResetError, BrokenPipeError):
                return None
            except TimeoutError:
                raise Silence from None
            if not piece:
                return None
            got += piece
        return got

    def read(self):
        """The next frame, or nothing at the end."""
        head = self.take(9)
        if head is None:
            return None
        parsed, length = Frame.parse_frame_header(memoryview(head))
        payload = self.take(length)
        if payload is None:
            return None
        received = Received(head[3], head[4], parsed.stream_id, payload)
        if received.kind == SETTINGS and not received.flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        if received.kind in (HEADERS, CONTINUATION, DATA):
            self.gather(received)
        return received

    def gather(self, received):
        """Puts answers together."""
        assert not received.flags & PADDED, "the tap pads nothing"
        running = self.running.setdefault(received.stream, {"block": b"", "answer": None, "ends": False})
        if received.kind == HEADERS:
            running["ends"] = bool(received.flags & END_STREAM)
        if received.kind == DATA:
            running["answer"].body += received.payload
            running["ends"] = bool(received.flags & END_STREAM)
        else:
            running["block"] += received.payload
            if not received.flags & END_HEADERS:
                return
            fields = [(str(name), str(value)) for name, value in self.decoder.decode(running["block"])]
            running["block"] = b""
            if running["answer"] is not None:
                running["answer"].trailers = fields
            elif fields[0][1].startswith("1"):
                self.interim.append(fields[0][1])
                return
            else:
                running["answer"] = Answer(fields[0][1], fields[1:], b"", [])
        if running["ends"]:
            self.answers[received.stream] = running["answer"]

    def until(self, wanted):
        """Reads up to the first frame that is wanted; nothing if the connection ends before."""
        while (received := self.read()) is not None:
            if wanted(received):
                return received
        return None

    def settle(self):
        """Reads until all that was sent so far has been looked at: PING is answered in order. Gives what came."""
        came = []
        mark = b"so far\0\0"
        self.send(frame(PING, 0, 0, mark))
        while (received := self.read()) is not None:
            if received.kind == PING and received.flags & ACK and received.payload == mark:
                return came
            came.append(received)
        raise ConnectionError("the connection ended")

    def outcome(self, stream):
        """What came of a stream, or of the connection before that stream had an end."""
        while True:
            if stream in self.answers:
                return f"answer {self.answers[stream].status}"
            try:
                received = self.read()
            except Silence:
                return "nothing"
            if received is None:
                return "close"
            if received.kind == GOAWAY and received.code() != "NO_ERROR":
                return f"connection {received.code()}{self.left_open()}"
            if received.kind == RST_STREAM and received.stream == stream:
                return f"stream {received.code()}"

    def end(self):
        """The end of the connection, or that it goes on all the same."""
        self.socket.settimeout(SHORT)
        outcome = self.outcome(None)
        self.socket.settimeout(PATIENCE)
        return self.verdict(0) if outcome == "nothing" else outcome

    def left_open(self):
        try:
            while self.read() is not None:
                pass
        except Silence:
            return ", left open"
        return ""

    def verdict(self, stream):
        """The outcome of a stream, and of a request behind it: a fault of a stream must not hurt the others."""
        outcome = self.outcome(stream) if stream else "goes on"
        if outcome.startswith(("answer", "stream", "goes on")):
            self.send(get(NEXT))
            then = self.outcome(NEXT)
            if then != "answer 200":
                return then if outcome == "goes on" else f"{outcome}, then {then}"
        return outcome

    def close(self):
        self.socket.close()
