#!/usr/bin/env bash
# Makes a virtual environment for each toolkit that the benchmarks compare with: ESPnet and SpeechBrain, with the
# same PyTorch as ours. What is there already is left as it is.
#
#   benchmarks/peers.sh [--folder FOLDER] [--python PYTHON] [--torch-index URL] [espnet] [speechbrain]
#
#   --folder FOLDER     where to put them (default: $PEERS, else ~/.cache/asr_topdown/peers)
#   --python PYTHON     the Python to make them with, 3.11 or newer
#   --torch-index URL   look for PyTorch at URL as well: an index of CPU builds saves some gigabytes
#
# PyTorch comes first, the toolkits without what they ask for, then only what their networks and searches import.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "peers.sh: error: $*" >&2; exit 1; }

folder=${PEERS:-$HOME/.cache/asr_topdown/peers} python=python3 torch_index=${TORCH_INDEX:-}
wanted=()
while (($#)); do
    case $1 in
        --folder) folder=${2:?--folder needs a value}; shift ;;
        --python) python=${2:?--python needs a value}; shift ;;
        --torch-index) torch_index=${2:?--torch-index needs a value}; shift ;;
        -h | --help) sed -n '/^# /s/^# //p;/^set/q' "$0"; exit ;;
        espnet | speechbrain) wanted+=("$1") ;;
        *) fail "unknown argument $1 (see --help)" ;;
    esac
    shift
done
((${#wanted[@]})) || wanted=(espnet speechbrain)

install() { "$folder/$peer/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$@"; }

add_espnet() {
    install --no-deps espnet==202511 torch_complex kaldiio jamo==0.4.1
    install numpy scipy editdistance typeguard humanfriendly configargparse opt-einsum packaging PyYAML \
        "importlib-metadata<5.0" librosa einops "setuptools<74"
}

add_speechbrain() {
    install numpy
    install --no-deps speechbrain==1.1.2 hyperpyyaml joblib sentencepiece tqdm "ruamel.yaml<0.19" soundfile cffi \
        pycparser packaging scipy requests huggingface_hub
    install PyYAML
    stand_in_for_torchaudio
}

# SpeechBrain imports torchaudio wherever one touches it; its networks and searches never call it.
stand_in_for_torchaudio() {
    local site
    site=$("$folder/$peer/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/torchaudio"
    cp "$here/peers/torchaudio_stand_in.py" "$site/torchaudio/__init__.py"
}

for peer in "${wanted[@]}"; do
    stamp=$folder/$peer/.installed
    recipe=$(cat "$0" "$here/peers/torchaudio_stand_in.py" | cksum)
    if [[ -f $stamp && "$(cat "$stamp")" == "$recipe" ]]; then
        echo "peers.sh: $folder/$peer is up to date"
        continue
    fi
    echo "peers.sh: making $folder/$peer"
    rm -rf "${folder:?}/$peer"
    mkdir -p "$folder"
    "$python" -m venv "$folder/$peer" || fail "cannot make a virtual environment with $python"
    install ${torch_index:+--extra-index-url "$torch_index"} torch==2.13.0
    "add_$peer"
    echo "$recipe" >"$stamp"
done
