# shellcheck shell=bash
# Sourced by run.sh: where the work runs. As it stands: on this machine (../../utils/cmd.sh says what may be set).
. ../../utils/cmd.sh

# On a Slurm cluster: take away the # below and put your partitions in. conf/engine/slurm.yaml of the repository has
# what else can be asked for. A job that reaches its time limit or is preempted saves its state and goes back to the
# queue; Ctrl-C leaves the jobs in the queue, and the same command waits for them again.
# device=cuda
# slurm=(--engine slurm --slurm ../../conf/engine/slurm.yaml)
# train_engine=("${slurm[@]}" --slurm partition=gpu,gpus=1,time=4:00:00)
# search_engine=("${train_engine[@]}" --workers 16)            # at most so many in the queue
# feats_engine=("${slurm[@]}" --slurm partition=cpu,time=1:00:00 --nj 32)
# decode_engine=("${slurm[@]}" --slurm partition=gpu,gpus=1,time=1:00:00 --nj 16)
