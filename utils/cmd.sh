# shellcheck shell=bash
# Sourced by each recipe's cmd.sh: where a recipe's work runs. Here: on this machine, one training for each GPU, or $nj
# of one thread each on the CPU. A recipe's cmd.sh may set these otherwise, after it has sourced this one:
#
#     device          cpu or cuda
#     train_engine    options of `asr-topdown train` that say where it trains
#     search_engine   of `asr-topdown topdown`: where, and how many trainings at a time
#     feats_engine    of `asr-topdown features`
#     decode_engine   of `asr-topdown decode`: (--nj 8) is eight processes here
#
# Four GPUs that train each network together, one after the other: train_engine=(--ddp 4) search_engine=(--ddp 4).
# shellcheck disable=SC2034,SC2154
train_engine=() decode_engine=() feats_engine=(--nj "$nj")
if ((ngpu)); then
    device=cuda search_engine=(--gpus "$ngpu" --workers "$ngpu")
else
    device=cpu search_engine=(--workers "$nj")
fi
