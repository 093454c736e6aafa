"""Normalisation of transcripts, by name."""

import re
import unicodedata
from collections.abc import Callable, Mapping

from asr_topdown.corpora import english

WITHIN_WORDS = "·׳״"
"""Punctuation that is part of a word between two letters (Catalan, Hebrew)."""

_JOINERS = "\u200c\u200d"  # part of the spelling in Persian, Hindi and others
_APOSTROPHES = re.compile("[’ʼ＇]")
_QUOTED = re.compile(r"(?<!\w)'([^']*)'(?!\w)|‘([^‘'’]*)[’'](?!\w)")
_TAG = re.compile(r"<[^<>\s]+>")


def none(text: str) -> str:
    """Convert to Unicode's composed form (NFC), words separated by single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def basic(text: str) -> str:
    """Convert text of any language to NFC and lower case, without punctuation and symbols.

    - `’` becomes `'`. An apostrophe next to a letter or a digit stays (l'eau, students', 't), unless a pair
      of them quotes something. Other punctuation that is part of words (col·lecció, צה״ל) stays between
      letters.
    - All other punctuation and symbols separate words, hyphens too: `re-enter` is `re enter`.
    - Digits stay: how they are read depends on the language.
    - A tag such as `<NOISE>` stays as it is.
    - Invisible formatting characters are removed, except joiners that are part of the spelling.
    """
    text = none(text)
    pieces = zip(_TAG.split(text), [*_TAG.findall(text), ""], strict=True)
    return " ".join(" ".join(f"{_plain(between)} {tag}" for between, tag in pieces).split())


NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "none": none,
    "basic": basic,
    "english": lambda text: none(english.normalise(none(text))),
}


def _plain(text: str) -> str:
    text = _APOSTROPHES.sub("'", _QUOTED.sub(r" \1\2 ", text.lower()))
    kept = "".join(_kept(text, place) for place in range(len(text)))
    # Lower-casing decomposes some letters: İ becomes i and a combining dot.
    return unicodedata.normalize("NFC", " ".join(word for word in kept.split() if word.strip("'")))


def _kept(text: str, place: int) -> str:
    """Return the character at `place`, a space if it separates words, or nothing."""
    character = text[place]
    if in_word(character) or character in _JOINERS:
        return character
    if unicodedata.category(character) == "Cf":
        return ""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if character == "'":
        return character if in_word(before) or in_word(after) else " "
    return character if character in WITHIN_WORDS and in_word(before) and in_word(after) else " "


def in_word(character: str) -> bool:
    """Whether a character is a letter, a mark on one (such as the vowel signs of Hindi) or a digit."""
    return bool(character) and unicodedata.category(character)[0] in "LMN"
