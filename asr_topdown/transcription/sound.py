"""Reading sound for a network from files, file objects or arrays, with any rate and number of channels."""

import logging
from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import soxr
from torch import Tensor

from asr_topdown import audio
from asr_topdown.audio.opened import InMemory, Opened
from asr_topdown.logs import ONCE

log = logging.getLogger(__name__)

SoundSource: TypeAlias = str | Path | BinaryIO | tuple[Any, int]
"""A sound file's path, an open file, or samples, (n,) or (n, channels), with their rate in Hz."""

_SOUND = "a path, an open file or (samples, rate)"

# As in WAV files: type -> (zero, full scale).
_FULL_SCALE = {
    np.dtype(np.int16): (0, 2**15),
    np.dtype(np.int32): (0, 2**31),
    np.dtype(np.uint8): (128, 2**7),
}


class SoundReader:
    """Reads any sound as mono at one rate; logs once if it resamples or mixes.

    Args:
        rate: in Hz.
        channel: of sounds with several channels, from 0; None mixes them.
        block: seconds to read at once.
    """

    def __init__(self, rate: int, channel: int | None = None, block: float = 30.0) -> None:
        self._rate, self._channel, self._block = rate, channel, block
        self._said: set[str] = set()

    def read(self, source: SoundSource) -> Iterator[np.ndarray]:
        """Read a sound in blocks, (n,) float32.

        Raises:
            FileNotFoundError: if the file does not exist.
            ValueError: naming the source, if it cannot be read, is empty, lacks the channel, holds NaN or has
                a rate too far from the model's.
        """
        name = name_of(source)
        with _opened(source, name) as sound:
            if sound.rate != self._rate:
                self._check_rate(sound.rate, name)
                what = f"{sound.rate} Hz, resampled to the model's {self._rate} Hz"
                self._say("rate", f"{name}: {what} (like all such sounds)")
            yield from self._converted(self._blocks(sound, name), sound.rate)
            for remark in sound.remarks:
                log.warning("%s: %s", name, remark)

    def _check_rate(self, rate: int, name: str) -> None:
        """Refuse what blocks would be resampled to without end."""
        try:
            audio.resampled_length(0, rate, self._rate)
        except ValueError as error:
            raise ValueError(f"{name}: {rate} Hz, and the model's rate is {self._rate} Hz: {error}") from None

    def _blocks(self, sound: Opened, name: str) -> Iterator[np.ndarray]:
        """Read non-empty mono blocks at the sound's own rate."""
        size, count = round(self._block * sound.rate), 0
        for first in range(0, sound.frames, size):
            last = min(first + size, sound.frames)
            block = self._mono(sound.read(first, last), name)
            if len(block):
                yield block
            count += len(block)
            if len(block) < last - first:
                break
        if not count:
            raise ValueError(f"{name}: has no samples")

    def _converted(self, blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
        """Resample the blocks."""
        block, following = next(blocks), next(blocks, None)
        if following is None:
            # As for a data directory; a stream of blocks differs by rounding.
            yield audio.resample(block, rate, self._rate)
            return
        change = soxr.ResampleStream(rate, self._rate, 1, dtype="float32")
        while True:
            last = following is None
            yield block if rate == self._rate else change.resample_chunk(block, last=last)
            if following is None:
                return
            block, following = following, next(blocks, None)

    def _mono(self, samples: np.ndarray, name: str) -> np.ndarray:
        channels = samples.shape[1]
        audio.check_samples(name, samples)
        if self._channel is not None and not 0 <= self._channel < channels:
            raise ValueError(f"{name}: the channel must be below {channels}, got {self._channel}")
        if channels > 1 and self._channel is None:
            self._say("channels", f"{name}: {channels} channels, mixed into one (like all such sounds)")
            return samples.mean(1, dtype=np.float32)
        return np.ascontiguousarray(samples[:, self._channel or 0])

    def _say(self, what: str, line: str) -> None:
        if what not in self._said:
            log.warning("%s", line, extra={ONCE: what})
            self._said.add(what)


def is_source(value: object) -> bool:
    """Whether this is one sound, not a sequence of sounds."""
    if isinstance(value, tuple) and len(value) == 2:
        # An array is no sound without a rate, so the second is meant as its rate, whatever it is.
        return isinstance(value[0], np.ndarray | Tensor) or _is_scalar(value[1])
    return isinstance(value, str | Path) or hasattr(value, "read")


def check_several(value: object) -> None:
    """Check that this may be a sequence of sounds.

    Raises:
        ValueError: if it is samples without a rate, bytes, or nothing that has members.
    """
    if not isinstance(value, Iterable) or isinstance(value, bytes | np.ndarray | Tensor):
        raise ValueError(f"sounds must be {_SOUND}, or a list of them, got {type(value).__name__}")


def name_of(source: SoundSource) -> str:
    """Return a source's name in messages and results."""
    if isinstance(source, tuple):
        return "array"
    if isinstance(source, str | Path):
        return str(source)
    name = getattr(source, "name", None)
    return str(name) if isinstance(name, str | Path) else "file object"


def _opened(source: SoundSource, name: str) -> Opened:
    if isinstance(source, tuple):
        return InMemory(*_array(source, name))
    if isinstance(source, str | Path):
        return audio.open_source(str(source))
    if not hasattr(source, "read"):
        raise ValueError(f"a sound must be {_SOUND}, got {type(source).__name__}")
    try:
        content = source.read()
    except ValueError as error:  # closed, or text that is none
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(content, bytes):
        raise ValueError(f"{name}: must be opened in binary mode")
    return audio.open_bytes(content, name)


def _array(source: tuple[Any, ...], name: str) -> tuple[np.ndarray, int]:
    """Return samples (n, channels) float32 in [-1, 1], and their rate."""
    if len(source) != 2 or isinstance(source[1], str) or np.ndim(source[1]):
        raise ValueError(f"{name}: samples must come with their rate: (samples, rate)")
    samples, rate = _numbers(source[0], name), _rate(source[1], name)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or not samples.size:
        raise ValueError(f"{name}: samples must be (n,) or (n, channels), got {samples.shape}")
    if samples.shape[1] > samples.shape[0]:
        raise ValueError(
            f"{name}: samples must be (n, channels), got {samples.shape}, more channels than samples: "
            "transpose them"
        )
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # infinity is refused later
            return samples.astype(np.float32), rate
    if samples.dtype not in _FULL_SCALE:
        known = ", ".join(map(str, _FULL_SCALE))
        raise ValueError(f"{name}: samples must be floats in [-1, 1] or {known}, got {samples.dtype}")
    zero, scale = _FULL_SCALE[samples.dtype]
    return (samples.astype(np.float32) - zero) / scale, rate


def _numbers(samples: Any, name: str) -> np.ndarray:
    """Return the samples of an array, a tensor or a list, with this machine's byte order."""
    if isinstance(samples, Tensor):
        samples = samples.detach().cpu()
        samples = samples.float() if samples.is_floating_point() else samples  # NumPy has no bfloat16
    try:
        found = np.asarray(samples)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: samples must be an array of numbers ({error})") from None
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _rate(value: Any, name: str) -> int:
    """Return a sampling rate, also of a NumPy or PyTorch number."""
    rate = value.item() if hasattr(value, "item") else value
    known = isinstance(rate, Real) and not isinstance(rate, bool)
    if not known or not float(rate).is_integer() or rate <= 0:
        raise ValueError(f"{name}: the sampling rate must be a whole number of Hz above 0, got {rate}")
    return int(rate)


def _is_scalar(value: object) -> bool:
    return isinstance(value, Real) or (isinstance(value, np.ndarray | Tensor) and value.ndim == 0)
