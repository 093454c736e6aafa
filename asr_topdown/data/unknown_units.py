"""The share of a text outside a vocabulary: the units of another language give mostly `<unk>`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from asr_topdown.text import SPACE, UNKNOWN, UNKNOWN_ID, Vocabulary, tokenise

MOST = {"char": 0.2, "bpe": 0.2, "unigram": 0.2, "word": 0.5, "label": 0.0}
"""Kind of unit -> share of unknown characters or words above which the vocabulary must be wrong."""

_SHOWN = 8


def check_units(transcripts: Iterable[str], text: Path, vocabulary: Vocabulary, tokens: Path) -> str:
    """Compare `transcripts`, those of the file `text`, with the vocabulary that was read from `tokens`.

    Returns:
        a remark on what becomes `<unk>`; "" if nothing does.

    Raises:
        ValueError: naming both files and the characters (or words), if more than `MOST` do, or the text that
            is not a label.
    """
    try:
        unknown, total = unknown_units(transcripts, vocabulary)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    if not unknown:
        return ""
    share = sum(unknown.values()) / total
    what = {"word": "words", "label": "labels"}.get(vocabulary.unit, "characters")
    shown = [f"{unit} ({count})" for unit, count in unknown.most_common(_SHOWN)]
    some = ", ".join([*shown, f"… {len(unknown)} in all"] if len(unknown) > _SHOWN else shown)
    said = f"{text}: {100 * share:.3g} % of its {what} are not in {tokens}"
    if share > MOST[vocabulary.unit]:
        why = "" if vocabulary.unit == "label" else ": are these the units of another language?"
        raise ValueError(f"{said}{why or ':'} Unknown: {some}")
    return f"{said} and become {UNKNOWN}: {some}"


def unknown_units(texts: Iterable[str], vocabulary: Vocabulary) -> tuple[Counter[str], int]:
    """Characters outside the vocabulary (or words, or labels), and the total number.

    Blanks between words do not count, a tag such as `<NOISE>` is one character, and `<unk>` is known.
    """
    kind = vocabulary.unit
    counts = _counts(texts, "char" if kind == "bpe" or kind == "unigram" else kind)
    unknown = {unit: count for unit, count in counts.items() if UNKNOWN_ID in vocabulary.encode(unit)}
    return Counter(unknown), sum(counts.values())


def _counts(texts: Iterable[str], unit: Literal["char", "word", "label"]) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenise(text, unit))
    for known in (SPACE, UNKNOWN):
        counts.pop(known, None)
    return counts
