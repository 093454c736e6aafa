# shellcheck shell=bash
# Sourced by run.sh: stage 0, from the discs to data directories.
stage 0 data ${swbd:+--in "$swbd"} ${transcripts:+"$transcripts"} --out "$data"/{train,dev}/text -- \
    asr-topdown prepare swbd --swbd "$swbd" --out "$data" ${transcripts:+--transcripts "$transcripts"} \
    --dev-utterances "$dev_utterances" --sample-rate "$rate"
stage 0 eval2000 ${eval2000_transcripts:+--in "$eval2000_transcripts"} --out "$data"/eval2000/{text,stm,glm} -- \
    asr-topdown prepare eval2000 --out "$data" --sample-rate "$rate" \
    --folders "$eval2000_speech" "$eval2000_transcripts"
if [[ $rt03 ]]; then
    stage 0 rt03 --in "$rt03" --out "$data"/rt03/{text,stm,glm} -- \
        asr-topdown prepare rt03 --rt03 "$rt03" --out "$data" --sample-rate "$rate"
fi
if [[ $speeds ]]; then
    split_words factors "$speeds"
    stage 0 speed --in "$data/train/text" -- \
        asr-topdown data speed "$data/train" --factors "${factors[@]}" --out "$data/train_sp_${speeds// /_}"
fi
