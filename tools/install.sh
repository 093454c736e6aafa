#!/usr/bin/env bash
# Makes .venv at the root of the checkout and installs everything into it. Nothing outside .venv is touched.
# When nothing has changed since the last time, it returns at once.
#
#   tools/install.sh [--python PYTHON] [--cuda | --torch-index URL] [--with EXTRAS] [--force]
#
#   --python PYTHON     the Python to make .venv with, 3.11 or newer (default: the first one found)
#   --with EXTRAS       optional parts beside the usual ones, as in --with lora,ray (pyproject.toml lists them);
#                       they stay until .venv is made anew
#   --cuda              take PyTorch from the usual package index, with CUDA (the default where a GPU is found)
#   --torch-index URL   look for PyTorch at URL as well (default on Linux without a GPU: PyTorch's own index of
#                       CPU builds, which saves some gigabytes; if it does not answer, the usual index)
#   --force             install again although nothing has changed
#
# PYTHON and TORCH_INDEX in the environment do what the options do. To go from CPU to CUDA: rm -r .venv first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "tools/install.sh: error: $*" >&2; exit 1; }

python=${PYTHON:-} torch_index=${TORCH_INDEX:-} extras="" cuda=false force=false
while (($#)); do
    case $1 in
        --python) python=${2:?--python needs a value}; shift ;;
        --torch-index) torch_index=${2:?--torch-index needs a value}; shift ;;
        --with) extras=${2:?--with needs a value}; shift ;;
        --cuda) cuda=true ;;
        --force) force=true ;;
        -h | --help) sed -n '/^# /s/^# //p;/^set/q' "$0"; exit ;;
        *) fail "unknown option $1 (see --help)" ;;
    esac
    shift
done

# The stamp says what was installed and where: a checkout that moved has a broken environment.
stamp=.venv/.installed
extras=$({ tr , '\n' <<<"test,lint,$extras"; sed 1d $stamp 2>/dev/null || true; } | sed '/^$/d' | sort -u)
wanted="$(cat pyproject.toml setup.py tools/constraints.txt | cksum) $PWD"$'\n'$extras
if ! $force && [[ -f $stamp && "$(cat $stamp)" == "$wanted" ]]; then
    echo "tools/install.sh: .venv is up to date"
    exit
fi

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${python:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    fail "needs Python 3.11 or newer (found: $("${python:-python3}" --version 2>&1 || true));" \
        "install one and say tools/install.sh --python /path/to/python3.11"
}

pip_install() {
    local quiet=() # a log needs no list of every package
    [[ -t 1 ]] || quiet=(--quiet)
    .venv/bin/python -m pip install "${quiet[@]}" --no-input --disable-pip-version-check \
        -c tools/constraints.txt "$@"
}

answers() { # does this index hold PyTorch, and say so within seconds?
    timeout 6 .venv/bin/python - "$1" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1].rstrip("/") + "/torch/", method="HEAD"), timeout=4)
PY
}

chosen_index() {
    local cpu_builds=https://download.pytorch.org/whl/cpu
    if [[ -n $torch_index ]]; then
        echo "$torch_index"
    elif ! $cuda && [[ $(uname -s) == Linux ]] && ! nvidia-smi -L >/dev/null 2>&1 && answers $cpu_builds; then
        echo $cpu_builds
    fi
}

install_torch() { # first and alone, so that nothing else decides which build comes
    local index
    index=$(chosen_index)
    echo "tools/install.sh: installing PyTorch${index:+ from $index}"
    pip_install ${index:+--extra-index-url "$index"} torch
}

announce_missing() {
    [[ -n $(PATH=$PATH:tools/sctk/bin:/usr/lib/sctk/bin command -v sclite) ]] ||
        echo "optional: sclite is missing; with it the tests compare our scores with NIST's (tools/install_sctk.sh)"
    command -v shellcheck >/dev/null ||
        echo "optional: shellcheck is missing; with it 'make lint' reads the shell scripts too (your system's package)"
}

if ! new_enough .venv/bin/python; then
    python=$(find_python)
    echo "tools/install.sh: making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv || fail "cannot make .venv (on Debian and Ubuntu: apt-get install python3-venv)"
fi
rm -f $stamp
install_torch
echo "tools/install.sh: installing asr_topdown and the rest"
pip_install -e ".[${extras//$'\n'/,}]"
echo "$wanted" >$stamp
announce_missing
echo "tools/install.sh: done; the command is .venv/bin/asr-topdown (try: .venv/bin/asr-topdown doctor)"
