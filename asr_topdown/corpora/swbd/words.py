"""Normalisation of words in the MS98 transcripts of Switchboard.

Follows Kaldi's and ESPnet's recipes, including their quirks, so that the training words are the same.
"""

import re

_DROPPED = re.compile(r"\[silence\]", re.IGNORECASE)
_NOISE = re.compile(r"^\[(laughter|noise|vocalized-noise)\]$", re.IGNORECASE)
_ASIDE = re.compile(r"<[be]_aside>", re.IGNORECASE)

# Applied in this order, each at most once per word.
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"^\[laughter-(.+)\](-?)$", r"\1\2"),  # laughed: [laughter-story] -> story
        (r"^\[(.+)/.+\](-?)$", r"\1\2"),  # mispronounced: [it'n/isn't] -> it'n, as spoken
        (r"^-?\[[^][]+\](.+)$", r"-\1"),  # beginning not spoken: -[an]y -> -y
        (r"^(.+)\[[^][]+\]-?$", r"\1-"),  # end not spoken: ab[solute]- -> ab-
        (r"([^][]+)\[.+\]$", r"\1"),  # a mistake: ex[specially]-/especially] -> ex
        (r"^\{(.+)\}$", r"\1"),  # coined: {yuppiedom} -> yuppiedom
        (r"[a-z]\[([^][])+\][a-z]", r"\1-"),  # an error of the recipes, kept: ammu[n]it- -> ammn-t-
        (r"_\d", ""),  # a variant: them_1's -> them's (ESPnet: at the end only)
    )
)


def map_word(word: str) -> str:
    """Apply all rules to a word."""
    for pattern, replacement in _RULES:
        word = pattern.sub(replacement, word, count=1)
    return word


def map_words(text: str) -> list[str]:
    """Normalise the words of a transcript, without `[silence]` and the marks of asides.

    `[laughter]`, `[noise]` and `[vocalized-noise]` become tags, `<laughter>` and so on, which are single
    units.
    """
    kept = [word for word in _ASIDE.sub("", text).split() if not _DROPPED.fullmatch(word)]
    return [_NOISE.sub(r"<\1>", map_word(word)) for word in kept]
