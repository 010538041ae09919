#!/usr/bin/env bash
# Makes every certificate in this folder again, with fresh keys.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Fixed dates, long past at the start, so that a machine whose clock is off still finds them valid.
from=20250101000000Z
to=20450101000000Z
ours='DNS:localhost,IP:127.0.0.1,IP:::1'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

new_key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

# sign KEY NAME FROM TO ARGUMENTS-OF-OPENSSL-CA..., the extensions on standard input. Writes NAME.pem.
# `openssl ca` rather than `x509 -req`, since only it can be told both dates.
sign() {
    local key=$1 name=$2 from=$3 to=$4
    shift 4
    { echo '[extensions]'; cat; } >"$work/$name.ext"
    openssl req -new -key "$key" -subj "/CN=authtap test $name" -out "$work/$name.csr"
    openssl ca -batch -notext -config "$work/ca.conf" -extfile "$work/$name.ext" -extensions extensions \
        -startdate "$from" -enddate "$to" "$@" -in "$work/$name.csr" -out "$name.pem" 2>"$work/log" || {
        cat "$work/log" >&2
        return 1
    }
}

# leaf NAME SUBJECT-ALTERNATIVE-NAMES USE FROM TO
leaf() {
    new_key "$1.key"
    sign "$1.key" "$1" "$4" "$5" -cert ca.pem -keyfile "$work/ca.key" <<EXTENSIONS
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $3
subjectAltName = $2
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EXTENSIONS
}

: >"$work/index.txt"
cat >"$work/ca.conf" <<CONF
[ca]
default_ca = test
[test]
database = $work/index.txt
new_certs_dir = $work
default_md = sha256
rand_serial = yes
unique_subject = no
policy = any
[any]
commonName = supplied
CONF

# The authority's key lives only as long as this run: nobody who trusts ca.pem can be shown anything but these leaves.
new_key "$work/ca.key"
sign "$work/ca.key" ca "$from" "$to" -selfsign -keyfile "$work/ca.key" <<EXTENSIONS
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
EXTENSIONS

leaf localhost "$ours" serverAuth "$from" "$to"
leaf expired "$ours" serverAuth 20200101000000Z 20200201000000Z
leaf wrong-name 'DNS:somewhere-else.example' serverAuth "$from" "$to"
leaf client 'email:client@authtap.example' clientAuth "$from" "$to"

new_key self-signed.key
sign self-signed.key self-signed "$from" "$to" -selfsign -keyfile self-signed.key <<EXTENSIONS
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = $ours
EXTENSIONS

# Anyone may read them, as git would not keep a stricter mode anyway; they guard nothing.
chmod 644 ./*.pem ./*.key
