"""A piece of a recording, as float32 mono."""

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import soxr

from asr_topdown.audio.opened import Opened
from asr_topdown.audio.source import open_source

MAX_OVERSHOOT = 0.5
"""Seconds by which a segment may end behind its recording and is cut; beyond, it is left out, as in Kaldi."""

_LOUDEST = 16.0
"""What is larger than this in a file of floats, whose full scale is 1, has been meant otherwise."""
_MOST_RESAMPLING = 64

Remark = Callable[[str], object]
"""Takes one line about a file in which something is wrong and which is read all the same."""


class Clip(NamedTuple):
    """Where an utterance's sound is.

    Attributes:
        source: a file, or a shell command that ends in `|` and writes a sound file to its output (Kaldi).
        start, end: seconds in the source, at its own speed; end None = up to its end.
        channel: 0 is the first; None = the source must have one channel only.
        speed: how many times faster it is played, and so higher (sox speed, Kaldi's perturbation).
        rate: Hz, to which it is resampled; None = as it is.
    """

    source: str
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    speed: float = 1.0
    rate: int | None = None


class NoSoundError(ValueError):
    """A clip that Kaldi leaves out: it lies behind the end of its recording, or is too short for a frame."""


def read(clip: Clip, *, pipes: bool = False, remark: Remark | None = None) -> tuple[np.ndarray, int]:
    """Samples, float32 in [-1, 1], shape (n,), and their rate in Hz.

    Args:
        clip: where they are.
        pipes: whether a source that ends in `|` is run as a command.
        remark: told of what is wrong with a file that is read all the same: a header that promises more than
            follows, a checksum that differs, a segment that is cut. None: a warning of the package's log.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if a command fails; the line holds the command and the last line of its error output.
        NoSoundError: if the clip begins behind the end of the sound, or ends too far behind it.
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
        raise NoSoundError(f"{clip.source}: breaks off before a clip that starts at {clip.start:g} s")
    check_samples(clip.source, samples)
    wanted = clip.rate or rate
    try:
        return resample(change_speed(samples, rate, clip.speed), rate, wanted), wanted
    except ValueError as error:
        raise ValueError(f"{clip.source}: {error}") from None


def info(clip: Clip, *, pipes: bool = False) -> tuple[int, int]:
    """Rate in Hz and number of samples that `read` would give, without decoding where a header tells.

    Raises:
        as `read`, but for damage that only decoding shows.
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
    """Play `factor` times faster: the duration is divided, the pitch multiplied by it (sox speed)."""
    if factor == 1.0:
        return samples
    if not 0 < factor < math.inf:
        raise ValueError(f"a speed factor must be positive, got {factor}")
    return _resampled(samples, rate * factor, rate, _length_at(factor, len(samples)))


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """The same sound at another sampling rate."""
    if rate == new_rate:
        return samples
    return _resampled(samples, rate, new_rate, _length_at(rate / new_rate, len(samples)))


def resampled_length(num_samples: int, rate: int, new_rate: int) -> int:
    """How many samples `resample` gives.

    Raises:
        ValueError: if the rates are too far from each other.
    """
    return _length_at(rate / new_rate, num_samples)


def _resampled(samples: np.ndarray, rate: float, new_rate: float, length: int) -> np.ndarray:
    changed = soxr.resample(samples, rate, new_rate)
    # The resampler rounds the length in its own way: half a sample at most.
    return np.pad(changed[:length], (0, max(0, length - len(changed))))


def _length_at(speed: float, num_samples: int) -> int:
    if not 1 / _MOST_RESAMPLING <= speed <= _MOST_RESAMPLING:
        raise ValueError(f"cannot be resampled by a factor of {speed:g}")
    return num_samples if speed == 1.0 else round(num_samples / speed)


def _is_part(clip: Clip) -> bool:
    """Segments follow one another in the same recording: it is not decoded anew for each."""
    return clip.end is not None or clip.start > 0


def _span(clip: Clip, sound: Opened, remark: Remark) -> tuple[int, int]:
    """First sample of the clip and the one after its last."""
    rate, frames = sound.rate, sound.frames
    lasts = f"the sound lasts {frames / rate:.3f} s"
    if frames == 0:
        raise NoSoundError(f"{clip.source}: holds no samples")
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
        remark(f"{clip.source}: a clip that ends at {clip.end:g} s is cut, {lasts}")
    return first, min(last, frames)


def _channel(clip: Clip, channels: int) -> int:
    if clip.channel is None and channels > 1:
        raise ValueError(
            f"{clip.source}: has {channels} channels, choose one: Clip(..., channel=0) is the first; in a "
            "data directory write `recording file A` (or B) to reco2file_and_channel"
        )
    if clip.channel is not None and not 0 <= clip.channel < channels:
        raise ValueError(f"{clip.source}: no channel {clip.channel}, it has {channels} (counted from 0)")
    return clip.channel or 0


def check_samples(source: str, samples: np.ndarray) -> None:
    """Raise `ValueError`, naming the source, if samples are not finite or are integers stored as floats."""
    if not np.isfinite(samples).all():
        raise ValueError(f"{source}: holds samples that are not finite (NaN or infinity)")
    loudest = float(np.abs(samples).max(initial=0))
    if loudest > _LOUDEST:
        raise ValueError(
            f"{source}: holds samples up to {loudest:g}, where 1 is full scale: integers stored as "
            "floats? Store them as integers, or divide them by 32768"
        )
