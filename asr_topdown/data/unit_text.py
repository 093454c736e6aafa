"""Text in a recogniser's units, the training data of a language model for shallow fusion.

A sentence is a line of units separated by spaces, as `data.language_model` reads words, so that the
recogniser and the language model share the names of units. `<eos>` at the end of each line is the
recogniser's `<sos/eos>`.
"""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from asr_topdown import datadir
from asr_topdown.text import UNKNOWN_ID, Vocabulary
from asr_topdown.text.word_vocabulary import EOS, WordVocabulary


class TextSize(NamedTuple):
    """The size of what `text_in_units` returns; `<eos>` counts as a unit."""

    sentences: int
    units: int
    unknown: int


def unit_vocabulary(vocabulary: Vocabulary) -> WordVocabulary:
    """The vocabulary of a language model over a recogniser's units: these except the blank, and `<eos>`.

    Raises:
        ValueError: if the recogniser has a unit named `<eos>`.
    """
    if EOS in vocabulary.units:
        raise ValueError(f"the recogniser has a unit {EOS}, which ends a sentence here")
    return WordVocabulary((*vocabulary.units[1:], EOS))


def sentences(source: Path) -> Iterator[tuple[str, str]]:
    """(where, sentence) of a data directory's transcripts, or of the lines of a text, in one normal form.

    Raises:
        ValueError, FileNotFoundError: naming file and line, if there is none.
    """
    if source.is_dir():
        for name, text in datadir.read_transcripts(source / "text").items():
            yield f"{source / 'text'}: {name}", text
        return
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                sentence = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{source}:{number}: not UTF-8 ({error.reason})") from None
            yield f"{source}:{number}", datadir.tidy(sentence)


def text_in_units(sources: Iterable[Path], vocabulary: Vocabulary) -> tuple[str, TextSize]:
    """The sentences of `sources` in the units of `vocabulary`, a line each; empty ones are left out.

    The order is shuffled, in the same way each time: a language model reads from one sentence into the next,
    which should not help it, just as when it scores a hypothesis.

    Raises:
        ValueError: naming what cannot be split into units, or if there is no sentence at all.
        FileNotFoundError: if a source is missing.
    """
    lines: list[str] = []
    units = unknown = 0
    sources = list(sources)
    for source in sources:
        for where, sentence in sentences(source):
            try:
                ids = vocabulary.encode(sentence)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            if ids:
                lines.append(" ".join(vocabulary.units[i] for i in ids) + "\n")
                units += len(ids) + 1
                unknown += ids.count(UNKNOWN_ID)
    if not lines:
        raise ValueError(f"{', '.join(map(str, sources))}: no sentence in it")
    random.Random(0).shuffle(lines)
    return "".join(lines), TextSize(len(lines), units, unknown)
