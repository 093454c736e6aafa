#!/usr/bin/env bash
# Wall Street Journal: 81 hours of read newspaper text, 16 kHz, from LDC's discs (licensed); characters; BLSTM-CTC
# trained jointly and top-down. One row of the paper's Table 2 is one command, all of them are --table 2:
#     egs/wsj/run.sh --wsj0 DIR --wsj1 DIR --config conf/blstm_ctc_dropout.yaml --tag blstm_ctc_dropout --seeds 3
set -euo pipefail
cd "$(dirname "$0")"

stage=0                      # first stage to run
stop_stage=7                 # last stage to run
nj=$(nproc)                  # processes side by side
ngpu=0                       # GPUs to train on; 0 = the CPU, which takes weeks
config=conf/blstm_ctc.yaml   # the experiment
tag=blstm_ctc                # results go to exp/TAG
results=study                # name of the study, exp/TAG/results/NAME.json; several can share exp/TAG
source=""                    # another study of exp/TAG, whose softmax layers are frozen here instead of one's own
seeds="1"                    # initial weights, a whole study for each: 1,2,3
wsj0=""                      # folder with the discs of WSJ0 (LDC93S6A or B), in any layout
wsj1=""                      # folder with the discs of WSJ1 (LDC94S13A or B)
data=data                    # data directories; other features need a folder of their own
subset=""                    # train on a part of si284: p05 p10 p20 p40 p80 unseen (paper, section 3)
table=0                      # 2 = all rows of Table 2 (conf/table2.txt), one after the other
. ../../utils/parse_options.sh
if ((table)); then
    [[ $table == 2 ]] || option_error "--table $table: only Table 2 is about WSJ"
    while read -r name row_tag row_results row_seeds row_source; do
        "$script" "${command_line[@]}" --table 0 --config "conf/$name.yaml" --tag "$row_tag" \
            --results "$row_results" --seeds "$row_seeds" --source "$row_source" </dev/null
    done < <(grep -v '^#' conf/table2.txt)
    exit
fi
. ../../utils/stages.sh
. ./path.sh
. ./cmd.sh
callers_path config wsj0 wsj1
exp=exp/$tag train=$data/train_si284${subset:+_$subset} dev=$data/test_dev93 test=$data/test_eval92

# 0 · Data: finds the sets on the discs, normalises the transcripts, asserts the counts. 1 min and 30 MB.
log=$data/log
stage 0 data --out "$data"/{train_si284,test_dev93,test_eval92}/text -- \
    asr-topdown prepare wsj ${wsj0:+--wsj0 "$wsj0"} ${wsj1:+--wsj1 "$wsj1"} --out "$data"

# 1 · Features: decodes the compressed sound, once. On one core 0.8 h; 15 GB.
sets=("$data"/{train_si284,test_dev93,test_eval92})
stage 1 features --in "${sets[@]/%//wav.scp}" "$config" --out "${sets[@]/%//feats.scp}" -- \
    asr-topdown features "${sets[@]}" --config "$config" "${feats_engine[@]}"
if [[ $subset ]]; then # nested parts of si284, every speaker in each, and the rest; they share the features. 1 min.
    stage 1 nested --in "$data"/train_si284/{feats.scp,cmvn.ark} --out "$train/feats.scp" "$train/cmvn.ark" -- \
        asr-topdown prepare nested --source "$data/train_si284" --out "$data"
fi

# 2 · Tokens: the characters of the training transcripts, <NOISE> as one. 1 s.
stage 2 tokens --in "$data/train_si284/text" "$config" --out "$data/tokens.txt" -- \
    asr-topdown tokens --config "$config" --train "$data/train_si284" --out "$data/tokens.txt"

# 3 · Train: all layers jointly, until the CER of dev93 has not improved for five epochs.
log=$exp/log
common=(--config "$config" --train "$train" --dev "$dev" --tokens "$data/tokens.txt" --exp "$exp" --device "$device")
inputs=("$train"/{feats.scp,text} "$dev"/{feats.scp,text} "$data/tokens.txt" "$config")
stage 3 "train_$results" --in "${inputs[@]}" --out "$exp/nodes" -- \
    asr-topdown train "${common[@]}" --seed "${seeds%%,*}" "${train_engine[@]}"

# 4 · Top-down: freeze the top, retrain the rest, one layer further down each time; and the controls. Most of the time.
schedule=(--results "$results" --set "schedule.seeds=[$seeds]")
[[ -z $source ]] || schedule+=(--set schedule.search=transplant --set "schedule.source=$source" --set "schedule.controls=[]")
stage 4 "topdown_$results" --in "${inputs[@]}" ${source:+"$exp/results/$source.json"} --out "$exp/results/$results.json" -- \
    asr-topdown topdown "${common[@]}" "${search_engine[@]}" "${schedule[@]}"

# 5 · Decode: every network that the study names, without a language model. 1 min each.
stage 5 "decode_$results" --in "$exp/results/$results.json" {"$dev","$test"}/feats.scp "$config" --out "$exp/decode" -- \
    asr-topdown decode --exp "$exp" "$dev" "$test" --config "$config" --device "$device" "${decode_engine[@]}"

# 6 · Score: joint against top-down on eval92, with the paired test; <NOISE> is no character, as in ESPnet. 1 s.
stage 6 score -- asr-topdown score --exp "$exp" "$test" --unscored '<NOISE>'

# 7 · Report: one page with tables, figures and the tree of trainings. 10 s.
stage 7 report --in "$exp/results" "$exp/decode" --out "$exp/report/report.html" -- \
    asr-topdown report "$exp" --set-name test_eval92
