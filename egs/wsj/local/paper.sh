# shellcheck shell=bash
# Sourced by run.sh: with --table N or --figure N, runs the recipe for all that this table or figure of the paper holds,
# with whatever else was said.

rows=(--table 0 --figure 0)
section3=("${rows[@]}" --tag "$(typed --tag section3)") # its studies share their joint trainings
case $table:$figure in
    1:0) # joint training on nested parts of si284, and nothing more
        for part in p05 p10 p20 p40 p80; do
            run_again "${section3[@]}" --config conf/subset_scan.yaml --subset $part --results "joint_$part" \
                --set schedule.search=joint
        done ;;
    2:0) # A and B exchange layers, so all rows share one folder
        run_rows conf/table2.txt conf "${rows[@]}" --tag "$(typed --tag "table2${subset:+_$subset}")" ;;
    0:1) # the classifier of each of them frozen, and extractors trained on the 20 % that is in none
        run_again "${section3[@]}" --config conf/subset_scan.yaml --subset unseen --results figure1 \
            --joint-data p05,p10,p20,p40,p80 ;;
    0:2) # the classifier of each epoch of joint training on 80 %, and an extractor for each
        run_again "${section3[@]}" --config conf/epoch_scan.yaml --subset unseen --results figure2 --joint-data p80 ;;
    *) usage_error "--table $table --figure $figure: of the paper, WSJ has Table 1 and 2 and Figure 1 and 2; name one" ;;
esac
