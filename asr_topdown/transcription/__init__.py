"""From sound files of any kind to text: what `asr-topdown transcribe` and `asr_topdown.load` do."""
