# shellcheck shell=bash
# Sourced by run.sh: with --table N or --figure N, runs the recipe for all that this table or figure of the paper holds,
# with whatever else was said.

run_row() { # OPTION…
    "$script" "${given_options[@]}" --stage "$stage" --stop-stage "$stop_stage" --table 0 --figure 0 "$@" </dev/null
}

scan() { # NAME JOINT_DATA OPTION…: section 3, whose studies share their joint trainings
    run_row --tag section3 --config "conf/$1.yaml" --subset unseen --joint-data "$2" "${@:3}"
}

parts=p05,p10,p20,p40,p80
# shellcheck disable=SC2034
stages_run=1 # in runs of their own
case $table:$figure in
    1:0) # joint training on nested parts of si284, and nothing below its classifiers
        if ((stage <= 3)); then scan subset_scan $parts --stop-stage $((stop_stage < 3 ? stop_stage : 3)); fi
        if ((stop_stage >= 5)); then scan subset_scan $parts --stage $((stage > 5 ? stage : 5)); fi ;;
    2:0) # A and B exchange layers, so all rows share one folder
        while read -r name row_results row_seeds row_source; do
            run_row --tag table2 --config "conf/$name.yaml" --results "$row_results" --seeds "$row_seeds" \
                --source "$row_source"
        done < <(grep -v '^#' conf/table2.txt) ;;
    0:1) scan subset_scan $parts --results figure1 ;;
    0:2) scan epoch_scan p80 --results figure2 ;;
    *) usage_error "--table $table --figure $figure: of the paper, WSJ has Table 1 and 2 and Figure 1 and 2; name one" ;;
esac
