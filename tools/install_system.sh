#!/usr/bin/env bash
# Installs the programs that nothing needs and some tests compare with or drive, as Debian's and Ubuntu's packages:
# NIST's scoring tools, a browser, Slurm, a speech synthesiser, sox and shellcheck. Only root with apt-get can; for
# anyone else it says so and succeeds (tools/install_sctk.sh gets sclite without root).
#
#   tools/install_system.sh
set -euo pipefail

packages=(sctk chromium slurm-wlm munge espeak-ng sox shellcheck)
say() { echo "tools/install_system.sh: $*"; }

if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
    say "nothing installed: needs root and apt-get"
    exit
fi
missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((!${#missing[@]})); then
    say "everything is there: ${packages[*]}"
    exit
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt() { timeout 900 apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >>"$log" 2>&1; }
# A container has no init system, and may have a policy against starting services; none is wanted here either.
if ! { apt update && apt install --yes --no-install-recommends "${missing[@]}"; }; then
    tail -n 5 "$log" >&2
    say "FAILED to install ${missing[*]}" >&2
    exit 1
fi
say "installed ${missing[*]}"
