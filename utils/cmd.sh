# shellcheck shell=bash
# Sourced by each recipe's cmd.sh: where the trainings of a study run. Here: on this machine, one process for each GPU, or
# $nj processes of one thread each on the CPU.
# shellcheck disable=SC2034,SC2154
if ((ngpu)); then
    device=cuda workers=$ngpu
else
    device=cpu workers=$nj
fi
