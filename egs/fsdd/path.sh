# shellcheck shell=bash
# Sourced by run.sh: which asr-topdown runs, and how.
. ../../utils/path.sh
