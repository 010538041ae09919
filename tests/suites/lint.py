"""Lets HTTPolice look at the answers that the tap gives itself: `lint.py TAP TAP-BEFORE-NOTHING FOLDER`

Both taps have to wait for no answer longer than a moment. The first one's upstream is the suites' own origin.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).with_name("http2")))

from connection import Connection  # noqa: E402
from frames import headers, request  # noqa: E402

# By the path that makes the origin fail, what the tap answers.
FAILURES = {"/held": 504, "/nonsense": 502}
METHODS = ("GET", "HEAD", "POST")


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def http1(addr, method, path):
    """What was sent, and all that came back."""
    sent = f"{method} {path} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: suites/1.0\r\n"
    sent += "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\nbody" if method == "POST" else "\r\n"
    got = b""
    with socket.create_connection(address(addr), 10) as connection:
        connection.sendall(sent.encode())
        while piece := connection.recv(4096):
            got += piece
    return sent.encode(), got


def http2(addr, method, path):
    connection = Connection(address(addr))
    connection.send(headers(1, request(method, path, ("user-agent", "suites/1.0"))))
    outcome = connection.outcome(1)
    connection.close()
    assert 1 in connection.answers, f"HTTP/2 {method} {path} gave {outcome}"
    return connection.answers[1]


def pairs(fields):
    return [{"name": name, "value": value} for name, value in fields]


def entry(method, path, answer):
    sent = {"method": method, "url": f"http://a.example{path}", "httpVersion": "HTTP/2", "bodySize": 0, "cookies": [], "queryString": [],
            "headersSize": -1, "headers": pairs([("host", "a.example"), ("user-agent", "suites/1.0")])}
    content = {"size": len(answer.body), "mimeType": answer.get("content-type"), "text": answer.body.decode()}
    got = {"status": int(answer.status), "statusText": "", "httpVersion": "HTTP/2", "bodySize": len(answer.body), "headersSize": -1, "cookies": [],
           "redirectURL": "", "headers": pairs(answer.fields), "content": content}
    return {"request": sent, "response": got, "startedDateTime": "2026-01-01T00:00:00Z", "time": 0, "cache": {}, "timings": {}}


def complaints(form, files):
    police = Path(sys.executable).with_name("httpolice")
    ran = subprocess.run([police, "-i", form, "-o", "text", "--fail-on", "comment", *files], capture_output=True, text=True, timeout=60)
    if ran.returncode or ran.stderr:
        return ran.stdout + ran.stderr
    return ""


def main():
    tap, before_nothing, folder = sys.argv[1:]
    calls = [(addr, method, path, status) for method in METHODS
             for addr, path, status in [(before_nothing, "/refused", 502), *[(tap, path, status) for path, status in FAILURES.items()]]]
    files, entries = [], []
    for number, (addr, method, path, status) in enumerate(calls):
        sent, got = http1(addr, method, path)
        assert got.startswith(f"HTTP/1.1 {status} ".encode()), f"{method} {path} gave {got!r}"
        file = Path(folder) / f"{number}.http"
        file.write_bytes(b"======== BEGIN INBOUND STREAM ========\r\n" + sent + b"======== BEGIN OUTBOUND STREAM ========\r\n" + got)
        files.append(file)
        if method != "POST":
            answer = http2(addr, method, path)
            assert answer.status == str(status), f"HTTP/2 {method} {path} gave {answer}"
            entries.append(entry(method, path, answer))
    har = Path(folder) / "http2.har"
    har.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "suites", "version": "1"}, "entries": entries}}))
    found = complaints("combined", files) + complaints("har", [har])
    print(found, end="")
    print(f"{len(files)} answers of HTTP/1 and {len(entries)} of HTTP/2, {'with' if found else 'no'} complaints")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
