#!/usr/bin/env bash
# A pretrained encoder on connected digits: frozen under a linear CTC output, all of it fine-tuned, and every depth
# between. --path names its folder (config.json, preprocessor_config.json, weights), or a name on the hub:
#     egs/fsdd/local/pretrained.sh --path DIR --stop-stage 3
# Stages as in run.sh; 15 min of sound to train on. With an encoder of base size (95 M parameters), on one core: 5 min
# for the frozen one, nearly all of it its only pass through the sound; 10 min for an epoch of fine-tuning all, so
# that stage 4 wants a GPU (--ngpu 1). Nothing is downloaded but the recordings, and the encoder if a name is given.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=../../../utils/recipe.sh
. ../../utils/recipe.sh

option path "" "the encoder's folder, or its name on the Hugging Face hub" path
option fold 0 "the speaker to test on, 0 to 5; the next one is the dev set" number
option fsdd "" "folder with the recordings; empty = download" path
option config local/pretrained.yaml "the experiment" path
start_recipe "$@"
[[ $path ]] || usage_error "--path: say where the encoder is"
configured+=(--set "model.encoder.0.path=$path")
exp=exp/${tag}_fold$fold

data=data/fold$fold log=data/fold$fold/log
stage 0 data ${fsdd:+--in "$fsdd"} --out "$data"/{train,dev,test}/text -- \
    asr-topdown prepare fsdd --out "$data" --fold "$fold" --downloads downloads ${fsdd:+--fsdd "$fsdd"}

# 1 · Features: there are none; the sound is looked through once. 2 · Tokens: the letters of the digits' names. 5 s.
make_features "$data" train dev test
make_tokens
train_on train dev

# 3 · The encoder frozen, its output computed once; then all of it trained on.
stage 3 frozen --in "${inputs[@]}" -- \
    asr-topdown train "${experiment[@]}" --freeze frontend "enc.*" --link "$exp/models/frozen"
stage 3 tuned --in "${inputs[@]}" -- \
    asr-topdown train "${experiment[@]}" --link "$exp/models/tuned"

# 4 · The lowest k layers frozen, the others trained on, for every k. 5 · to 7 · as in run.sh.
topdown_options+=(--set "schedule.source=$exp/models/frozen")
train_topdown
decode dev test
score test
report test
