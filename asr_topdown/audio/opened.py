"""A sound that is open: how long it is, and any part of its samples."""

import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import soundfile

_BLOCK = 1024
"""Frames that are decoded at a time: at most so many are lost in front of damage."""


class Opened(Protocol):
    """A sound that can be read from within `with`, and again within another one.

    Attributes:
        rate: Hz.
        channels: how many.
        frames: samples of each channel.
        remarks: a line for each thing that is wrong with it and does not keep it from being read.
    """

    rate: int
    channels: int
    frames: int
    remarks: Sequence[str]

    def read(self, first: int, last: int) -> np.ndarray:
        """Samples `first` to `last` - 1, (last - first, channels) float32."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InFile:
    """A sound in which libsndfile can seek, because a sample's place follows from its number.

    Args:
        file: where it is, or what it holds; opened when `with` begins.
        sound: the same file, open just now.
        remarks: what is wrong with it.
    """

    def __init__(self, file: Path | bytes, sound: soundfile.SoundFile, remarks: Sequence[str]) -> None:
        self._file = file
        self._sound: soundfile.SoundFile | None = None
        self.rate: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: int = sound.frames
        self.remarks = remarks

    def read(self, first: int, last: int) -> np.ndarray:
        assert self._sound is not None
        self._sound.seek(first)
        return np.asarray(self._sound.read(last - first, dtype="float32", always_2d=True))

    def __enter__(self) -> Self:
        self._sound = soundfile.SoundFile(as_file(self._file))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sound is not None
        self._sound.close()
        self._sound = None


class InMemory:
    """A sound that has been decoded.

    Args:
        samples: (n, channels), int16 or float32.
        rate: Hz.
        remarks: what is wrong with it.
    """

    def __init__(self, samples: np.ndarray, rate: int, remarks: Sequence[str] = ()) -> None:
        self._samples = samples
        self.rate = rate
        self.frames, self.channels = samples.shape
        self.remarks = remarks

    def read(self, first: int, last: int) -> np.ndarray:
        part = self._samples[first:last]
        return part.astype(np.float32) / 32768 if part.dtype == np.int16 else part.astype(np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class FrontToBack(soundfile.SoundFile):
    """A file that is read from its beginning to its end, as far as that goes.

    libsndfile cannot seek in some codings (GSM), and fails to in files that break off.
    """

    def seekable(self) -> bool:
        return False

    def decode(self) -> tuple[np.ndarray, str]:
        """All samples, (n, channels) float32, and why there are no more; "" at the end."""
        blocks, problem = [np.zeros((0, self.channels), np.float32)], ""
        try:
            while len(block := self.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
        except soundfile.LibsndfileError as error:
            problem = error.error_string
        return np.concatenate(blocks), problem


def as_file(file: Path | bytes) -> Path | io.BytesIO:
    """What libsndfile opens: a path, or a file in memory."""
    return io.BytesIO(file) if isinstance(file, bytes) else file
