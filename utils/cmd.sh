# shellcheck shell=bash
# Sourced by utils/recipe.sh: where the work of all recipes runs. By default: on this machine, one training per GPU,
# or $nj of one thread each on the CPU. Change it here, or put a separate cmd.sh into a recipe's folder.
#
#     device          cpu or cuda
#     search_engine   options of `asr-topdown topdown`: where it trains, and how many networks at a time
#     feats_engine    of `asr-topdown features`
#     decode_engine   of `asr-topdown decode`
#
# Four GPUs that train each network together, one after the other: search_engine=(--ddp 4).
# shellcheck disable=SC2034
feats_engine=(--nj "$nj")
if ((ngpu)); then
    device=cuda search_engine=(--gpus "$ngpu" --workers "$ngpu") decode_engine=()
else
    device=cpu search_engine=(--workers "$nj") decode_engine=(--nj "$nj")
fi

# On a Slurm cluster: uncomment the lines below and put your partitions in. conf/engine/slurm.yaml in the repository lists
# what else can be requested. A job that reaches its time limit or is preempted saves its state and is requeued;
# Ctrl-C leaves the jobs in the queue, and the same command waits for them again.
# device=cuda
# slurm=(--engine slurm --slurm "$utils/../conf/engine/slurm.yaml")
# search_engine=("${slurm[@]}" --slurm partition=gpu,gpus=1,time=4:00:00 --workers 16)            # most in the queue
# feats_engine=("${slurm[@]}" --slurm partition=cpu,time=1:00:00 --nj 32)
# decode_engine=("${slurm[@]}" --slurm partition=gpu,gpus=1,time=1:00:00 --nj 16)
