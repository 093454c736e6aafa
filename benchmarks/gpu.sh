#!/usr/bin/env bash
# Everything that wants a CUDA GPU, in one call of less than ten minutes: training steps and searches in float32
# and bfloat16, as a share of the measured matrix rate; each model family trained on FSDD for a few hundred
# steps and decoded there; a retraining below frozen layers, whose fingerprint is checked after each epoch; the tests
# marked `gpu`. Writes OUT/report.md, OUT/results.jsonl and OUT/log.txt, whatever fails on the way.
#
#   benchmarks/gpu.sh --fsdd FOLDER [--out FOLDER] [--peers FOLDER] [--python PYTHON] [--cpu-dry-run]
#
#   --fsdd FOLDER     the recordings of the Free Spoken Digit Dataset
#   --out FOLDER      where the results go (default: ./gpu-results)
#   --peers FOLDER    what benchmarks/peers.sh made, if its PyTorch has CUDA; else only ours is timed
#   --python PYTHON   with everything installed (default: .venv/bin/python, else python3)
#   --cpu-dry-run     the same on the CPU, with short utterances and a single epoch: does it run?
#
# Exit status: 0 if every step succeeded; 1 with one line if there is no GPU, or naming the steps that failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "gpu.sh: error: $*" >&2; exit 1; }

caller=$OLDPWD
fsdd="" out=gpu-results peers=/nonexistent python="" device=cuda epochs=8
sizes=(--repeats 7 --warm-up 2) tokens=60 slack=1
while (($#)); do
    case $1 in
        --fsdd) fsdd=${2:?--fsdd needs a value}; shift ;;
        --out) out=${2:?--out needs a value}; shift ;;
        --peers) peers=${2:?--peers needs a value}; shift ;;
        --python) python=${2:?--python needs a value}; shift ;;
        --cpu-dry-run) device=cpu epochs=1 tokens=5 slack=20 sizes=(--repeats 1 --warm-up 0 --scale 0.1) ;;
        -h | --help) sed -n '/^# /s/^# //p;/^set/q' "$0"; exit ;;
        *) fail "unknown argument $1 (see --help)" ;;
    esac
    shift
done
if [[ -z $python ]]; then
    if [[ -x .venv/bin/python ]]; then python=$PWD/.venv/bin/python; else python=python3; fi
fi
absolute() { if [[ $1 == /* ]]; then echo "$1"; else echo "$caller/$1"; fi; }
[[ -n $fsdd ]] || fail "--fsdd FOLDER is needed: the recordings of the Free Spoken Digit Dataset"
fsdd=$(absolute "$fsdd") out=$(absolute "$out")
[[ -d $fsdd ]] || fail "$fsdd: no such folder"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
machine=$("$python" - $device <<'PY'
import sys, torch
if sys.argv[1] == "cpu":
    print("a CPU (dry run), torch", torch.__version__)
elif torch.cuda.is_available():
    print(torch.cuda.get_device_name() + ", torch", torch.__version__)
PY
) || fail "$python cannot import torch"
[[ -n $machine ]] || fail "no CUDA GPU here (or PyTorch without CUDA); --cpu-dry-run tries the script on the CPU"

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=$out/results.jsonl log=$out/log.txt
printf '{"machine": "%s"}\n' "$machine" >"$results"
: >"$log"
failed=()

record() { # NAME RC SECONDS FILE: how a step went, and its last line
    "$python" - "$@" >>"$results" <<'PY'
import json, sys
name, code, seconds, file = sys.argv[1:]
said = [line.strip() for line in open(file, errors="replace") if line.strip()]
print(json.dumps({"step": name, "rc": int(code), "seconds": int(seconds), "says": said[-1][-200:] if said else ""}))
PY
    echo "gpu.sh: $1: $(if [[ $2 == 0 ]]; then echo "ok"; else echo "failed ($2)"; fi), $3 s"
    [[ $2 == 0 ]] || failed+=("$1")
}

step() { # NAME SECONDS COMMAND…: with a limit; all that it prints goes to the log
    local name=$1 limit=$(($2 * slack)) status=0 started=$SECONDS
    shift 2
    { echo "== $name: $*"; timeout --kill-after=10 "$limit" "$@" 2>&1 || status=$?; } >"$work/step.txt"
    cat "$work/step.txt" >>"$log"
    record "$name" "$status" $((SECONDS - started)) "$work/step.txt"
    return 0
}

lines() { # NAME SECONDS COMMAND…: likewise, but what it prints are JSON lines
    local name=$1 limit=$(($2 * slack)) status=0 started=$SECONDS
    shift 2
    echo "== $name: $*" >>"$log"
    timeout --kill-after=10 "$limit" "$@" >>"$results" 2>"$work/step.txt" || status=$?
    cat "$work/step.txt" >>"$log"
    [[ $status != 0 ]] || : >"$work/step.txt"
    record "$name" "$status" $((SECONDS - started)) "$work/step.txt"
}

asr() { "$python" -m asr_topdown.bin.main "$@"; }
export -f asr
export python

contest=(--device "$device" --peers "$peers" "${sizes[@]}")
lines "training steps, equal lengths" 120 "$python" benchmarks/train_step.py "${contest[@]}"
lines "training steps, ragged lengths" 90 "$python" benchmarks/train_step.py "${contest[@]}" --lengths ragged
lines "searches" 90 "$python" benchmarks/decode.py "${contest[@]}" --tokens $tokens --precision float32 bfloat16

data=$work/data
step "data" 60 bash -c "asr prepare fsdd --out '$data' --fold 0 --downloads '$work' --fsdd '$fsdd' &&
    asr features '$data/train' '$data/dev' '$data/test' --config egs/fsdd/conf/blstm_ctc.yaml --nj 8 &&
    asr tokens --config egs/fsdd/conf/blstm_ctc.yaml --train '$data/train' --out '$data/tokens.txt'"
sets=(--train "$data/train" --dev "$data/dev" --tokens "$data/tokens.txt" --device "$device")
sets+=(--set "train.epochs=$epochs" --set "train.patience=$epochs")

# Small networks: they train side by side. Decoded one after the other, so that the real-time factors mean something.
families=()
for family in blstm_ctc {blstm,vgg,transformer,conformer}_ctc_attention transducer; do
    [[ ! -e egs/fsdd/conf/$family.yaml ]] || families+=("$family")
done
train_family() {
    local started=$SECONDS status=0
    timeout --kill-after=10 $((200 * slack)) "$python" -m asr_topdown.bin.main train --config "egs/fsdd/conf/$1.yaml" \
        "${sets[@]}" --exp "$work/exp/$1" >"$work/$1.txt" 2>&1 || status=$?
    echo "$status $((SECONDS - started))" >"$work/$1.status"
}
if [[ $device == cuda ]]; then
    for family in "${families[@]}"; do train_family "$family" & done
    wait
else
    for family in "${families[@]}"; do train_family "$family"; done
fi
for family in "${families[@]}"; do
    { echo "== train $family"; cat "$work/$family.txt"; } >>"$log"
    read -r status seconds <"$work/$family.status"
    record "train $family" "$status" "$seconds" "$work/$family.txt"
    node=$(sed -n 's/^\(.*\): best epoch .*/\1/p' "$work/$family.txt" | tail -n 1)
    [[ $status == 0 ]] || continue
    step "decode $family" 60 "$python" -m asr_topdown.bin.main decode "$data/test" --model "$node" \
        --out "$work/decode/$family" --device $device
done

retraining=(--set "schedule.seeds=[1]" --set "schedule.controls=[]" --workers 1)
[[ $device == cpu ]] || retraining+=(--gpus 1)
step "retraining below the frozen softmax" 120 "$python" -m asr_topdown.bin.main topdown \
    --config egs/fsdd/conf/blstm_ctc.yaml "${sets[@]}" --exp "$work/exp/topdown" "${retraining[@]}"
ASR_TOPDOWN_TEST_DEVICE=$device step "tests" 120 "$python" -m pytest -q -m gpu tests

"$python" benchmarks/tables.py "$results" >"$out/report.md"
echo "gpu.sh: $out/report.md"
((${#failed[@]} == 0)) || fail "failed: $(IFS=,; echo "${failed[*]}")"
