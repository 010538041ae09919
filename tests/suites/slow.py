"""Lets slowhttptest hold connections to a tap, and asks beside them: `slow.py HOST:PORT FOLDER`

A request of somebody else has to be answered promptly all the while, and the tool's own probe as well.
"""

import http.client
import subprocess
import sys
import time

CONNECTIONS = 1000
# How long a request may take while the others are held, on a machine that has other things to do.
PROMPT = 1.0
SECONDS = 12
ATTACKS = {
    "slow heads": ["-H", "-i", "3"],
    "slow bodies": ["-B", "-i", "3", "-s", "8192", "-t", "POST"],
    "slow readers": ["-X", "-w", "512", "-y", "1024", "-n", "3", "-z", "32", "-k", "1"],
}


def ask(host, port):
    """How long a request takes, its connection included."""
    start = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"served")
    connection.close()
    return time.monotonic() - start


def attack(name, options, addr, folder):
    host, port = addr.rsplit(":", 1)
    path = "/large" if name == "slow readers" else "/"
    command = ["slowhttptest", "-c", str(CONNECTIONS), "-r", "500", "-l", str(SECONDS), "-p", "3", "-u", f"http://{addr}{path}",
               "-g", "-o", f"{folder}/{name.replace(' ', '-')}", *options]
    took = []
    with open(f"{folder}/{name.replace(' ', '-')}.txt", "w") as log:
        tool = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            while tool.poll() is None:
                took.append(ask(host, int(port)))
                time.sleep(0.02)
        finally:
            tool.kill()
            tool.wait()
    with open(f"{folder}/{name.replace(' ', '-')}.csv") as lines:
        next(lines)
        # Seconds, closed, pending, connected, service available.
        rows = [list(map(int, line.split(","))) for line in lines if line.strip()]
    held = max(row[3] for row in rows)
    available = all(row[4] > 0 for row in rows)
    fine = held >= CONNECTIONS * 0.9 and available and max(took) < PROMPT
    print(f"{name}: {held} held, {len(took)} requests beside them, the slowest {max(took) * 1000:.0f} ms, "
          f"{'available' if available else 'not available'} all the while")
    return fine


def main():
    addr, folder = sys.argv[1:]
    # All are played, whatever the first gave.
    fine = [attack(name, options, addr, folder) for name, options in ATTACKS.items()]
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
