#!/usr/bin/env bash
# WikiText-2: a word language model (AWD-LSTM) trained jointly, and retrained below its frozen top (Table 4 of the
# paper). By default a small model on the first tenth of the text, about four minutes per training on one core.
# The published model needs a GPU:
#     egs/wikitext2/run.sh --share 1 --min-count 1 --config conf/awd_lstm.yaml --ngpu 1
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option config conf/cpu.yaml "the experiment" path
option share 0.1 "keep this fraction of each text"
option min_count 5 "rarer words of the training text become <unk>; 1 keeps the published vocabulary" number
option wikitext2 "" "folder with train.txt, valid.txt and test.txt; empty = download" path
start_recipe "$@"

# 0 · Data: the three texts and their vocabulary. 10 s and 13 MB.
data=data/share$share-min$min_count log=data/share$share-min$min_count/log
stage 0 data ${wikitext2:+--in "$wikitext2"} --out "$data"/{train,valid,test,words}.txt -- \
    asr-topdown prepare wikitext2 --out "$data" --share "$share" --min-count "$min_count" \
    --downloads downloads ${wikitext2:+--wikitext2 "$wikitext2"}

# 3 · Joint: all layers together. Four minutes per seed; the published model: see README.md.
read_by_training "$data/train.txt" "$data/valid.txt" "$data/words.txt"
train_jointly

# 4 · Top-down: freeze the tied embedding and softmax, retrain the LSTMs below three times. Three more trainings per seed.
train_topdown

# 6 · Score: perplexity of every network that the study names on the test text. 1 min.
stage 6 score --in "$exp/results" "$data/test.txt" -- \
    asr-topdown score "$data/test.txt" --exp "$exp" --results "$results" --device "$device"

# 7 · Report: one page with tables, learning curves and the tree of trainings. 10 s.
report test
