#!/usr/bin/env bash
# local/data.sh OUT [FOLDER]: data directories OUT/train, OUT/dev and OUT/test from the recordings in FOLDER, or from a
# download. Three tables in Kaldi's form are all that asr-topdown needs to know of a corpus; no line of Python.
set -euo pipefail
out=$1 folder=${2:-}

if [[ -z $folder ]]; then
    folder=downloads/waves_yesno archive=downloads/waves_yesno.tar.gz
    sum=c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73 # as torchaudio publishes it
    if [[ ! -e $folder ]]; then
        mkdir -p downloads
        curl --fail --silent --show-error --location --proto =https --output $archive \
            https://www.openslr.org/resources/1/waves_yesno.tar.gz
        echo "$sum  $archive" | sha256sum --check --quiet
        mkdir -p $folder.part                             # whole or absent, whatever stops this
        tar -C $folder.part -xzf $archive
        mv $folder.part/waves_yesno $folder
        rm -r $folder.part
    fi
fi

tables=$out/local # every recording, in the order of names
rm -rf "$tables"
mkdir -p "$tables"
for wav in "$folder"/*.wav; do
    utterance=$(basename "$wav" .wav)                     # 0_1_1_0_0_1_0_1: what is said, 1 for yes
    words=${utterance//_/ } words=${words//0/NO}
    echo "$utterance $wav" >>"$tables/wav.scp"            # utterance, where its sound is
    echo "$utterance ${words//1/YES}" >>"$tables/text"    # utterance, what is said
    echo "$utterance speaker" >>"$tables/utt2spk"         # utterance, who says it
done

asr-topdown prepare kaldi --source "$tables" --out "$out/all"
asr-topdown data split "$out/all" --parts train:0.6,dev:0.2,test:0.2 --out "$out"
