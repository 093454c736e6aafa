"""Units, error counts and error rates: sums over a corpus, never means of ratios."""

import functools
import math
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from rapidfuzz.distance import Levenshtein

from asr_topdown.score.align import Alignment, align_all
from asr_topdown.text import CHARACTERS, SPACE

Unit = Literal["word", "char", "label"]

RATE_NAMES: Mapping[Unit, str] = MappingProxyType({"word": "WER", "char": "CER", "label": "label error"})
RATE_KEYS: Mapping[Unit, str] = MappingProxyType({"word": "wer", "char": "cer", "label": "label_error"})


def words(text: str, nlsyms: Collection[str] = ()) -> list[str]:
    """Split at white space, after removing the symbols `nlsyms` wherever they occur."""
    for tag in nlsyms:
        text = text.replace(tag, "")
    return text.split()


def characters(text: str, nlsyms: Collection[str] = ()) -> list[str]:
    """Split into characters; a run of white space inside the text is one "<space>".

    A tag in angle brackets without white space (<unk>, <NOISE>) is one unit. The symbols `nlsyms`, of
    whatever form ([noise]), are removed, but not the spaces around them, as in ESPnet.
    """
    units = _character_or(tuple(nlsyms)).findall(" ".join(text.split()))
    return [SPACE if unit == " " else unit for unit in units if unit not in nlsyms]


@functools.cache
def _character_or(nlsyms: tuple[str, ...]) -> re.Pattern[str]:
    """Match one of the symbols, the longest first, or else a character or tag."""
    symbols = [re.escape(one) for one in sorted(nlsyms, key=len, reverse=True) if one]
    return re.compile("|".join([*symbols, CHARACTERS.pattern]), CHARACTERS.flags)


Splitter = Callable[[str, Collection[str]], list[str]]
SPLITTERS: Mapping[Unit, Splitter] = MappingProxyType({"word": words, "char": characters, "label": words})


def counted(unit: str) -> tuple[Unit, ...]:
    """Return the units of the error rates for a model with `text.unit: unit`."""
    return ("label",) if unit == "label" else ("char", "word")


@dataclass(frozen=True)
class ErrorCounts:
    """Error counts of an utterance or, summed with `sum(counts, ErrorCounts())`, of a corpus."""

    correct: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        """Number of operations that turn the reference into the hypothesis."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference(self) -> int:
        """Number of units in the reference."""
        return self.correct + self.substitutions + self.deletions

    @property
    def hypothesis(self) -> int:
        """Number of units in the hypothesis."""
        return self.correct + self.substitutions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit, a fraction that can exceed 1.

        Without reference units it is infinite if there are insertions, otherwise 0. In a corpus's sums, an
        utterance with an empty reference counts like any other: its insertions are errors.
        """
        if self.reference:
            return self.errors / self.reference
        return math.inf if self.errors else 0.0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.correct + other.correct,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def count_alignment(alignment: Alignment) -> ErrorCounts:
    """Count the operations of an alignment."""
    return ErrorCounts(*(alignment.operations.count(operation) for operation in "CSDI"))


def count_all(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> list[ErrorCounts]:
    """Align and count each (reference, hypothesis); much faster than `count_errors` one by one."""
    return [count_alignment(alignment) for alignment in align_all(pairs)]


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Align as sclite does (see `asr_topdown.score.align`) and count."""
    return count_all([(reference, hypothesis)])[0]


def distance(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> int:
    """Compute the Levenshtein distance of two strings or sequences of units.

    It is at most `count_errors(...).errors` and usually equal: sclite minimises a cost, not the number of
    errors. Faster, for error rates during training.
    """
    return Levenshtein.distance(reference, hypothesis)
