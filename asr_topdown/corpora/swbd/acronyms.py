"""Acronyms of Switchboard: words that the dictionary pronounces letter by letter, written as letters.

`IBM` becomes `i._b._m.`, as in Fisher and Kaldi, and then `i b m`, as in ESPnet's training texts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from asr_topdown.corpora.swbd.words import map_word

# The letters' names in the dictionary's phones (Kaldi's MSU_single_letter).
LETTERS = {
    "a": "ey",
    "b": "b iy",
    "c": "s iy",
    "d": "d iy",
    "e": "iy",
    "f": "eh f",
    "g": "jh iy",
    "h": "ey ch",
    "i": "ay",
    "j": "jh ey",
    "k": "k ey",
    "l": "eh l",
    "m": "eh m",
    "n": "eh n",
    "o": "ow",
    "p": "p iy",
    "q": "k y uw",
    "r": "aa r",
    "s": "eh s",
    "t": "t iy",
    "u": "y uw",
    "v": "v iy",
    "w": "d ah b ax l y uw",
    "x": "eh k s",
    "y": "w ay",
    "z": "z iy",
}

# Three acronyms that sw-ms98-dict.text misspells; Kaldi's patch corrects them.
_CORRECTED = {
    "NAACP": "eh n ey ey s iy p iy",
    "NIT": "eh n ay t iy",
    "NTSC": "eh n t iy eh s s iy",
}
_SUFFIXED = re.compile(r"([A-Za-z]+?)('s|s)")
_CAPITAL = re.compile(r"[A-Z]")


def acronyms(dictionary: Iterable[str]) -> dict[str, str]:
    """Return word -> letters with dots for single letters and all acronyms among lines `word phone phone …`.

    Words are normalised as in transcripts: an acronym may be there only as a variant (`IBM_1`) or laughed
    (`[laughter-IBM]`). It may end in `s` or `'s`, pronounced s or z; `#` begins a comment.
    """
    found = {letter.upper(): f"{letter}." for letter in LETTERS}
    for line in dictionary:
        word, *phones = line.split() or [""]
        if not phones or word.startswith("#"):
            continue
        spoken = map_word(word)
        written = _written(spoken, _CORRECTED.get(word, " ".join(phones)))
        if written:
            found[spoken] = written
    return found


def spell(words: Sequence[str], known: Mapping[str, str]) -> str:
    """Write a text in lower case with acronyms as letters with dots.

    `I` counts as one only next to other single capital letters.
    """
    spelled = list(words)
    for place, word in enumerate(words):
        if word != "I":
            spelled[place] = known.get(word, word) if word != "i" else word
        elif any(_is_capital(words, place + step) for step in (-1, 1)):
            spelled[place] = known["I"]
    return " ".join(spelled).lower()


def without_dots(text: str) -> str:
    """Convert `i._b._m.` to `i b m`, the form that is scored and therefore trained on."""
    return text.replace("._", " ").replace(".", "")


def _is_capital(words: Sequence[str], place: int) -> bool:
    return 0 <= place < len(words) and bool(_CAPITAL.fullmatch(words[place]))


def _written(word: str, phones: str) -> str | None:
    """Return `word` as letters with dots if it is an acronym, else None."""
    suffixed = _SUFFIXED.fullmatch(word)
    if suffixed:
        letters, suffix = suffixed.groups()
        if phones[-1:] not in ("s", "z"):
            return None
        phones = phones[:-2]
    elif word.isascii() and word.isalpha():
        letters, suffix = word, ""
    else:
        return None
    if " ".join(LETTERS[letter] for letter in letters.lower()) != phones:
        return None
    return "._".join(letters.lower()) + "." + suffix
