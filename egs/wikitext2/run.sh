#!/usr/bin/env bash
# WikiText-2: a word language model (AWD-LSTM) trained jointly, and retrained below its frozen top (Table 4 of the
# paper). By default a small model on the first tenth of the text, about four minutes per training on one core.
# The published model wants a GPU:
#     egs/wikitext2/run.sh --share 1 --min-count 1 --config conf/awd_lstm.yaml --tag awd_lstm --ngpu 1
set -euo pipefail
cd "$(dirname "$0")"

stage=0                      # first stage to run
stop_stage=7                 # last stage to run
nj=$(nproc)                  # processes side by side
ngpu=0                       # GPUs to train on; 0 = the CPU
config=conf/cpu.yaml         # the experiment
tag=cpu                      # results go to exp/TAG
seeds="1"                    # initial weights, a whole study for each: 1,2,3
share="0.1"                  # keep so much of each text
min_count=5                  # rarer words of the training text become <unk>; 1 keeps the published vocabulary
wikitext2=""                 # folder with train.txt, valid.txt and test.txt; empty = download
. ../../utils/parse_options.sh
. ../../utils/stages.sh
. ./path.sh
. ./cmd.sh
callers_path config wikitext2
data=data/share$share-min$min_count exp=exp/$tag

# 0 · Data: the three texts and their words. 10 s and 13 MB.
log=$data/log
stage 0 data ${wikitext2:+--in "$wikitext2"} --out "$data"/{train,valid,test,words}.txt -- \
    asr-topdown prepare wikitext2 --out "$data" --share "$share" --min-count "$min_count" \
    --downloads downloads ${wikitext2:+--wikitext2 "$wikitext2"}

# 3 · Train: all layers jointly. Four minutes; the published model: see README.md.
log=$exp/log
texts=(--train "$data/train.txt" --dev "$data/valid.txt" --tokens "$data/words.txt")
inputs=("$data"/{train,valid,words}.txt "$config")
stage 3 train --in "${inputs[@]}" --out "$exp/nodes" -- \
    asr-topdown train --config "$config" "${texts[@]}" --exp "$exp" --device "$device" --seed "${seeds%%,*}" \
    "${train_engine[@]}"

# 4 · Top-down: freeze the tied embedding and softmax, retrain the LSTMs; and the controls. Five more trainings a seed.
stage 4 topdown --in "${inputs[@]}" --out "$exp/results/study.json" -- \
    asr-topdown topdown --config "$config" "${texts[@]}" --exp "$exp" --device "$device" "${search_engine[@]}" \
    --set "schedule.seeds=[$seeds]"

# 6 · Score: perplexity of every network on the test text. 1 min.
stage 6 score -- asr-topdown score "$data/test.txt" --exp "$exp" --device "$device"

# 7 · Report: one page with tables, learning curves and the tree of trainings. 10 s.
stage 7 report --in "$exp/results/study.json" "$exp/decode" --out "$exp/report/report.html" -- \
    asr-topdown report "$exp"
