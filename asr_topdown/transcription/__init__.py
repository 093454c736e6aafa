"""From sound files to text: `asr-topdown transcribe` and `asr_topdown.load`."""
