# shellcheck shell=bash
# Sourced by utils/recipe.sh: which asr-topdown runs, and how. The checkout's own .venv comes first.
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
if [[ -x $root/.venv/bin/asr-topdown ]]; then
    export PATH=$root/.venv/bin:$PATH
elif ! command -v asr-topdown >/dev/null; then
    advice="activate the environment that has it, or pip install asr_topdown"
    if [[ -x $root/tools/install.sh ]]; then advice="run $root/tools/install.sh first"; fi
    echo "asr-topdown is not on the PATH: $advice" >&2
    exit 1
fi

# One thread in each process: several on busy cores can be twenty times slower than one.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Logs are written without delay.
export PYTHONUNBUFFERED=1
