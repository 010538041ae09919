"""Plays all cases against a tap's HTTP/2 side, once for each upstream: `conformance.py NAME=HOST:PORT...`

A case fails where what comes of it is not allowed, and where a known deviation is not what it was.
"""

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import cases_fields
import cases_frames
import cases_streams
from known import KNOWN

CASES = cases_frames.CASES + cases_streams.CASES + cases_fields.CASES


def section(case):
    return f"RFC {case.section}" if case.section.startswith("7541") else f"RFC 9113 {case.section}"


def judge(case, upstream, addr):
    """Whether the case holds, and what is to be said of it."""
    try:
        came = case.run(addr)
    except Exception:
        came = traceback.format_exc(limit=-2)
    known = KNOWN.get((case.name, None)) or KNOWN.get((case.name, upstream))
    where = f"{upstream}: {section(case)}, {case.name}"
    if known:
        deviates, reason = known
        if came == deviates:
            return "known", ""
        return "failed", f"{where}: known to give {deviates!r}, gave {came!r}"
    if came in case.allowed:
        return "kept", ""
    return "failed", f"{where}: gave {came!r}, allowed is {' or '.join(sorted(map(repr, case.allowed)))}"


def main():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names), "a name stands for one case"
    counts = {"kept": 0, "known": 0, "failed": 0}
    upstreams = [argument.split("=") for argument in sys.argv[1:]]
    unused = {key for key in KNOWN if key[0] not in names}
    for upstream, addr in upstreams:
        host, port = addr.rsplit(":", 1)
        with ThreadPoolExecutor(8) as pool:
            for verdict, words in pool.map(lambda case: judge(case, upstream, (host, int(port))), CASES):
                counts[verdict] += 1
                if words:
                    print(f"{verdict}: {words}")
    for key in sorted(unused):
        counts["failed"] += 1
        print(f"failed: a deviation is known of a case that is not there: {key}")
    total = len(CASES)
    print(f"{total} cases against {len(upstreams)} upstreams: {counts['kept']} kept, {counts['known']} known deviations, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
