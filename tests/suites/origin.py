"""The servers behind the tap: HTTP/1, HTTP/2 without TLS, and a WebSocket echo, each on a port of its own.

Prints one line, `http1=PORT http2=PORT websocket=PORT`, and runs until it is ended.
"""

import asyncio
import json
import logging

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from websockets.asyncio.server import serve

LARGE = b"l" * 200_000


def answer(method, path, body, seen):
    """Status, body and trailers of an answer. `seen` is what the server saw of the fields, and is told on demand."""
    path = path.split("?")[0]
    if path == "/large":
        return 200, LARGE, {}
    if path == "/echo":
        return 200, json.dumps({"length": len(body), **seen}).encode(), {}
    if path == "/trailers":
        return 200, b"served", {"x-trailer": "last"}
    if path in ("/204", "/304"):
        return int(path[1:]), b"", {}
    return 200, b"" if method == "HEAD" else b"served", {}


async def http1(reader, writer):
    try:
        while await http1_exchange(reader, writer):
            pass
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()


async def http1_exchange(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    words = start.split(" ")
    if len(words) < 3 or words[0] == "PRI":
        return False
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(value.strip())
    body, trailers = b"", []
    if "chunked" in fields.get("transfer-encoding", []):
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while (line := await reader.readline()).strip():
            trailers.append(line.decode("latin-1").split(":")[0].lower())
    elif "content-length" in fields:
        body = await reader.readexactly(int(fields["content-length"][0]))
    if words[1] in ("/nonsense", "/cut"):
        writer.write(b"nonsense\r\n\r\n" if words[1] == "/nonsense" else b"HTTP/1.1 200 OK\r\nX-")
        return False
    if words[1] == "/held":
        # No answer: the peer has to leave.
        return bool(await reader.read())
    seen = {"fields": [[name, value] for name, all in fields.items() for value in all], "trailers": trailers, "never": []}
    status, content, after = answer(words[0], words[1], body, seen)
    if words[1] == "/interim":
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
    out = f"HTTP/1.1 {status} Answer\r\n"
    if after:
        chunk = b"%x\r\n%b\r\n0\r\n" % (len(content), content)
        content = chunk + b"".join(f"{name}: {value}\r\n".encode() for name, value in after.items()) + b"\r\n"
        out += "transfer-encoding: chunked\r\n"
    elif status == 200:
        out += f"content-length: {len(content)}\r\n"
    writer.write(out.encode() + b"\r\n" + content)
    await writer.drain()
    return "close" not in fields.get("connection", [])


class Http2(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        config = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.requests = {}
        self.waiting = {}
        self.flush()

    def data_received(self, received):
        try:
            for event in self.h2.receive_data(received):
                self.take(event)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        self.flush()

    def take(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            self.requests[stream] = [event.headers, b"", []]
        elif isinstance(event, h2.events.DataReceived):
            self.requests[stream][1] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            self.requests[stream][2] = [name.decode() for name, _ in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self.reply(stream)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(stream, None)
            self.waiting.pop(stream, None)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in list(self.waiting):
                self.push(stream)

    def reply(self, stream):
        fields, body, trailers = self.requests.pop(stream)
        if dict(fields).get(b":path") == b"/held":
            return
        pairs = [(name.decode(), value.decode("latin-1")) for name, value in fields]
        never = [field[0].decode() for field in fields if not field.indexable]
        named = dict(pairs)
        seen = {"fields": pairs, "trailers": trailers, "never": never}
        status, content, after = answer(named.get(":method"), named.get(":path", ""), body, seen)
        if named.get(":path") == "/interim":
            self.h2.send_headers(stream, [(":status", "103"), ("link", "</style.css>; rel=preload")])
        is_empty = not content and not after
        self.h2.send_headers(stream, [(":status", str(status))], end_stream=is_empty)
        if not is_empty:
            self.waiting[stream] = [content, after]
            self.push(stream)

    def push(self, stream):
        content, after = self.waiting[stream]
        while content:
            size = min(len(content), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size <= 0:
                self.waiting[stream][0] = content
                return
            self.h2.send_data(stream, content[:size], end_stream=size == len(content) and not after)
            content = content[size:]
        if after:
            self.h2.send_headers(stream, list(after.items()), end_stream=True)
        del self.waiting[stream]

    def flush(self):
        self.transport.write(self.h2.data_to_send())


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    # Peers that break the rules are the point, and no news.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    first = await asyncio.start_server(http1, "127.0.0.1", 0, backlog=2048, limit=1 << 20)
    second = await asyncio.get_running_loop().create_server(Http2, "127.0.0.1", 0, backlog=2048)
    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None) as third:
        ports = [next(iter(server.sockets)).getsockname()[1] for server in (first, second, third)]
        print("http1={} http2={} websocket={}".format(*ports), flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
