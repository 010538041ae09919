"""Checks files of Kubernetes and Compose against their schemas, and prints what is in them as JSON, a list for each file.

    python manifests.py kubernetes FILE... | compose FILE...
"""

import importlib.util
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

# Native sidecars are stable since the first; the second is what was current when this was written.
VERSIONS = ["1.29", "1.37"]


def kubernetes(documents):
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


def compose(documents):
    package = pathlib.Path(importlib.util.find_spec("compose").origin).parent
    schema = json.loads((package / "config" / "compose_spec.json").read_text())
    for document in documents:
        jsonschema.validate(document, schema)


def main():
    kind, *files = sys.argv[1:]
    result = []
    for file in files:
        documents = list(yaml.safe_load_all(pathlib.Path(file).read_text()))
        {"kubernetes": kubernetes, "compose": compose}[kind](documents)
        result.append(documents)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
