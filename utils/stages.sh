# shellcheck shell=bash
# Sourced by utils/recipe.sh. A stage is one command:
#
#     stage N NAME [--in FILE…] [--out FILE…] -- COMMAND…
#
# It runs if stage <= N <= stop_stage and the files after --in exist. Its output is shown and saved in
# $log/N_NAME.log. When it fails, the end of its log and the command that reruns this stage are shown. A request to end
# the script, SIGTERM or SIGHUP, is passed on to the command, which saves what it has done; the script waits for it.
#
# The commands of asr-topdown know what they have already done and say so. For a command that does not, --out names what
# it makes: the stage is skipped while that exists and neither the command, if it is a script of the recipe its text
# too, nor what is at --in (content of files; names, sizes and times in folders) has changed; $log/N_NAME.done holds a
# checksum of all this. Only one script at a time is in such a stage: a second one waits, and then finds it up to date.
#
# The script sets stage, stop_stage and log (a folder).

stages_run=0

stage() {
    local number=$1 name=$2 word list=none record saved known status=0 start=$SECONDS
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
    ((stages_run += 1))
    if [[ -f ${command[0]} ]]; then inputs+=("${command[0]}"); fi # local/data.sh: made to be edited

    word=$(first_missing "${inputs[@]}")
    if [[ $word ]]; then
        if ((number)); then word+=" is missing; run the earlier stages first"; else word+=": no such file or folder"; fi
        echo "== stage $number · $name: error: $word" >&2
        exit 1
    fi
    mkdir -p "$log"
    record=$log/${number}_$name
    if ((${#outputs[@]})); then
        take_turn "$log/lock" "$number · $name"
        # Before the command: what is changed while it runs may have been read as it was.
        known=$(checksum "$(as_typed "${command[@]}")" "${inputs[@]}")
    fi
    if ((${#outputs[@]})) && [[ -z $(first_missing "${outputs[@]}") ]] &&
        [[ "$(cat "$record.done" 2>&1)" == "$known" ]]; then
        echo "== stage $number · $name: up to date (to do it again: rm $(from_caller "$record.done"))"
        end_turn
        return
    fi
    rm -f "$record.done"
    echo "== stage $number · $name: $(as_typed "${command[@]}")"
    saved=$(new_log "$record.log")
    show_and_save "$saved" "${command[@]}" || status=$?
    word=$(first_missing "${outputs[@]}")
    if ((!status)) && [[ $word ]]; then
        echo "the command succeeded but $word is missing" >>"$saved"
        status=1
    fi
    if ((status)); then stage_failed "$number" "$name" "$saved" "$status"; fi
    if ((${#outputs[@]})); then
        { echo "$known" >"$record.done"; } 2>/dev/null ||
            echo "== $(from_caller "$record.done") cannot be written: this stage will be done again" >&2
    fi
    end_turn
    echo "== stage $number · $name: done in $((SECONDS - start)) s"
    end_if_asked
}

turn="" # a descriptor

take_turn() { # FILE STAGE: locks the file, when no other script has it; goes on without where there are no locks
    local status=0
    { exec {turn}>>"$1"; } 2>/dev/null || return 0
    flock --nonblock "$turn" 2>/dev/null || status=$?
    if ((status == 1)); then
        echo "== stage $2: another script is in it; waiting for its end"
        flock "$turn"
    fi
}

end_turn() {
    if [[ $turn ]]; then exec {turn}>&-; fi
    turn=""
}

new_log() { # FILE: empties and names it; where it cannot be written, as on a read-only disk, says so and names /dev/null
    if { : >"$1"; } 2>/dev/null; then
        echo "$1"
    else
        echo "== $(from_caller "$1") cannot be written: what follows is not saved" >&2
        echo /dev/null
    fi
}

show_and_save() { # LOG COMMAND…: its status
    local status=0 shown tee
    # Appended, so that two scripts with one log lose no line of each other. It ends when the command has closed its output.
    exec {shown}> >(trap "" INT TERM HUP; exec tee -a "$1")
    tee=$!
    attended "${@:2}" >&"$shown" 2>&1 {shown}>&- || status=$?
    exec {shown}>&-
    wait "$tee" || true
    return "$status"
}

# bash acts on a signal only after the command that it waits for, unless it waits by `wait`.
asked="" attended="" signals=0

attended() { # COMMAND…: runs it and passes requests to end on to it; its status
    local status before
    trap 'pass_on TERM' TERM
    trap 'pass_on HUP' HUP
    trap interrupted INT
    # A command in the background ignores Ctrl-C unless told otherwise, and reads nothing.
    (trap - INT QUIT; exec "$@") <&0 &
    attended=$!
    while true; do
        before=$signals status=0
        wait "$attended" || status=$?
        if ((signals == before)); then break; fi # otherwise the signal has ended the waiting, not the command
    done
    trap - TERM HUP INT
    attended=""
    return "$status"
}

pass_on() { # SIGNAL: to the command that is attended; if it is a script, also to what that waits for
    local script_waits_for=""
    asked=$1
    ((signals += 1))
    echo "== SIG$1: passed on to what is running; waiting for its end" >&2
    if [[ $(readlink "/proc/$attended/exe") == */*sh ]]; then
        script_waits_for=$(cat "/proc/$attended/task/$attended/children")
    fi
    # shellcheck disable=SC2086 # these are words
    kill -s "$1" "$attended" $script_waits_for 2>/dev/null || true
}

interrupted() { # Ctrl-C goes to all processes at a terminal; bash before 5 cannot undo that the command ignores it
    ((signals += 1))
    if ((0x$(sed -n 's/^SigIgn:\s*//p' "/proc/$attended/status" 2>/dev/null || true) & 2)); then
        kill -s TERM "$attended" 2>/dev/null || true
    fi
}

end_if_asked() { # of a command that has finished all the same
    if [[ $asked ]]; then
        echo "== ended, as asked by SIG$asked" >&2
        exit $((128 + $(kill -l "$asked")))
    fi
}

checksum() { # COMMAND FILE…: of everything a stage depends on, except the package's own code
    local file
    {
        echo "$1"
        for file in "${@:2}"; do
            if [[ -d $file ]]; then
                ls -lLR --full-time "$file" # reading all audio would take too long
            else
                cksum "$file"
            fi
        done
    } 2>&1 | cksum
}

stage_failed() { # NUMBER NAME LOG STATUS: says so, and ends the script with that status
    local what="FAILED with exit code $4"
    case $4 in
        129) what="stopped by SIGHUP" ;;
        130) what=interrupted ;;
        143) what="stopped by SIGTERM" ;;
    esac
    {
        echo "== stage $1 · $2: $what.$([[ ! -s $3 ]] || echo " The end of $(from_caller "$3"):")"
        tail -n 10 "$3" | sed 's/^/   | /'
        echo "== to run this stage again:" \
            "$(as_typed "$(from_caller "${script##*/}")" "${given_options[@]}" --stage "$1" --stop-stage "$1")"
    } >&2
    exit "$4"
}

as_typed() { # WORD…: quoted where a shell needs it
    local word line=()
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=,+@%-]+$ ]] || word=${word@Q}
        line+=("$word")
    done
    echo "${line[*]}"
}

first_missing() { # FILE…: the first that does not exist; nothing if all do
    local file
    for file in "$@"; do [[ -e $file ]] || { echo "$file"; return; }; done
}

say_if_nothing_was_done() { # when the script ends
    local status=$?
    if ((!status && !stages_run)); then
        echo "$0: error: nothing was done: there is no stage from $stage to $stop_stage" >&2
        exit 2
    fi
}
