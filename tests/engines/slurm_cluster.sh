#!/usr/bin/env bash
# A Slurm cluster of this one machine, for the tests: munged, slurmctld and slurmd in a folder of their own.
#
#     slurm_cluster.sh start FOLDER [CPUS]    prints the file that SLURM_CONF must name
#     slurm_cluster.sh stop FOLDER
#
# Needs root, and Debian's packages slurm-wlm and munge (Slurm 22.05 or later). Nothing outside FOLDER is
# changed but /etc/hosts, where the machine's own name is added if it is missing.
set -euo pipefail
action=$1 folder=$(realpath -m "$2") cpus=${3:-4}
export PATH=$PATH:/usr/sbin:/sbin

start() {
    mkdir -p "$folder"/{state,spool,log}
    # munge runs as its own user and wants no other user's folders above its socket to be writable.
    install -d -o munge -g munge -m 755 "$folder/munge"
    head -c 128 /dev/urandom >"$folder/munge/key"
    chown munge: "$folder/munge/key" && chmod 600 "$folder/munge/key"
    local socket=$folder/munge/socket host ports
    host=$(hostname -s)
    getent hosts "$host" >/dev/null || echo "127.0.0.1 $host" >>/etc/hosts
    setpriv --reuid=munge --regid=munge --clear-groups munged --force --key-file="$folder/munge/key" \
        --socket="$socket" --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" \
        --seed-file="$folder/munge/seed"
    ports=$((20000 + RANDOM % 20000))
    # Short times: what a cluster does within minutes, a test should see within seconds.
    cat >"$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ports
SlurmdPort=$((ports + 1))
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket=$socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=3
CompleteWait=0
MinJobAge=600
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    export SLURM_CONF=$folder/slurm.conf
    slurmctld -c -f "$SLURM_CONF"
    slurmd -c -f "$SLURM_CONF"
    for _ in $(seq 100); do
        if sinfo -h -o %T 2>>"$folder/log/wait" | grep -qE '^(idle|mixed)'; then
            echo "$SLURM_CONF"
            return
        fi
        sleep 0.3
    done
    tail -n 5 "$folder"/log/* >&2
    stop
    exit 1
}

stop() {
    local pid_file
    for pid_file in slurmd.pid slurmctld.pid munge/pid; do
        if [[ -s $folder/$pid_file ]]; then kill "$(<"$folder/$pid_file")" || true; fi
    done
}

case $action in
    start) start ;;
    stop) stop ;;
esac
