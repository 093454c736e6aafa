"""asr_topdown: end-to-end speech recognition with layer-scheduled training."""

__version__ = "0.1.0"
