"""Reads what testssl.sh found: `tls.py REPORT.json`. Nothing below TLS 1.2 may be offered, and nothing may be vulnerable."""

import json
import sys

OLD = ("SSLv2", "SSLv3", "TLS1", "TLS1_1")
NEW = ("TLS1_2", "TLS1_3")
# Findings of the checks for vulnerabilities that have to be there: a report that was cut is no good news.
CHECKS = ("heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS", "BREACH", "POODLE_SSL",
          "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4")
# What the tool says about itself and this machine's OpenSSL.
OF_THE_TOOL = ("engine_problem", "scanTime")


def main():
    with open(sys.argv[1]) as report:
        found = {entry["id"]: entry for entry in json.load(report)}
    wrong = [f"{name} is {found.get(name, {}).get('finding')}" for name in OLD if found.get(name, {}).get("finding") != "not offered"]
    wrong += [f"{name} is {found.get(name, {}).get('finding')}" for name in NEW if "not" in found.get(name, {}).get("finding", "not")]
    wrong += [f"nothing was said about {name}" for name in CHECKS if name not in found]
    wrong += [f"{name}: {entry['severity']}, {entry['finding']}" for name, entry in found.items()
              if entry["severity"] not in ("OK", "INFO") and name not in OF_THE_TOOL]
    for line in wrong:
        print(line)
    print(f"{len(found)} findings, {len(wrong)} of them wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
