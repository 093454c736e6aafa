# shellcheck shell=bash
# Sourced by a run.sh, which has gone to its own folder and set its options in lines that read
#
#     name=default   # what it means
#
# These lines are all there is to say about the options: --name VALUE or --name=VALUE sets one (- and _ are the
# same in a name), --help prints them, anything else is an error. Where the default is written as a whole number
# or as the answer of a command, a whole number is wanted.

caller=$OLDPWD script=$PWD/${0##*/}
# stages.sh says with it how to run a stage again
# shellcheck disable=SC2034
command_line=("$@")

option_block() { # the option lines of the script, above the line that sources this file
    sed -n '/parse_options\.sh/q;/^[a-z_][a-z0-9_]*=.* # /p' "$script"
}

option_error() {
    echo "$0: error: $* (--help lists the options)" >&2
    exit 2
}

show_help() {
    local line name
    sed -n '1d;/^#/!q;s/^# \{0,1\}//p' "$script"
    printf '\nusage: %s [--option value …]\n' "$0"
    while IFS= read -r line; do
        name=${line%%=*}
        printf '  --%-12s %s [%s]\n' "${name//_/-}" "${line#*\# }" "${!name}"
    done < <(option_block)
}

set_option() { # NAME VALUE, the name as it was typed
    local name=${1//-/_}
    option_block | grep -q "^$name=" || option_error "unknown option --$1"
    if option_block | grep -qE "^$name=([0-9]|\\$\()" && [[ ! $2 =~ ^[0-9]+$ ]]; then
        option_error "--$1 $2: must be a whole number"
    fi
    printf -v "$name" %s "$2"
}

while (($#)); do
    case $1 in
        -h | --help) show_help; exit ;;
        --*=*) set_option "$(cut -d= -f1 <<<"${1#--}")" "${1#*=}"; shift ;;
        --*)
            (($# > 1)) || option_error "$1 needs a value"
            set_option "${1#--}" "$2"
            shift 2 ;;
        *) option_error "unexpected argument $1" ;;
    esac
done

callers_path() { # NAME…: let a relative path mean the folder that run.sh was called from
    local name
    for name in "$@"; do
        if [[ -n ${!name} && ! -e ${!name} && -e $caller/${!name} ]]; then printf -v "$name" %s "$caller/${!name}"; fi
    done
}
