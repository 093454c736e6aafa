"""The text of a language model: words to ids, columns side by side, and how it is cut for training.

As published with the AWD-LSTM (Merity et al. 2018): words are what white space parts, each line (blank ones
too) ends in `<eos>`, the text is cut into as many equal columns as the batch is wide, the rest is dropped.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown import files

EOS = "<eos>"


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, word) of a text, with `<eos>` at the end of each line.

    Raises:
        ValueError: naming the file and the line, if it is empty or not UTF-8.
        FileNotFoundError: if there is no such file.
    """
    number = 0
    try:
        # Not splitlines(), which cuts at characters that are no line ends in WikiText.
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                for word in line.split():
                    yield number, word
                yield number, EOS
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{number + 1}: not UTF-8 ({error.reason})") from None
    if not number:
        raise ValueError(f"{path}: the file is empty")


def content_hash(path: Path) -> str:
    """16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Dictionary:
    """The words that a language model knows; a word's id is its place."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, paths: Iterable[Path]) -> "Dictionary":
        """All words of the texts, in the order of their first occurrence.

        Raises:
            ValueError, FileNotFoundError: as `words_of`.
        """
        return cls(tuple(dict.fromkeys(word for path in paths for _, word in words_of(path))))

    @classmethod
    def load(cls, path: Path | str) -> "Dictionary":
        """Read what `save` wrote.

        Raises:
            ValueError: naming file and line, if it is anything else.
            FileNotFoundError: if there is no such file.
        """
        lines = files.read_lines(path) or [""]
        seen: set[str] = set()
        for number, word in enumerate(lines, 1):
            if word.split() != [word] or word in seen:
                raise ValueError(f"{path}:{number}: needs one new word in each line, got {word!r}")
            seen.add(word)
        return cls(tuple(lines))

    def save(self, path: Path | str) -> None:
        """Write one word in each line."""
        files.write_text(path, "".join(f"{word}\n" for word in self.words))

    def read(self, path: Path | str) -> Tensor:
        """The (N,) ids of a text.

        Raises:
            ValueError: naming the file, the line and the word, if one is not in the dictionary.
            FileNotFoundError: if there is no such file.
        """
        path, ids = Path(path), []
        for number, word in words_of(path):
            if word not in self._ids:
                raise ValueError(f"{path}:{number}: the word {word!r} is not in the vocabulary")
            ids.append(self._ids[word])
        return torch.tensor(ids)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}


def batchify(ids: Tensor, batch: int, *, where: Path | str) -> Tensor:
    """Cut (N,) ids into `batch` texts that stand side by side: (N // batch, batch); the rest is dropped.

    Raises:
        ValueError: naming `where`, if the columns would hold fewer than 3 words, too few to train on.
    """
    rows = len(ids) // batch
    if rows < 3:
        raise ValueError(f"{where}: {len(ids)} words are too few for {batch} columns")
    return ids[: rows * batch].view(batch, rows).t().contiguous()


class Segment(NamedTuple):
    """The rows that one step of training reads (truncated back-propagation through time).

    Attributes:
        start: the first row.
        length: as drawn; the last segment's may reach beyond the end of the text.
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
    """A segment of the columns, and what comes next in each.

    Attributes:
        ids: which rows, in words.
        words: (T, B) ids.
        targets: (T, B), the words one row further down.
    """

    ids: tuple[str, ...]
    words: Tensor
    targets: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What `model.loss` takes."""
        return self.words, self.targets

    def to(self, device: torch.device) -> "LanguageModelBatch":
        """The same batch on another device."""
        return LanguageModelBatch(self.ids, self.words.to(device), self.targets.to(device))

    def pin_memory(self) -> "LanguageModelBatch":
        """The batch itself: its text is on the GPU already."""
        return self


def get_batch(text: Tensor, start: int, length: int) -> LanguageModelBatch:
    """The rows from `start` of (N, B) columns: `length`, or up to the last that has a next one."""
    end = min(start + length, len(text) - 1)
    return LanguageModelBatch((f"rows {start} to {end}",), text[start:end], text[start + 1 : end + 1])
