#!/usr/bin/env bash
# make demo: two answers on real speech in a quarter of an hour on two cores. Does it help an English voice to freeze the
# trained softmax and to train the rest anew? And what is its network worth to a French voice: from scratch, nothing frozen,
# one layer, two, all of them? One folder, one page: exp/demo/report/report.html. Options are those of run.sh, as in
#     egs/prompts/demo.sh --seeds 1
set -euo pipefail
recipe=$(dirname "$0")/run.sh
. "$(dirname "$0")/../../utils/stages.sh"
english=(--tag demo --config conf/demo.yaml --results english --seeds "1,2,3" "$@")
french=(--tag demo --config conf/transfer.yaml --results french --seeds "1,2,3" "$@" --language fr --set schedule.source=english)
attended "$recipe" "${english[@]}" --stop-stage 2
attended "$recipe" "${english[@]}" --stage 4 --stop-stage 6 # stage 4 does what stage 3 does, all seeds in parallel
attended "$recipe" "${french[@]}" --stop-stage 2
attended "$recipe" "${french[@]}" --stage 4
