"""Sound from files, NIST SPHERE, segments and pipes, as float32 mono.

Wav, flac, ogg and whatever else libsndfile knows are read by soundfile. SPHERE is read here, and so is
shorten, with which all of WSJ is compressed. A header that promises more than follows does not keep a file
from being read, but is remarked on. Nothing is run as a command unless that is asked for.
"""

from asr_topdown.audio.clip import (
    MAX_OVERSHOOT,
    Clip,
    NoSoundError,
    change_speed,
    check_samples,
    info,
    read,
    resample,
    resampled_length,
)
from asr_topdown.audio.source import header_seconds, num_channels, open_bytes, open_source

__all__ = [
    "MAX_OVERSHOOT",
    "Clip",
    "NoSoundError",
    "change_speed",
    "check_samples",
    "header_seconds",
    "info",
    "num_channels",
    "open_bytes",
    "open_source",
    "read",
    "resample",
    "resampled_length",
]
