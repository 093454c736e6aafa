#!/usr/bin/env bash
# CMU AN4: addresses, names and numbers spoken and spelled by 84 speakers, 16 kHz, 50 minutes; freely available;
# characters; BLSTM-CTC trained jointly and top-down. See README.md.
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option an4 "" "folder with etc and wav; empty = download" path
option feats "" "folder with cepstra to use instead of the audio, for conf/mfcc.yaml" path
start_recipe "$@"

# 0 · Data: 848 training utterances, 100 dev, 130 test; with --feats, the dev set is nine speakers. 1 s and 64 MB.
data=data${feats:+/mfcc} log=data${feats:+/mfcc}/log
stage 0 data ${an4:+--in "$an4"} ${feats:+--in "$feats"} --out "$data"/{train,dev,test}/text -- \
    asr-topdown prepare an4 --out "$data" --downloads downloads ${an4:+--an4 "$an4"} ${feats:+--feats "$feats"}
stage 0 validate -- asr-topdown validate "$data"/{train,dev,test}

# 1 · Features: log mel filter banks, or the cepstra with their derivatives, computed once for all trainings. 1 min.
make_features "$data" train dev test

# 2 · Tokens: the characters of the training transcripts. 1 s.
make_tokens

# 3 · Joint: all layers together, until the dev error has not improved for a while. A few minutes per seed.
train_on train dev
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. Most of the time.
train_topdown

# 5 · Decode: every network that the study names, dev and test. 1 min.
decode dev test

# 6 · Score: joint against top-down on the test set, with the paired test. 1 s.
score test

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
report test
