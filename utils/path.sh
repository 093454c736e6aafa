# shellcheck shell=bash
# Sourced by utils/recipe.sh: which asr-topdown runs, and how. The checkout's own .venv comes first.
if [[ -x ../../.venv/bin/asr-topdown ]]; then
    export PATH=$PWD/../../.venv/bin:$PATH
elif ! command -v asr-topdown >/dev/null; then
    echo "asr-topdown is not installed: run $(cd ../.. && pwd)/tools/install.sh first" >&2
    exit 1
fi

# One thread in each process: several on busy cores can be twenty times slower than one.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Logs show what happens while it happens.
export PYTHONUNBUFFERED=1
