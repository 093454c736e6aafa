# shellcheck shell=bash
# Sourced by utils/recipe.sh: the options of a run.sh, which has changed to its own folder.
#
#     option NAME DEFAULT HELP [KIND]    declares --NAME, whose value is the variable NAME (- and _ are the same)
#     read_options "$@"                  sets them from the command line, or shows --help
#
# KIND says what a value must be: `number`, an integer; `name`, that of a file or folder below exp; `path`, relative to
# the recipe's folder or to where run.sh was called from; `settings`, which may be given several times and is an array
# of `--set VALUE`. Undeclared options are errors.

# What was closed (<&- >&- 2>&-) is as good as nowhere to read from and to write to.
{ :; } 2>/dev/null 3<&0 || exec </dev/null
{ :; } 2>/dev/null 3>&1 || exec >/dev/null
{ :; } 3>&2 || exec 2>/dev/null

caller=$OLDPWD script=$PWD/${0##*/}
option_names=()
declare -A option_help=() option_kind=()
given_options=() # as typed, except --stage and --stop-stage

option() { # NAME DEFAULT HELP [KIND]; a second declaration replaces the first
    [[ -n ${option_help[$1]+there} ]] || option_names+=("$1")
    printf -v "$1" %s "$2"
    option_help[$1]=$3 option_kind[$1]=${4:-text}
}

usage_error() {
    echo "$0: error: $* (--help lists the options)" >&2
    exit 2
}

show_help() {
    local name
    sed -n '1d;/^#/!q;s/^# \{0,1\}//p' "$script"
    printf '\nusage: %s [--option value …]\n' "$0"
    for name in "${option_names[@]}"; do
        printf '  --%-12s %s [%s]\n' "${name//_/-}" "${option_help[$name]}" "${!name}"
    done
}

read_options() {
    local name value word
    while (($#)); do
        case $1 in
            -h | --help) show_help; exit ;;
            --*=*) word=${1%%=*} value=${1#*=} ;;
            --*)
                if (($# < 2)) || is_option "${2%%=*}"; then usage_error "$1 needs a value"; fi
                word=$1 value=$2
                shift ;;
            *) usage_error "unexpected argument $1" ;;
        esac
        shift
        name=${word#--} name=${name//-/_}
        is_option "$word" || usage_error "unknown option $word"
        set_option "$name" "$value" "$word"
    done
}

is_option() { # WORD: is it -- and a declared name?
    local name=${1#--}
    name=${name//-/_}
    [[ $1 == --* && $name =~ ^[a-z][a-z0-9_]*$ && -n ${option_help[$name]+there} ]]
}

set_option() { # NAME VALUE WORD, the last as typed
    local name=$1 value=$2 word=$3
    case ${option_kind[$name]} in
        number)
            [[ $value =~ ^[0-9]{1,6}$ ]] || usage_error "$word $value: must be a whole number"
            value=$((10#$value)) ;;
        name)
            [[ $value =~ ^([^./-][^/]*)?$ ]] || usage_error "$word $value: must be a name without /, not begun by . or -" ;;
        path)
            if [[ $value == -* ]]; then value=./$value; fi # no option of the programs that get it
            if [[ -n $value && ! -e $value && -e $caller/$value ]]; then value=$caller/$value; fi ;;
        settings)
            [[ $value == *=* ]] || usage_error "$word $value: must read KEY=VALUE"
            settings+=(--set "$value") ;;
    esac
    printf -v "$name" %s "$value"
    [[ $name == stage || $name == stop_stage ]] || given_options+=("$word" "$2")
}

split_words() { # ARRAY TEXT: its words, on however many lines they are
    IFS=$' \t\n' read -r -d "" -a "$1" <<<"$2" || true # it misses the character that ends a text, of which there is none
}

from_caller() { # a path below the recipe's folder, as seen from where run.sh was called
    local path=$PWD/$1
    path=${path#"${caller%/}/"}
    if [[ $path == run.sh ]]; then path=./run.sh; fi
    echo "$path"
}
