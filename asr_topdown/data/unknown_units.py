"""How much of a text a vocabulary does not know: the units of another language give mostly `<unk>`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.text import SPACE, UNKNOWN, UNKNOWN_ID, Vocabulary, tokenise

MOST = {"char": 0.2, "bpe": 0.2, "unigram": 0.2, "word": 0.5}
"""Kind of unit -> share of unknown characters or words from which on the vocabulary cannot be meant."""

_SHOWN = 8


def check_units(text: Path, vocabulary: Vocabulary, tokens: Path) -> str:
    """Compare the transcripts in the file `text` with the vocabulary that was read from `tokens`.

    Returns:
        a remark on what becomes `<unk>`; "" if nothing does.

    Raises:
        ValueError: naming both files and the characters (or words), if more than `MOST` do.
    """
    unknown, total = unknown_units(datadir.read_table(text).values(), vocabulary)
    if not unknown:
        return ""
    share = sum(unknown.values()) / total
    what = "words" if vocabulary.unit == "word" else "characters"
    shown = [f"{unit} ({count})" for unit, count in unknown.most_common(_SHOWN)]
    some = ", ".join([*shown, f"… {len(unknown)} in all"] if len(unknown) > _SHOWN else shown)
    said = f"{text}: {100 * share:.3g} % of its {what} are not in {tokens}"
    if share > MOST[vocabulary.unit]:
        raise ValueError(f"{said}: are these the units of another language? Unknown: {some}")
    return f"{said} and become {UNKNOWN}: {some}"


def unknown_units(texts: Iterable[str], vocabulary: Vocabulary) -> tuple[Counter[str], int]:
    """Characters that the vocabulary does not know (of a vocabulary of words, words), and the number of all.

    Blanks between words do not count, a tag such as `<NOISE>` is one character, and `<unk>` is known.
    """
    counts = _counts(texts, "word" if vocabulary.unit == "word" else "char")
    unknown = {unit: count for unit, count in counts.items() if UNKNOWN_ID in vocabulary.encode(unit)}
    return Counter(unknown), sum(counts.values())


def _counts(texts: Iterable[str], unit: str) -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenise(text, "word" if unit == "word" else "char"))
    for known in (SPACE, UNKNOWN):
        counts.pop(known, None)
    return counts
