"""Plays the WebSocket cases of kosoku against a server and against the tap before it: `websocket.py SERVER TAP FOLDER`

What the server does wrong is its own business. The tap must change no verdict.
"""

import json
import subprocess
import sys
from pathlib import Path

# Cases that run at once.
AT_ONCE = "8"
# Compression of long messages, which is the same bytes for a tap, takes hours of a processor.
LEFT_OUT = ("--exclude", "12.*", "--exclude", "13.*")
# How often a case is played again that gave two verdicts.
AGAIN = 8
FEW = 10
# The verdicts of a case, as the report has them.
PARTS = ("behavior", "behaviorClose", "remoteCloseCode")


def verdicts(addr, folder, selection=LEFT_OUT):
    command = [Path(sys.executable).with_name("kosoku"), *selection, "--parallelism", AT_ONCE, "--outdir", folder, addr]
    # It fails where the server has faults.
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    index = Path(folder) / "index.json"
    if not index.exists():
        sys.exit(f"kosoku has written no report: {ran.stdout}{ran.stderr}")
    agents = json.loads(index.read_text())
    return {case: tuple(verdict[part] for part in PARTS) for cases in agents.values() for case, verdict in cases.items()}


def is_steady(case, server, tap, folder):
    """Whether the verdicts of a case never meet. Some hang on whether the server had echoed before it saw the fault."""
    seen = [set(), set()]
    for time in range(AGAIN):
        for verdict, addr in zip(seen, (server, tap)):
            verdict.add(verdicts(addr, f"{folder}/{case}-{time}-{addr}", ("--include", case))[case])
        if seen[0] & seen[1]:
            return False
    return True


def main():
    server, tap, folder = sys.argv[1:]
    direct = verdicts(server, f"{folder}/direct")
    through = verdicts(tap, f"{folder}/through")
    differing = [case for case in sorted(direct | through) if direct.get(case) != through.get(case)]
    # Where many differ it is no matter of chance, and there is no end of playing them again.
    if len(differing) <= FEW:
        differing = [case for case in differing if is_steady(case, server, tap, folder)]
    for case in differing:
        print(f"case {case}: {direct.get(case)} without the tap, {through.get(case)} with it")
    kept = sum(verdict[0] == "OK" for verdict in direct.values())
    print(f"{len(direct)} cases, {kept} of them strictly kept by the server, {len(differing)} verdicts changed by the tap")
    sys.exit(1 if differing or len(direct) < 247 else 0)


if __name__ == "__main__":
    main()
