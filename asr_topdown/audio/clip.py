"""Reading a piece of a recording as float32 mono."""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import soxr

from asr_topdown.audio.opened import Opened
from asr_topdown.audio.source import open_source

MAX_OVERSHOOT = 0.5
"""Seconds by which a segment may exceed its recording and is cut; beyond, it is left out, as in Kaldi."""

_LOUDEST = 16.0
"""Limit for float samples, whose full scale is 1; larger ones are integers stored as floats."""
_MOST_RESAMPLING = 64

Remark = Callable[[str], object]
"""Receives one line about a fault in a file that is read nevertheless."""


class Clip(NamedTuple):
    """A piece of a recording.

    Attributes:
        source: a file, or a shell command that ends in `|` and writes a sound file to stdout (Kaldi).
        start, end: in seconds of the source, at its own speed; end None = to its end.
        channel: from 0; None = the source must have only one channel.
        speed: factor of speed and pitch (sox speed, Kaldi's perturbation).
        rate: rate in Hz to resample to; None = unchanged.
    """

    source: str
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    speed: float = 1.0
    rate: int | None = None


class NoSoundError(ValueError):
    """A clip that Kaldi leaves out: beyond the end of its recording, or too short for a frame."""


def read(clip: Clip, *, pipes: bool = False, remark: Remark | None = None) -> tuple[np.ndarray, int]:
    """Read a clip; return its samples, (n,) float32 in [-1, 1], and their rate in Hz.

    Args:
        clip: the piece to read.
        pipes: whether to run a source that ends in `|` as a command.
        remark: called for each fault in a file that is read nevertheless: truncation, a checksum that
            differs, a segment that is cut. None: a warning in the package's log.

    Raises:
        FileNotFoundError: if the file does not exist.
        OSError: if a command fails; the line has the command and the last line of its error output.
        NoSoundError: if the clip begins beyond the end of the sound, or ends too far beyond it.
        ValueError: naming the source, if it is empty, damaged or in an unknown format, holds NaN or integers
            as floats, or has several channels and none is chosen.
    """
    remark = remark or logging.getLogger(__name__).warning
    with open_source(clip.source, pipes=pipes, again=_is_part(clip)) as sound:
        first, last = _span(clip, sound, remark)
        samples = np.ascontiguousarray(sound.read(first, last)[:, _channel(clip, sound.channels)])
        rate = sound.rate
        for line in sound.remarks:
            remark(f"{clip.source}: {line}")
    if not len(samples):
        raise NoSoundError(f"{clip.source}: truncated before a clip that starts at {clip.start:g} s")
    check_samples(clip.source, samples)
    wanted = clip.rate or rate
    try:
        return resample(change_speed(samples, rate, clip.speed), rate, wanted), wanted
    except ValueError as error:
        raise ValueError(f"{clip.source}: {error}") from None


def info(clip: Clip, *, pipes: bool = False) -> tuple[int, int]:
    """Return the rate in Hz and the number of samples of a clip, if possible from the header only.

    Raises:
        as `read`, except for damage that only decoding shows.
    """
    with open_source(clip.source, pipes=pipes, again=_is_part(clip)) as sound:
        first, last = _span(clip, sound, lambda _: None)
        _channel(clip, sound.channels)
        rate = clip.rate or sound.rate
        try:
            return rate, _length_at(sound.rate / rate, _length_at(clip.speed, last - first))
        except ValueError as error:
            raise ValueError(f"{clip.source}: {error}") from None


def change_speed(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """Divide the duration and multiply the pitch by `factor` (sox speed)."""
    if factor == 1.0:
        return samples
    if not 0 < factor < math.inf:
        raise ValueError(f"the speed factor must be positive, got {factor}")
    return _resampled(samples, rate * factor, rate, _length_at(factor, len(samples)))


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Convert sound to another sampling rate."""
    if rate == new_rate:
        return samples
    return _resampled(samples, rate, new_rate, _length_at(rate / new_rate, len(samples)))


def resampled_length(num_samples: int, rate: int, new_rate: int) -> int:
    """Return the number of samples after `resample`.

    Raises:
        ValueError: if the rates differ too much.
    """
    return _length_at(rate / new_rate, num_samples)


def _resampled(samples: np.ndarray, rate: float, new_rate: float, length: int) -> np.ndarray:
    changed = soxr.resample(samples, rate, new_rate)
    # The resampler may round the length differently.
    return np.pad(changed[:length], (0, max(0, length - len(changed))))


def _length_at(speed: float, num_samples: int) -> int:
    if not 1 / _MOST_RESAMPLING <= speed <= _MOST_RESAMPLING:
        raise ValueError(f"cannot resample by a factor of {speed:g}")
    return num_samples if speed == 1.0 else round(num_samples / speed)


def _is_part(clip: Clip) -> bool:
    """Whether other segments of the same recording are likely to follow, so that it is kept open."""
    return clip.end is not None or clip.start > 0


def _span(clip: Clip, sound: Opened, remark: Remark) -> tuple[int, int]:
    """Return the clip's first sample and the one after its last."""
    rate, frames = sound.rate, sound.frames
    lasts = f"the sound lasts {frames / rate:.3f} s"
    if frames == 0:
        raise NoSoundError(f"{clip.source}: has no samples")
    until = "" if clip.end is None else f" and ends at {clip.end:g} s"
    starts = f"{clip.source}: a clip starts at {clip.start:g} s{until}, {lasts}"
    end = frames / rate if clip.end is None else clip.end
    if not (0 <= clip.start < math.inf and (clip.end is None or clip.start < end)):
        raise ValueError(starts)
    if clip.start * rate >= frames - 0.5:
        raise NoSoundError(starts)
    if end > frames / rate + MAX_OVERSHOOT:
        raise NoSoundError(f"{clip.source}: a clip ends at {clip.end:g} s, {lasts}")
    first, last = round(clip.start * rate), round(end * rate)
    if first == last:
        raise NoSoundError(starts)
    if last > frames:
        remark(f"{clip.source}: cut a clip that ends at {clip.end:g} s, {lasts}")
    return first, min(last, frames)


def _channel(clip: Clip, channels: int) -> int:
    if clip.channel is None and channels > 1:
        raise ValueError(
            f"{clip.source}: has {channels} channels, choose one: Clip(..., channel=0) is the first; in a "
            "data directory write `recording file A` (or B) into reco2file_and_channel"
        )
    if clip.channel is not None and not 0 <= clip.channel < channels:
        raise ValueError(f"{clip.source}: the channel must be below {channels}, got {clip.channel}")
    return clip.channel or 0


def check_samples(source: str, samples: np.ndarray) -> None:
    """Raise `ValueError`, naming the source, if samples are not finite or are integers stored as floats."""
    if not np.isfinite(samples).all():
        raise ValueError(f"{source}: has samples that are not finite (NaN or infinity)")
    loudest = float(np.abs(samples).max(initial=0))
    if loudest > _LOUDEST:
        raise ValueError(
            f"{source}: has float samples up to {loudest:g}, but full scale is 1: store integers as "
            "integers, or divide them by 32768"
        )
