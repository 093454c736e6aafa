#!/usr/bin/env bash
# Your own corpus: audio files and their transcripts, in any form that `asr-topdown prepare table` reads (CSV, Common
# Voice, Hugging Face, NeMo, LibriSpeech, text files next to the audio …). From there to the report.
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option source "" "table of transcripts, or the folder that holds them" path
option audio "" "folder with the audio; empty = where the table is" path
option normalise basic "text normalisation: none, basic (any language) or english"
option split train:0.8,dev:0.1,test:0.1 "sets and their proportions"
option split_by transcript "transcript, stratified, speaker or both: what must not be shared between sets"
option table_args "" "more options of asr-topdown prepare table"
start_recipe "$@"

# 0 · Data: one table becomes three sets. If you already have tables for train, dev and test, put three commands here,
# with --source TABLE --out data/SET and no --split. All audio is resampled to the configuration's rate.
log=data/log
split_words table_options "$table_args"
rate=$(asr-topdown config "${configured[@]:1}" --section features.fbank.sample_rate)
if [[ -z $source ]] && ((stage == 0)); then usage_error "--source is missing: where are the transcripts?"; fi
stage 0 data --in "$source" --out data/{train,dev,test}/text -- \
    asr-topdown prepare table --source "$source" ${audio:+--audio "$audio"} --normalise "$normalise" \
    --split "$split" --split-by "$split_by" --sample-rate "$rate" --out data "${table_options[@]}"

# 1 · Features: log mel filter banks, computed once because every training of the study reads them.
make_features data train dev test

# 2 · Tokens: the characters of the training transcripts.
make_tokens

# 3 · Joint: all layers together, until the dev error has not improved for a while.
train_on train dev
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the control. Most of the time.
train_topdown

# 5 · Decode: every network that the study names, dev and test.
decode dev test

# 6 · Score: joint against top-down on the test set, with the paired test.
score test

# 7 · Report: one page with tables, figures and the tree of trainings.
report test
