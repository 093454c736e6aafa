#!/usr/bin/env bash
# Switchboard-1: 286 hours of telephone conversations, from LDC's discs (licensed), tested on eval2000 as NIST scores
# it; the Transformer of the paper's Table 3, trained jointly, then with its softmax layers frozen. README.md tells what
# to buy and what each stage costs:
#     egs/swbd/run.sh --swbd DIR --eval2000-speech DIR --eval2000-transcripts DIR --ngpu 1
set -euo pipefail
cd "$(dirname "$0")"

stage=0                      # first stage to run
stop_stage=7                 # last stage to run
nj=$(nproc)                  # processes side by side
ngpu=0                       # GPUs to train on; 0 = the CPU, which takes weeks
config=conf/transformer_ctc_attention.yaml   # the experiment; conf/blstm_ctc.yaml is another
tag=transformer              # results go to exp/TAG
seeds="1"                    # initial weights, a whole study for each: 1,2,3
swbd=""                      # folder with the .sph files of LDC97S62, at any depth
transcripts=""               # folder with the MS98 transcripts; empty = in --swbd, or download
eval2000_speech=""           # LDC2002S09
eval2000_transcripts=""      # LDC2002T43
rt03=""                      # LDC2007S10; empty = do without
rate=16000                   # Hz; 8000 = as recorded, with conf/blstm_ctc_8k.yaml and a --data of its own
speeds=""                    # "0.9 1.0 1.1" = speed perturbation; the published baseline has none
dev_utterances=4000          # the first so many are the dev set
data=data                    # data directories; other features need a folder of their own
. ../../utils/parse_options.sh
. ../../utils/stages.sh
. ./path.sh
. ./cmd.sh
callers_path config swbd transcripts eval2000_speech eval2000_transcripts rt03
exp=exp/$tag tokens=exp/$tag/tokens.txt train=$data/train dev=$data/dev tests=("$data/eval2000" ${rt03:+"$data/rt03"})

# 0 · Data: sides of calls, mapped words, acronyms, the dev set, at most 300 copies; counts asserted. 2 min, 50 MB.
log=$data/log
stage 0 data --out "$train/text" "$dev/text" -- asr-topdown prepare swbd --swbd "$swbd" --out "$data" \
    ${transcripts:+--transcripts "$transcripts"} --dev-utterances "$dev_utterances" --sample-rate "$rate"
stage 0 eval2000 --out "$data/eval2000/stm" -- asr-topdown prepare eval2000 --out "$data" --sample-rate "$rate" \
    --folders "$eval2000_speech" "$eval2000_transcripts"
[[ -z $rt03 ]] || stage 0 rt03 --out "$data/rt03/stm" -- \
    asr-topdown prepare rt03 --rt03 "$rt03" --out "$data" --sample-rate "$rate"
if [[ $speeds ]]; then
    train=$data/train_sp
    read -ra factors <<<"$speeds"
    stage 0 speed --in "$data"/train/{text,segments} --out "$train/text" -- \
        asr-topdown prepare speed --source "$data/train" --factors "${factors[@]}" --out "$train"
fi

# 1 · Features: log mel filter banks of 300 hours, once. 34 GB (three times that with --speeds); 20 min on one core.
sets=("$train" "$dev" "${tests[@]}")
stage 1 features --in "${sets[@]/%//wav.scp}" "$config" --out "${sets[@]/%//feats.scp}" -- \
    asr-topdown features "${sets[@]}" --config "$config" "${feats_engine[@]}"

# 2 · Tokens: pieces of words, or characters, of the training transcripts; a noise is one. 10 s.
log=$exp/log
stage 2 tokens --in "$train/text" "$config" --out "$tokens" -- \
    asr-topdown tokens --config "$config" --train "$train" --out "$tokens"

# 3 · Train: all layers jointly; the Transformer for 100 epochs.
common=(--config "$config" --train "$train" --dev "$dev" --tokens "$tokens" --exp "$exp" --device "$device")
inputs=({"$train","$dev"}/{feats.scp,text} "$tokens" "$config")
stage 3 train --in "${inputs[@]}" --out "$exp/nodes" -- \
    asr-topdown train "${common[@]}" --seed "${seeds%%,*}" "${train_engine[@]}"

# 4 · Top-down: freeze the softmax layers, retrain the rest; a BLSTM one layer further down each time; and the controls.
stage 4 topdown --in "${inputs[@]}" --out "$exp/results/study.json" -- \
    asr-topdown topdown "${common[@]}" "${search_engine[@]}" --set "schedule.seeds=[$seeds]"

# 5 · Decode: every network that the study names, without a language model. A few minutes each.
stage 5 decode --in "$exp/results/study.json" "${tests[@]/%//feats.scp}" "$config" --out "$exp/decode" -- \
    asr-topdown decode --exp "$exp" "$dev" "${tests[@]}" --config "$config" --device "$device" \
    "${decode_engine[@]}"

# 6 · Score: joint against top-down, as hubscr does: Switchboard, CallHome and all. 20 s each.
for test in "${tests[@]}"; do
    stage 6 "score_${test##*/}" -- \
        asr-topdown score "$test" --exp "$exp" --stm "$test/stm" --glm "$test/glm"
done

# 7 · Report: one page with tables and figures; its error rates are those of plain transcripts, higher than NIST's. 10 s.
stage 7 report --in "$exp/results/study.json" "$exp/decode" --out "$exp/report/report.html" -- \
    asr-topdown report "$exp" --set-name eval2000
