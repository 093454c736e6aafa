#!/usr/bin/env bash
# Puts NIST's scoring tools (sclite, sc_stats; Debian's package sctk) into tools/sctk, without root.
# Only the tests and `asr-topdown doctor` look for them: our own scoring is compared with NIST's.
# It is an extra: where it cannot be had, one line says so, and the exit code is 0 all the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

skip() { echo "tools/install_sctk.sh: not installed: $*"; exit 0; }

if PATH=$PATH:$PWD/sctk/bin:/usr/lib/sctk/bin command -v sclite >/dev/null; then
    echo "tools/install_sctk.sh: sclite is there"
    exit
fi
for tool in apt-get dpkg-deb; do
    command -v $tool >/dev/null || skip "needs $tool"
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
fetch() { (cd "$folder" && timeout 120 apt-get -qq download sctk) >/dev/null 2>"$folder/errors"; }
if ! fetch; then
    # A fresh machine has no package lists yet; only root can get them.
    if [[ $(id -u) == 0 ]]; then timeout 120 apt-get -qq update >/dev/null 2>&1 || true; fi
    fetch || skip "$(tail -n 1 "$folder/errors")"
fi
dpkg-deb -x "$folder"/sctk_*.deb "$folder/unpacked" || skip "the package cannot be unpacked"
rm -rf sctk
mv "$folder/unpacked/usr/lib/sctk" sctk || skip "cannot write to $PWD"
sctk/bin/sclite >/dev/null 2>&1 || [[ $? == 1 ]] || skip "the program does not run here"
echo "tools/install_sctk.sh: installed in tools/sctk/bin"
