#!/usr/bin/env bash
# Asterisk's telephone prompts in one of five languages, one professional speaker each, 8 kHz, 15 to 25 minutes; characters;
# BLSTM-CTC trained jointly and top-down, or started from another language's. From nothing to the report in about 20 to
# 25 minutes on two cores. See README.md.
#     egs/prompts/run.sh
#     egs/prompts/run.sh --language fr
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option prompts "" "folder with the recordings and core-sounds-LANGUAGE.txt; empty = download" path
option language en "en, es, fr, it or ru" name
read_options "$@"
case $language in
    en) data=data ;;
    es | fr | it | ru) data=data/$language tag=${tag:-$(basename "$config" .yaml)${subset:+_$subset}_$language} ;;
    *) usage_error "--language $language: must be en, es, fr, it or ru" ;;
esac
# shellcheck disable=SC2119 # the options have been read
start_recipe

# 0 · Data: 551 English utterances, split by a hash of the sentence, so that no sentence is in two sets. 10 s and 25 MB.
log=$data/log
stage 0 data ${prompts:+--in "$prompts"} --out "$data"/{train,dev,test}/text -- \
    asr-topdown prepare prompts --language "$language" --out "$data" --downloads downloads ${prompts:+--prompts "$prompts"}
stage 0 validate -- asr-topdown validate "$data"/{train,dev,test}

# 1 · Features: log mel filter banks, computed once because every training of the study reads them. 10 s.
make_features "$data" train dev test

# 2 · Tokens: the characters of the training transcripts. 1 s.
make_tokens

# 3 · Joint: all layers together, until the dev error has not improved for a while. Five minutes per seed.
train_on train dev
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the control. Most of the time.
train_topdown

# 5 · Decode: every network that the study names, dev and test. 1 min.
decode dev test

# 6 · Score: joint against top-down on the test set, with the paired test. 1 s.
score test

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
report test
