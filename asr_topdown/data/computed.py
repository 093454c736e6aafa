"""Utterances whose features have been precomputed by the lowest stages of an encoder."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.files import cannot_write


class Rows(Protocol):
    """Sequences of frames, by the index of their utterance."""

    def __getitem__(self, index: int, /) -> Tensor: ...


class RowsOnDisk:
    """Sequences of frames in a file that disappears when this process ends, however it ends.

    Args:
        folder: with enough space.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 closed when this object is gone
        self._places: dict[int, tuple[int, tuple[int, ...], torch.dtype]] = {}
        self._size = 0
        self._bytes: np.ndarray | None = None

    def put(self, index: int, rows: Tensor) -> None:
        """Append the frames (T, H) of an utterance.

        Raises:
            OSError: naming the folder, if the disk is full.
        """
        self._places[index] = (self._size, tuple(rows.shape), rows.dtype)
        content = rows.contiguous().view(torch.uint8).numpy()
        try:
            self._file.write(content.data)
            self._file.flush()
        except OSError as error:
            raise cannot_write(self._folder / "the frozen layers' output", error) from error
        self._size += content.nbytes
        self._bytes = None

    def __getitem__(self, index: int) -> Tensor:
        """The frames (T, H) of an utterance; may be called by several threads once all are stored."""
        if self._bytes is None:
            self._bytes = np.memmap(self._file, np.uint8, "r")
        start, shape, dtype = self._places[index]
        content = self._bytes[start : start + math.prod(shape) * dtype.itemsize]
        return torch.from_numpy(np.array(content)).view(dtype).view(shape)


class ComputedDataset(SpeechDataset):
    """The utterances of another data set; `frames` is still that of the input, so the batches are the same.

    Args:
        source: the data set.
        hidden: (T', H) of each utterance, the output of stage `start` - 1, in any precision.
        lengths: of each utterance; less than T' if the next stage reads whole windows.
        start: the stage at which batches enter the encoder.
    """

    def __init__(self, source: SpeechDataset, hidden: Rows, lengths: Sequence[int], start: int) -> None:
        super().__init__(source.folder, source.utterances, None)
        self._hidden = hidden
        self._lengths = tuple(lengths)
        self._start = start

    def load(self, index: int) -> Tensor:
        """The lowest stages' output for one utterance."""
        rows = self._hidden[index]
        return rows.float() if rows.dtype == torch.float16 else rows

    def batch(self, indices: Sequence[int]) -> SpeechBatch:
        """As for any data set, entering the encoder at `start`."""
        lengths = torch.tensor([self._lengths[index] for index in indices])
        return super().batch(indices)._replace(feat_lengths=lengths, start=self._start)
