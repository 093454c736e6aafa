# shellcheck shell=bash
# Sourced by a run.sh, after parse_options.sh. A stage is one command:
#
#     stage N NAME --in FILE… --out FILE… -- COMMAND…
#
# It runs if stage <= N <= stop_stage. Its output is shown and kept in $log/N_NAME.log. When it succeeds,
# $log/N_NAME.done keeps a checksum of the command and of the input files (of a YAML file, with what it
# includes); while these are the same and the outputs are there, the stage says so and passes on. A stage
# without --out is there to be read, and always runs. When a stage fails, the end of its log and the command
# that runs this stage again are shown.
#
# The script sets stage, stop_stage and log (a folder).
# shellcheck disable=SC2154

stage() {
    local number=$1 name=$2 record=$log/${1}_$2 status=0 start=$SECONDS word list=none
    local inputs=() outputs=() command=()
    shift 2
    for word in "$@"; do
        case $list:$word in
            command:*) command+=("$word") ;;
            *:--in) list=inputs ;;
            *:--out) list=outputs ;;
            *:--) list="command" ;;
            inputs:*) inputs+=("$word") ;;
            outputs:*) outputs+=("$word") ;;
        esac
    done
    if ((number < stage || number > stop_stage)); then return; fi

    for word in "${inputs[@]}"; do
        if [[ ! -e $word ]]; then
            echo "== stage $number · $name: error: $word is not there; run the stages before this one first" >&2
            exit 1
        fi
    done
    mkdir -p "$log"
    if ((${#outputs[@]})) && all_exist "${outputs[@]}" && [[ "$(cat "$record.done" 2>&1)" == "$(checksum)" ]]; then
        echo "== stage $number · $name: up to date (to do it again: rm $record.done)"
        return
    fi
    rm -f "$record.done"
    echo "== stage $number · $name: ${command[*]}"
    "${command[@]}" 2>&1 | tee -i "$record.log" || status=$?
    if ((status)); then stage_failed; fi
    for word in "${outputs[@]}"; do
        if [[ ! -e $word ]]; then
            echo "the command succeeded but $word is not there" >>"$record.log"
            status=1
            stage_failed
        fi
    done
    checksum >"$record.done"
    echo "== stage $number · $name: done in $((SECONDS - start)) s"
}

checksum() { # of what the calling stage depends on; the package's own code is not part of it
    local file part
    {
        printf '%s\n' "${command[@]}"
        for file in "${inputs[@]}"; do
            if [[ -d $file ]]; then
                ls -lLR "$file" # names, sizes and times: reading all sound would take too long
            elif [[ $file == *.yaml ]]; then
                config_files "$file" | while IFS= read -r part; do cksum "$part"; done
            else
                cksum "$file"
            fi
        done
    } 2>&1 | cksum
}

stage_failed() { # says so, and ends the script with the calling stage's exit status
    local what="FAILED with exit code $status"
    if ((status == 130)); then what=interrupted; fi
    {
        echo "== stage $number · $name: $what. The end of $PWD/$record.log:"
        tail -n 10 "$record.log" | sed 's/^/   | /'
        printf '== to run this stage again:'
        printf ' %q' "$script" "${command_line[@]}" --stage "$number" --stop-stage "$number"
        echo
    } >&2
    exit "$status"
}

all_exist() {
    local file
    for file in "$@"; do [[ -e $file ]] || return 1; done
}

config_files() { # a YAML file after those that it includes (`include: [a.yaml]`, or lines of `- a.yaml`)
    local name
    sed -n '/^include:/,/^[a-z]*:/p' "$1" | sed '2,${/^[a-z]*:/d;}' | grep -oE "[^][ ,\"']+\\.ya?ml" |
        while IFS= read -r name; do config_files "$(dirname "$1")/$name"; done || true
    echo "$1"
}
