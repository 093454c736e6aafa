# shellcheck shell=bash
# Sourced by run.sh: with --table N or --figure N, runs the recipe for all that this table or figure of the paper holds,
# with whatever else was said.

run_row() { # OPTION…
    "$script" "${given_options[@]}" --stage "$stage" --stop-stage "$stop_stage" --table 0 --figure 0 "$@" </dev/null
}

section3=(--tag section3) # its studies share their joint trainings
# shellcheck disable=SC2034
stages_run=1 # in runs of their own
case $table:$figure in
    1:0) # joint training on nested parts of si284, and nothing more
        for part in p05 p10 p20 p40 p80; do
            run_row "${section3[@]}" --config conf/subset_scan.yaml --subset $part --results "joint_$part" \
                --set schedule.search=joint
        done ;;
    2:0) # A and B exchange layers, so all rows share one folder
        while read -r name row_results row_seeds row_source; do
            run_row --tag table2 --config "conf/$name.yaml" --results "$row_results" --seeds "$row_seeds" \
                --source "$row_source"
        done < <(grep -v '^#' conf/table2.txt) ;;
    0:1) # the classifier of each of them frozen, and extractors trained on the 20 % that is in none
        run_row "${section3[@]}" --config conf/subset_scan.yaml --subset unseen --results figure1 \
            --joint-data p05,p10,p20,p40,p80 ;;
    0:2) # the classifier of each epoch of joint training on 80 %, and an extractor for each
        run_row "${section3[@]}" --config conf/epoch_scan.yaml --subset unseen --results figure2 --joint-data p80 ;;
    *) usage_error "--table $table --figure $figure: of the paper, WSJ has Table 1 and 2 and Figure 1 and 2; name one" ;;
esac
