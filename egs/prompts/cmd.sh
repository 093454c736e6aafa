# shellcheck shell=bash
# Sourced by run.sh: where the trainings run. Set `device` and `workers` here to run them otherwise.
. ../../utils/cmd.sh
