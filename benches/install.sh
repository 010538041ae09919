#!/usr/bin/env bash
# Installs what the comparison plays against: nginx and HAProxy as the tests have them, and mitmproxy in an environment
# of its own. What is there already is left alone.
set -euo pipefail

here="$(dirname "${BASH_SOURCE[0]}")"
bash "$here/../tests/install.sh"
mitmproxy_version=11.0.2
environment="$here/../target/mitmproxy"
if [[ ! -x $environment/bin/mitmdump ]]; then
    python3 -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "mitmproxy==$mitmproxy_version"
fi
