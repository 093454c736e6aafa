#!/usr/bin/env bash
# Mboshi: 4.5 hours of a Bantu language read by three speakers, 16 kHz; characters with tones; the rows of the paper's
# Table 2 at a twentieth of its scale. See README.md.
#     egs/mboshi/run.sh --mboshi DIR --config conf/conformer_ctc.yaml --seeds 1,2,3
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option mboshi "" "folder with full_corpus_newsplit; empty = download" path
option partial 0 "1 = accept a copy with fewer utterances" number
option sample_rate "" "8000 = resample the audio, for conf/source_8k.yaml; empty = 16000, as recorded" number
start_recipe "$@"
data=data${sample_rate:+/$sample_rate}

# 0 · Data: 4,156 training utterances, 460 dev, 514 test; the audio stays where it is. 10 s, and a download of 0.7 GB.
log=$data/log
if ((partial)); then copy=(--partial); else copy=(); fi
stage 0 data ${mboshi:+--in "$mboshi"} --out "$data"/{train,dev,test}/text -- \
    asr-topdown prepare mboshi --out "$data" --downloads downloads ${mboshi:+--mboshi "$mboshi"} \
    ${sample_rate:+--sample-rate "$sample_rate"} "${copy[@]}"
stage 0 validate -- asr-topdown validate "$data/train" "$data/dev" "$data/test"

# 1 · Features: log mel filter banks, computed once because every training of the study reads them. 1 min and 0.5 GB.
make_features "$data" train dev test

# 2 · Tokens: the characters of the training transcripts. 1 s.
make_tokens

# 3 · Joint: all layers together, until the dev error has not improved for a while. Ten to twenty minutes per seed.
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
