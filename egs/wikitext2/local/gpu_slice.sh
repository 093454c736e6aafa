#!/usr/bin/env bash
# The published model on a GPU that is there for a short while: call it again and again. Each call goes on from the
# last checkpoint and stops after --seconds. The first one measures a training step and fixes the number of epochs
# so that joint training takes half of --minutes; the retraining below its frozen top gets as many. When both are
# done, it scores them and writes exp/TAG/report/report.md.
set -euo pipefail
cd "$(dirname "$0")"

# shellcheck source=utils/options.sh
. ../../../utils/options.sh

option seconds 540 "stop this call after that many seconds" number
option minutes 28 "GPU time for both trainings" number
option epochs 0 "of each training; 0 = as many as fit" number
option device cuda "where to train"
option precision bfloat16 "of matrix products; float32 on hardware without bfloat16"
option config conf/awd_lstm.yaml "the experiment" path
option tag awd_lstm_slices "results go to exp/TAG" name
option seed 1 "initial weights" number
option share 1 "keep this share of each text"
option wikitext2 "" "folder with train.txt, valid.txt and test.txt; empty = download" path
cd ..
read_options "$@"
# shellcheck source=utils/path.sh
. ../../utils/path.sh
data=data/share$share-min1 exp=exp/$tag

if [[ ! -e $data/words.txt ]]; then
    asr-topdown prepare wikitext2 --out "$data" --share "$share" --downloads downloads \
        ${wikitext2:+--wikitext2 "$wikitext2"}
fi

mkdir -p "$exp"
if [[ ! -e $exp/epochs ]]; then
    if ((epochs == 0)); then
        python3 ../../benchmarks/awd_lstm.py --device "$device" --precision "$precision" | tee "$exp/speed.json"
        # A tenth for evaluations and checkpoints.
        epochs=$(python3 -c 'import json, sys
speed = json.load(open(sys.argv[1]))
print(max(1, int(0.9 * 30 * float(sys.argv[2]) / speed["epoch_seconds"])))' "$exp/speed.json" "$minutes")
    fi
    echo "$epochs" >"$exp/epochs"
fi
epochs=$(cat "$exp/epochs")

settings=(
    --set "train.epochs=$epochs" --set "train.precision=$precision" --set run.checkpoint_minutes=1
    --set "schedule.seeds=[$seed]" --set schedule.freeze_top.repeats=1
)
status=0
timeout --signal=INT --kill-after=20 "$seconds" \
    asr-topdown topdown --config "$config" --exp "$exp" --device "$device" "${settings[@]}" \
    --train "$data/train.txt" --dev "$data/valid.txt" --tokens "$data/words.txt" || status=$?
if ((status == 124 || status == 137)); then
    echo "== the time of this call is over; call it again to go on ($epochs epochs of each training)"
    exit 0
elif ((status)); then
    exit "$status"
fi
asr-topdown score "$data/test.txt" --exp "$exp" --device "$device"
asr-topdown report "$exp"
