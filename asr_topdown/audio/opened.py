"""Open sounds, with random access to samples."""

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import soundfile

_BLOCK = 1024
"""Frames decoded at a time, and maximum number lost before damage."""
_MOST_FRAMES = 1 << 40
"""A larger number in a header means an unknown length."""
_ESTIMATE = 0.05
"""Share by which a sound may be shorter than an estimate."""
_MP3_DELAY = 2 * 1152
"""Samples by which an mp3 may be shorter than its header says: encoders count its frames differently."""


class Opened(Protocol):
    """A sound that can be read within `with`, any number of times.

    Attributes:
        rate: in Hz.
        channels: number of channels.
        frames: number of samples per channel.
        remarks: a line for each fault that does not prevent reading.
    """

    @property
    def rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def remarks(self) -> Sequence[str]: ...

    def read(self, first: int, last: int) -> np.ndarray:
        """Return samples `first` to `last` - 1, (last - first, channels) float32; fewer only if truncated."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InFile:
    """A sound in which libsndfile can seek, since samples have a fixed size.

    Args:
        file: its path or content; opened by `with`.
        sound: the same file, open.
        remarks: on the file.
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
    """A decoded sound.

    Args:
        samples: (n, channels), int16 or float32.
        rate: in Hz.
        remarks: on the file.
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


class Streamed:
    """A sound that is decoded from its start, as far as possible; best read sequentially.

    libsndfile cannot seek in some codings (GSM) and in truncated files.

    Args:
        file: its path or content.
        source: its name, for errors.
        remarks: on the file; truncation is added when it is found.
        estimated: whether the length by its header is an estimate, as in an mp3 without a number of frames.
    """

    def __init__(
        self, file: Path | bytes, source: str, remarks: Sequence[str], *, estimated: bool = False
    ) -> None:
        self._file, self._source, self._estimated = file, source, estimated
        self._rewind()
        self.rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self._promised: int = self._sound.frames
        self.remarks: list[str] = list(remarks)
        self._told = False

    @functools.cached_property
    def frames(self) -> int:
        """Number of samples per channel by the header or, if unknown there, by decoding."""
        if 0 < self._promised < _MOST_FRAMES:
            return self._promised
        while self._advance():
            pass
        return self._end

    def read(self, first: int, last: int) -> np.ndarray:
        """Return samples as `Opened.read` does.

        Raises:
            ValueError: naming the source, if nothing can be decoded.
        """
        if first < self._end - len(self._held):
            self._rewind()
        parts = [np.zeros((0, self.channels), np.float32)]
        more = True
        while more:
            start = self._end - len(self._held)
            parts.append(self._held[max(0, first - start) : max(0, last - start)])
            more = self._end < last and self._advance()
        if self._end < last:
            self._tell_end()
        return np.concatenate(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stay open for further reading; closed when garbage-collected."""

    def _rewind(self) -> None:
        self._sound = _FrontToBack(as_file(self._file))
        # Blocks are always the same, so that samples do not depend on the order of reading.
        self._held = np.zeros((0, self._sound.channels), np.float32)
        self._end, self._problem = 0, ""

    def _advance(self) -> bool:
        """Decode the next block; return whether there was one."""
        try:
            block = self._sound.read(self._next_block(), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self._problem = error.error_string
            return False
        if not len(block):
            return False
        self._held = block
        self._end += len(block)
        return True

    def _next_block(self) -> int:
        """Of FLAC no more than there is: libsndfile loses the last block over what follows the sound."""
        exact = self._sound.format == "FLAC" and 0 < self._promised < _MOST_FRAMES
        return min(_BLOCK, self._promised - self._end) if exact else _BLOCK

    def _tell_end(self) -> None:
        why = f" ({self._problem})" if self._problem else ""
        if not self._end and self._problem:
            raise ValueError(f"{self._source}: cannot be decoded{why}")
        tolerance = _MP3_DELAY if self._sound.format == "MP3" else 0
        if self._estimated:
            tolerance = round(_ESTIMATE * self.frames)
        if self._end < self.frames - tolerance and not self._told:
            self._told = True
            self.remarks.append(f"truncated: {self._end} of {self.frames} samples{why}")


class _FrontToBack(soundfile.SoundFile):
    """A file that soundfile reads sequentially."""

    def seekable(self) -> bool:
        return False


def as_file(file: Path | bytes) -> Path | io.BytesIO:
    """Convert a path or content to what libsndfile can open.

    soundfile takes any file whose name ends in `.raw` for one without a header.
    """
    if isinstance(file, Path) and file.suffix.lower() == ".raw":
        file = file.read_bytes()
    return io.BytesIO(file) if isinstance(file, bytes) else file
