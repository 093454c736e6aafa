#!/usr/bin/env bash
# Wall Street Journal: 81 hours of read newspaper text, 16 kHz, from LDC's discs (licensed); characters; BLSTM-CTC
# trained jointly and top-down. One row of the paper's Table 2 is one command; a whole table or figure is one, too:
#     egs/wsj/run.sh --wsj0 DIR --wsj1 DIR --config conf/blstm_ctc_dropout.yaml --seeds 3
#     egs/wsj/run.sh --wsj0 DIR --wsj1 DIR --ngpu 1 --table 2
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option wsj0 "" "folder with the discs of WSJ0 (LDC93S6A or B), in any layout" path
option wsj1 "" "folder with the discs of WSJ1 (LDC94S13A or B)" path
option source "" "another study in exp/TAG, whose softmax layers are frozen instead of this study's own" name
option table 0 "1 or 2 = everything in the paper's table of that number" number
option figure 0 "1 or 2 = everything in the paper's figure of that number" number
start_recipe "$@"
if ((table || figure)); then
    . ./local/paper.sh
    exit
fi

# 0 · Data: finds the sets on the discs, normalises the transcripts, checks the counts. 1 min and 30 MB.
log=data/log
stage 0 data ${wsj0:+--in "$wsj0"} ${wsj1:+--in "$wsj1"} --out data/{train_si284,test_dev93,test_eval92}/text -- \
    asr-topdown prepare wsj ${wsj0:+--wsj0 "$wsj0"} ${wsj1:+--wsj1 "$wsj1"} --out data

# 1 · Features: decodes the compressed audio, once. On one core 0.8 h; 15 GB. With --subset, nested subsets of si284
# that share its features, every speaker in each, and the rest. 1 min.
make_features data train_si284 test_dev93 test_eval92

# 2 · Tokens: the characters of the training transcripts, <NOISE> as one. 1 s.
make_tokens

# 3 · Joint: all layers together, until the CER of dev93 has not improved for five epochs.
train_on train_si284 test_dev93
train_jointly

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. Most of the time.
transplant_from_source
train_topdown

# 5 · Decode: every network that the study names, without a language model. 1 min each.
decode test_dev93 test_eval92

# 6 · Score: joint against top-down on eval92, with the paired test. 1 s.
score test_eval92

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
report test_eval92
