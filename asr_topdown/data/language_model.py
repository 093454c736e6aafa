"""The text of a language model: parallel columns of word ids, and their segments for training.

As published with the AWD-LSTM (Merity et al. 2018): the text is cut into as many equal columns as the batch
size, the rest is dropped.
"""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor


def content_hash(path: Path) -> str:
    """16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def batchify(ids: Sequence[int] | Tensor, batch: int, *, where: Path | str) -> Tensor:
    """Cut (N,) ids into `batch` parallel texts: (N // batch, batch); the rest is dropped.

    Raises:
        ValueError: naming `where`, if the columns would hold fewer than 3 words, too few to train on.
    """
    rows = len(ids) // batch
    if rows < 3:
        raise ValueError(f"{where}: {len(ids)} words are too few for {batch} columns")
    return torch.as_tensor(ids[: rows * batch]).view(batch, rows).t().contiguous()


class Segment(NamedTuple):
    """The rows that one step of training reads (truncated back-propagation through time).

    Attributes:
        start: the first row.
        length: as drawn; the last segment's may extend beyond the end of the text.
    """

    start: int
    length: int


def bptt_segments(rows: int, bptt: int, *, seed: int, epoch: int) -> list[Segment]:
    """The segments of an epoch, a pure function of (seed, epoch).

    The length is drawn from a normal distribution around `bptt` (in one of twenty cases around its half)
    with standard deviation 5, and is at least 5 (Merity et al. 2018, section 5; their `main.py`).
    """
    generator = random.Random(f"{seed}/{epoch}")
    segments, start = [], 0
    # Two rows short, as published: a last single prediction is not worth a step.
    while start < rows - 2:
        base = bptt if generator.random() < 0.95 else bptt / 2
        segments.append(Segment(start, max(5, int(generator.gauss(base, 5)))))
        start += segments[-1].length
    return segments


class LanguageModelBatch(NamedTuple):
    """A segment of the columns, and the next word of each.

    Attributes:
        ids: which rows, in words.
        words: (T, B) ids.
        targets: (T, B), the words one row further down.
    """

    ids: tuple[str, ...]
    words: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "LanguageModelBatch":
        """The same batch on another device."""
        return LanguageModelBatch(self.ids, self.words.to(device), self.targets.to(device))

    def pinned(self, device: torch.device) -> "LanguageModelBatch":
        """The batch itself: its text is already on the device."""
        return self


def get_batch(text: Tensor, start: int, length: int) -> LanguageModelBatch:
    """The rows from `start` of (N, B) columns: `length`, or up to the last that has a successor."""
    end = min(start + length, len(text) - 1)
    return LanguageModelBatch((f"rows {start} to {end}",), text[start:end], text[start + 1 : end + 1])
