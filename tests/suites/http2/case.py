"""One case: what is sent, and what may come of it."""

from dataclasses import dataclass
from typing import Callable, Optional

from connection import Connection
from frames import PREFACE, settings


@dataclass
class Case:
    # Unique; what is sent, in words.
    name: str
    # Of RFC 9113, or of RFC 7541 where it says so.
    section: str
    sends: bytes
    allowed: frozenset
    # The stream that is watched; 0: the connection has to go on; None: it has to end.
    stream: Optional[int] = 0
    greeting: bytes = PREFACE + settings()
    # For what needs an answer in between: is given the connection, and gives the outcome.
    plays: Optional[Callable] = None

    def run(self, addr):
        connection = Connection(addr, self.greeting)
        try:
            connection.send(self.sends)
            if self.plays:
                return self.plays(connection)
            return connection.end() if self.stream is None else connection.verdict(self.stream)
        finally:
            connection.close()


def outcomes(*all):
    return frozenset(all)


def connection_error(*codes):
    return frozenset(f"connection {code}" for code in codes)


def stream_error(*codes):
    """RFC 9113 5.4.1: an endpoint may take a fault of a stream for one of the connection."""
    return frozenset(f"stream {code}" for code in codes) | connection_error(*codes)


GOES_ON = outcomes("goes on")
ANSWERED = outcomes("answer 200")
# RFC 9113 8.1.1: a malformed request is a fault of its stream, and may be answered before.
MALFORMED = stream_error("PROTOCOL_ERROR") | outcomes("answer 400")
