#!/usr/bin/env bash
# Connected digits from the Free Spoken Digit Dataset: six speakers, 8 kHz, four to train, one dev, one test;
# characters; BLSTM-CTC trained jointly and top-down. See README.md. All six folds:
#     for fold in 0 1 2 3 4 5; do egs/fsdd/run.sh --fold $fold; done
# Or its recordings one by one, each with one label, the digit or the speaker:
#     egs/fsdd/run.sh --task digit
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option fold 0 "the test speaker, 0 to 5; the next one is the dev set" number
option fsdd "" "folder with the recordings; empty = download" path
option lm "" "weight of a language model over the same units in decoding, e.g. 0.5; empty = none"
option task connected "connected digits; or one label for each recording: digit, speaker" name
option config "" "the experiment; empty = conf/blstm_ctc.yaml, of labels conf/label.yaml" path
read_options "$@"
case $task in
    connected) config=${config:-conf/blstm_ctc.yaml} data=data/fold$fold ;;
    digit | speaker)
        [[ -z $lm ]] || usage_error "--lm $lm: labels have no language model"
        config=${config:-conf/label.yaml} data=data/${task}_fold$fold
        tag=${tag:-$(basename "$config" .yaml)${subset:+_$subset}_$task} ;;
    *) usage_error "--task $task: must be connected, digit or speaker" ;;
esac
# shellcheck disable=SC2119 # the options have been read
start_recipe
exp=exp/${tag}_fold$fold

# 0 · Data: strings of three to seven digits; their audio is concatenated and written. 20 s and 60 MB. With labels: 1 s.
log=$data/log
stage 0 data ${fsdd:+--in "$fsdd"} --out "$data"/{train,dev,test}/text -- \
    asr-topdown prepare fsdd --task "$task" --out "$data" --fold "$fold" --downloads downloads ${fsdd:+--fsdd "$fsdd"}
stage 0 validate -- asr-topdown validate "$data/train" "$data/dev" "$data/test"

# 1 · Features: log mel filter banks, computed once because every training of the study reads them. 15 s.
make_features "$data" train dev test

# 2 · Tokens: the characters of the training transcripts, or the labels. 1 s.
make_tokens

# 3 · Joint: all layers together, until the dev error has not improved for a while. Half a minute per seed.
train_on train dev
train_jointly

# With --lm, also a language model, which is then used in decoding. 1 min.
. ./local/language_model.sh

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. Most of the time.
train_topdown

# 5 · Decode: every network that the study names, dev and test. 1 min.
decode dev test

# 6 · Score: joint against top-down on the test set, with the paired test. 1 s.
score test

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
report test
