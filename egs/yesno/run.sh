#!/usr/bin/env bash
# yesno, Kaldi's smallest corpus: sixty recordings of a man saying yes and no in Hebrew, eight words each, 8 kHz,
# six minutes. Everything in a minute or two. Made to be copied: only local/data.sh is specific to this corpus.
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option yesno "" "folder with the recordings, 0_1_0_0_1_1_0_1.wav and so on; empty = download" path
start_recipe "$@"

# 0 · Data: from the recordings to three sets, by a hash of the words. 5 s and 5 MB.
log=data/log
stage 0 data ${yesno:+--in "$yesno"} --out data/{train,dev,test}/text -- local/data.sh data "$yesno"
stage 0 validate -- asr-topdown validate data/train data/dev data/test

# 1 · Features: log mel filter banks. 5 s.
make_features data train dev test

# 2 · Tokens: YES and NO. 1 s.
make_tokens

# 3 · Joint: all layers together. 20 s.
train_on train dev
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. A minute.
train_topdown

# 5 · Decode: every network that the study names, dev and test. 5 s.
decode dev test

# 6 · Score: joint against top-down on the test set, with the paired test. 1 s.
score test

# 7 · Report: one page with tables, figures and the tree of trainings. 5 s.
report test
