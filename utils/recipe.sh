# shellcheck shell=bash
# Sourced by a run.sh, which has changed to its own folder: the options and the stages that all recipes have.
#
#     . ../../utils/recipe.sh
#     option an4 "" "folder with etc and wav; empty = download" path   # this recipe's own (options.sh)
#     start_recipe "$@"                                                # reads them; then comes stage 0
#     make_features data train dev test   # 1  of data/train and so on; the tokens come from the first
#     make_tokens                         # 2
#     train_on train dev                  # what 3 and 4 read, or its subset named by --subset
#     train_jointly                       # 3
#     train_topdown                       # 4
#     decode dev test                     # 5
#     score test                          # 6
#     report test                         # 7
#
# What depends on the configuration is in a folder named by a hash of the settings that determine it,
# so that configurations never mix: features, with the tables, in DATA/features-HASH/SET, tokens in
# DATA/tokens-HASH. Before a stage a recipe may add to topdown_options, decode_options and score_options.
# shellcheck disable=SC2034

utils=${BASH_SOURCE[0]%/*} # ../../utils, or that of a recipe created by `asr-topdown init`
# shellcheck source=utils/options.sh
. "$utils/options.sh"
# shellcheck source=utils/stages.sh
. "$utils/stages.sh"

settings=() # filled by --set
option stage 0 "first stage to run" number
option stop_stage 7 "last stage to run" number
option nj "$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)" "parallel processes" number
option ngpu 0 "GPUs to train on; 0 = the CPU" number
option config conf/blstm_ctc.yaml "the experiment" path
option set "" "overrides one of its settings, e.g. train.epochs=20; may be repeated" settings
option tag "" "results go to exp/TAG; empty = the configuration's name" name
option results study "name of the study, exp/TAG/results/NAME.json; several can share exp/TAG" name
option seeds "" "random seeds, a whole study for each, e.g. 1,2,3; empty = the configuration's"
option subset "" "train on a subset of the training set: p05 p10 p20 p40 p80, or unseen, the rest" name
option joint_data "" "subsets for the joint trainings of subset_scan and epoch_scan: p05,p10"
option sweep_parts "" "subsets on which to repeat depth_sweep: p20,p40"
option percents "5 10 20 40 80" "sizes of the subsets, which are nested; every speaker is in each"
option topdown_args "" "more options of asr-topdown topdown"

start_recipe() { # "$@": reads the options; finds the programs, and sets where they run
    read_options "$@"
    ((nj)) || usage_error "--nj 0: must be at least 1"
    if [[ -z $tag ]]; then
        tag=$(basename "$config" .yaml)${subset:+_$subset}
    fi
    exp=exp/$tag results=${results:-study}
    # shellcheck source=utils/path.sh
    . "$utils/path.sh"
    # shellcheck source=utils/cmd.sh
    if [[ -e cmd.sh ]]; then . ./cmd.sh; else . "$utils/cmd.sh"; fi
    configured=(--config "$config" "${settings[@]}")
    features_hash=$(asr-topdown config "$config" "${settings[@]}" --hash features)
    tokens_hash=$(asr-topdown config "$config" "${settings[@]}" --hash text)
    split_words topdown_options "$topdown_args"
    decode_options=() score_options=()
    trap say_if_nothing_was_done EXIT
}

make_features() { # DATA TRAIN SET…
    data=$1 train_set=$2 features=$1/features-$features_hash log=$1/log
    local sets=("${@:2}") sizes
    [[ -z $(typed --percents "") || $subset || $joint_data || $sweep_parts ]] ||
        usage_error "--percents $percents: has no effect without --subset, --joint-data or --sweep-parts"
    split_words sizes "$percents"
    nested=$features/parts_$(IFS=_; echo "${sizes[*]}")
    stage 1 features --in "${sets[@]/#/$data/}" -- \
        asr-topdown features "${sets[@]/#/$data/}" --out "$features" "${configured[@]}" "${feats_engine[@]}"
    if [[ $subset || $joint_data || $sweep_parts ]]; then
        stage 1 nested --in "$features/$train_set" -- \
            asr-topdown data nested "$features/$train_set" --percent "${sizes[@]}" --out "$nested"
    fi
}

make_tokens() {
    tokens=$data/tokens-$tokens_hash/tokens.txt
    stage 2 tokens --in "$data/$train_set/text" -- \
        asr-topdown tokens "${configured[@]}" --train "$data/$train_set" --out "$tokens"
}

train_on() { # TRAIN DEV
    local train=$features/$1 part
    if [[ $subset ]]; then train=$nested/${1}_$subset; fi
    if [[ $joint_data ]]; then
        topdown_options+=(--joint-data)
        for part in ${joint_data//,/ }; do topdown_options+=("$nested/${1}_$part"); done
    fi
    if [[ $sweep_parts ]]; then
        topdown_options+=(--parts)
        for part in ${sweep_parts//,/ }; do topdown_options+=("$nested/${1}_$part"); done
    fi
    read_by_training "$train" "$features/$2" "$tokens"
}

read_by_training() { # TRAIN DEV TOKENS: paths; exp/TAG/features and exp/TAG/tokens.txt are links for convenience
    if ((stage <= 4 && stop_stage >= 3)) && [[ ${features:-} ]]; then
        mkdir -p "$exp"
        ln -sfnr "$features" "$exp/features" # -r: relative to where exp, which may be a link, really is
        ln -sfnr "$3" "$exp/tokens.txt"
    fi
    inputs=("$@") log=$exp/log
    experiment=("${configured[@]}" --train "$1" --dev "$2" --tokens "$3" --exp "$exp" --device "$device")
    if [[ $seeds ]]; then experiment+=(--set "schedule.seeds=[$seeds]"); fi
}

train_jointly() {
    stage 3 joint --in "${inputs[@]}" -- \
        asr-topdown topdown "${experiment[@]}" "${search_engine[@]}" "${topdown_options[@]}" \
        --results "$results" --search joint
}

train_topdown() {
    stage 4 topdown --in "${inputs[@]}" -- \
        asr-topdown topdown "${experiment[@]}" "${search_engine[@]}" "${topdown_options[@]}" --results "$results"
}

decode() { # SET…
    log=$exp/log
    stage 5 decode --in "$exp/results" "${@/#/$features/}" -- \
        asr-topdown decode "${@/#/$features/}" --exp "$exp" --results "$results" --device "$device" \
        "${configured[@]}" "${decode_options[@]}" "${decode_engine[@]}"
}

score() { # SET…
    log=$exp/log
    local set
    for set in "$@"; do
        stage 6 "score_$set" --in "$exp/decode" -- \
            asr-topdown score "$features/$set" --exp "$exp" --results "$results" "${score_options[@]}"
    done
}

report() { # SET
    log=$exp/log
    stage 7 report --in "$exp/results" -- asr-topdown report "$exp" --set-name "$1"
    if ((stage <= 7 && stop_stage >= 7)); then echo "== the report: $(from_caller "$exp/report/report.html")"; fi
}

run_again() { # OPTION…: this run.sh as it was called, with more options
    attended "$script" "${given_options[@]}" --stage "$stage" --stop-stage "$stop_stage" "$@" </dev/null
    end_if_asked
    stages_run=1
}

typed() { # OPTION DEFAULT: its value on the command line, or DEFAULT
    local place value=$2
    for ((place = 0; place < ${#given_options[@]}; place += 2)); do
        if [[ ${given_options[place]} == "$1" ]]; then value=${given_options[place + 1]}; fi
    done
    echo "$value"
}

run_rows() { # FILE CONF OPTION…: a study for each line of FILE: configuration, name, seeds, study whose softmax is frozen
    local name row_results row_seeds row_source
    for name in --config --results --seeds --source; do
        [[ -z $(typed $name "") ]] || usage_error "$name $(typed $name ""): each row of the table has its own, in $1"
    done
    while read -r name row_results row_seeds row_source; do
        run_again "${@:3}" --config "$2/$name.yaml" --results "$row_results" --seeds "$row_seeds" --source "$row_source"
    done < <(grep -v '^#' "$1")
}

transplant_from_source() { # what --source means for stage 4: the softmax layers of that study, frozen
    if [[ $source ]]; then
        topdown_options+=(--set schedule.search=transplant --set "schedule.source=$source" --set "schedule.controls=[]")
    fi
}
