"""Sound from files, NIST SPHERE, segments and pipes, as float32 mono.

Wav, flac, ogg and libsndfile's other formats are read by soundfile. SPHERE is decoded here, with shorten, the
compression of WSJ. A file that is shorter than its header says is read, with a remark. Commands are run only
on request.
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
from asr_topdown.audio.source import (
    file_of,
    header_seconds,
    is_command,
    num_channels,
    open_bytes,
    open_source,
)

__all__ = [
    "MAX_OVERSHOOT",
    "Clip",
    "NoSoundError",
    "change_speed",
    "check_samples",
    "file_of",
    "header_seconds",
    "info",
    "is_command",
    "num_channels",
    "open_bytes",
    "open_source",
    "read",
    "resample",
    "resampled_length",
]
