#!/usr/bin/env bash
# Asterisk's English prompts: one professional speaker, 8 kHz, 24 minutes; characters; BLSTM-CTC trained jointly
# and top-down. From nothing to the report in about 20 to 25 minutes on two cores. README.md tells more.
set -euo pipefail
cd "$(dirname "$0")"

stage=0                      # first stage to run
stop_stage=7                 # last stage to run
nj=$(nproc)                  # processes side by side
ngpu=0                       # GPUs to train on; 0 = the CPU
config=conf/blstm_ctc.yaml   # the experiment
tag=blstm_ctc                # results go to exp/TAG
seeds="1"                    # initial weights, a whole study for each: 1,2,3
prompts=""                   # folder with the recordings and core-sounds-en.txt; empty = download
. ../../utils/parse_options.sh
. ../../utils/stages.sh
. ./path.sh
. ./cmd.sh
callers_path config prompts
exp=exp/$tag

# 0 · Data: 551 utterances, split by a hash of the sentence, so that no sentence is in two sets. 10 s and 25 MB.
log=data/log
stage 0 data ${prompts:+--in "$prompts"} --out data/{train,dev,test}/text -- \
    asr-topdown prepare prompts --out data ${prompts:+--prompts "$prompts"}
stage 0 validate --in data/{train,dev,test}/{wav.scp,text,utt2spk} --out data/test/text -- \
    asr-topdown validate data/train data/dev data/test

# 1 · Features: log mel filter banks, computed once because every training of the study reads them. 10 s.
stage 1 features --in data/{train,dev,test}/wav.scp "$config" --out data/{train,dev,test}/feats.scp -- \
    asr-topdown features data/train data/dev data/test --config "$config" "${feats_engine[@]}"

# 2 · Tokens: the characters of the training transcripts. 1 s.
stage 2 tokens --in data/train/text "$config" --out data/tokens.txt -- \
    asr-topdown tokens --config "$config" --train data/train --out data/tokens.txt

# 3 · Train: all layers jointly, until the dev error has not improved for a while. Five minutes.
log=$exp/log
data=(--train data/train --dev data/dev --tokens data/tokens.txt)
inputs=(data/{train,dev}/{feats.scp,text} data/tokens.txt "$config")
stage 3 train --in "${inputs[@]}" --out "$exp/nodes" -- \
    asr-topdown train --config "$config" "${data[@]}" --exp "$exp" --device "$device" --seed "${seeds%%,*}" \
    "${train_engine[@]}"

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the control. Most of the time.
stage 4 topdown --in "${inputs[@]}" --out "$exp/results/study.json" -- \
    asr-topdown topdown --config "$config" "${data[@]}" --exp "$exp" --device "$device" "${search_engine[@]}" \
    --set "schedule.seeds=[$seeds]"

# 5 · Decode: every network that the study names, dev and test. 1 min.
stage 5 decode --in "$exp/results/study.json" data/{dev,test}/feats.scp "$config" --out "$exp/decode" -- \
    asr-topdown decode --exp "$exp" data/dev data/test --config "$config" --device "$device" \
    "${decode_engine[@]}"

# 6 · Score: joint against top-down on the test set, with the paired test. 1 s.
stage 6 score -- asr-topdown score --exp "$exp" data/test

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
stage 7 report --in "$exp/results/study.json" "$exp/decode" --out "$exp/report/report.html" -- \
    asr-topdown report "$exp"
