#!/usr/bin/env bash
# Switchboard-1: 286 hours of telephone conversations, from LDC's discs (licensed), tested on eval2000 with NIST's
# scoring; the Transformer of the paper's Table 3, trained jointly, then with its softmax layers frozen. README.md says what
# to buy and what each stage costs:
#     egs/swbd/run.sh --swbd DIR --eval2000-speech DIR --eval2000-transcripts DIR --ngpu 1
set -euo pipefail
cd "$(dirname "$0")"
. ../../utils/recipe.sh

option config conf/transformer_ctc_attention.yaml "the experiment; conf/blstm_ctc.yaml is another" path
option swbd "" "folder with the .sph files of LDC97S62, at any depth" path
option transcripts "" "folder with the MS98 transcripts; empty = in --swbd, or download" path
option eval2000_speech "" "LDC2002S09" path
option eval2000_transcripts "" "LDC2002T43" path
option rt03 "" "LDC2007S10; empty = skip it" path
option rate 16000 "Hz; 8000 = as recorded, with conf/blstm_ctc_8k.yaml" number
option speeds "" "0.9 1.0 1.1 = speed perturbation; the published baseline has none"
option dev_utterances 4000 "size of the dev set, taken from the start" number
start_recipe "$@"

# 0 · Data: sides of calls, mapped words, acronyms, the dev set, at most 300 copies; checks the counts. 2 min, 50 MB.
data=data/$rate log=data/$rate/log
. ./local/data.sh
train=train${speeds:+_sp_${speeds// /_}} tests=(eval2000 ${rt03:+rt03})

# 1 · Features: log mel filter banks of 300 hours, computed once. 34 GB (three times that with --speeds); 20 min on one core.
make_features "$data" "$train" dev "${tests[@]}"

# 2 · Tokens: subwords, or characters, of the training transcripts; each noise is one. 10 s.
make_tokens

# 3 · Joint: all layers together; the Transformer for 100 epochs.
train_on "$train" dev
train_jointly

# 4 · Top-down: freeze the softmax layers, retrain the rest; for a BLSTM, one layer further down each time; and the controls.
train_topdown

# 5 · Decode: every network that the study names, without a language model. A few minutes each.
decode dev "${tests[@]}"

# 6 · Score: joint against top-down, by hubscr's rules: Switchboard, CallHome and all. 20 s each.
for test in "${tests[@]}"; do
    score_options=(--stm "$data/$test/stm" --glm "$data/$test/glm")
    score "$test"
done

# 7 · Report: one page with tables and figures. 10 s.
report eval2000
