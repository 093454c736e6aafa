#!/usr/bin/env bash
# LibriSpeech: audiobooks read by volunteers, 16 kHz, 5 to 960 hours; freely available; characters or subwords; the rows
# of the paper's Table 2, a Conformer-CTC and a Transformer, trained jointly and top-down. See README.md.
#     egs/librispeech/run.sh --parts mini
#     egs/librispeech/run.sh --parts 100 --ngpu 1 --table 2
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option librispeech "" "folder with train-clean-100 and so on; empty = download" path
option parts 100 "hours of training data: mini (five), 100, 460 or 960" name
option partial 0 "1 = accept a copy with fewer utterances" number
option config "" "the experiment; empty = blstm_ctc.yaml in conf, or in conf/mini for mini" path
option source "" "another study in exp/TAG, whose softmax layers are frozen instead of this study's own" name
option table 0 "2 = all rows of the paper's Table 2, the Conformer-CTC and the Transformer" number
read_options "$@"
case $parts in
    mini) conf=conf/mini dev=dev_clean_2 others=() ;;
    100 | 460 | 960) conf=conf dev=dev_clean others=(dev_other) ;;
    *) usage_error "--parts $parts: must be mini, 100, 460 or 960" ;;
esac
config=${config:-$conf/blstm_ctc.yaml}
tag=${tag:-$(basename "$config" .yaml)_$parts${subset:+_$subset}}
# shellcheck disable=SC2119 # the options have been read
start_recipe
if ((table == 2)); then # A and B exchange layers, so all rows share one folder
    run_rows conf/table2.txt "$conf" --table 0 --tag "$(typed --tag "table2_$parts${subset:+_$subset}")"
    exit
elif ((table)); then
    usage_error "--table $table: of the paper's tables, this recipe has Table 2"
fi

# 0 · Data: checks the archives of these parts and their numbers of utterances; the audio stays where it is. Minutes
# after downloads of 1.1 GB (mini), 7.6, 31 or 61 GB.
data=data/$parts sets=("$dev" "${others[@]}" test_clean test_other) log=data/$parts/log
if ((partial)); then copy=(--partial); else copy=(); fi
stage 0 data ${librispeech:+--in "$librispeech"} --out "$data"/{train,"$dev",test_clean}/text -- \
    asr-topdown prepare librispeech --parts "$parts" --out "$data" --downloads downloads \
    ${librispeech:+--librispeech "$librispeech"} "${copy[@]}"

# 1 · Features: 123 values per frame for the BLSTMs, 80 for the others, computed once; 18 GB for 100 hours of the former.
make_features "$data" train "${sets[@]}"

# 2 · Tokens: the characters of the training transcripts, or their subwords. Seconds.
make_tokens

# 3 · Joint: all layers together, until the error on dev_clean has not improved for a while.
train_on train "$dev"
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. Most of the time.
transplant_from_source
train_topdown

# 5 · Decode: every network that the study names, clean and other, dev and test, without a language model.
decode "${sets[@]}"

# 6 · Score: joint against top-down on both test sets, with the paired test. 1 s.
score test_clean test_other

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
report test_clean
