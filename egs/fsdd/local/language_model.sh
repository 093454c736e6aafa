# shellcheck shell=bash
# Sourced by run.sh: with --lm WEIGHT, a language model over the recogniser's units, trained on the training transcripts
# (digits follow each other in no order, but their letters do), and the options that decode with it.
if [[ $lm ]]; then
    lm_exp=exp/lm_fold$fold lm_data=${tokens%/*}/lm
    stage 3 lm_text --in "$data"/{train,dev}/text "$tokens" -- \
        asr-topdown prepare lm-text --tokens "$tokens" --train "$data/train" --dev "$data/dev" --out "$lm_data"
    stage 3 lm --in "$lm_data"/{train,dev,units}.txt -- \
        asr-topdown train --config conf/lm.yaml --train "$lm_data/train.txt" --dev "$lm_data/dev.txt" \
        --tokens "$lm_data/units.txt" --exp "$lm_exp" --link "$lm_exp/model" --device "$device"
    lm_model=$lm_exp/$(readlink "$lm_exp/model" || true)
    decode_options+=(--set decode.method=joint_beam --set "decode.lm=$lm_model" --set "decode.lm_weight=$lm")
fi
