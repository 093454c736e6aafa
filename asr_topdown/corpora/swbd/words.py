"""What becomes of the words of the MS98 transcripts of Switchboard, rule by rule.

After Kaldi's and ESPnet's recipes, quirks included, so that a network sees the words that theirs saw.
"""

import re

_DROPPED = re.compile(r"\[silence\]", re.IGNORECASE)
_NOISE = re.compile(r"^\[(laughter|noise|vocalized-noise)\]$", re.IGNORECASE)
_ASIDE = re.compile(r"<[be]_aside>", re.IGNORECASE)

# In this order, each once per word.
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"^\[laughter-(.+)\](-?)$", r"\1\2"),  # laughed: [laughter-story] -> story
        (r"^\[(.+)/.+\](-?)$", r"\1\2"),  # mispronounced: [it'n/isn't] -> it'n, as it was said
        (r"^-?\[[^][]+\](.+)$", r"-\1"),  # beginning not spoken: -[an]y -> -y
        (r"^(.+)\[[^][]+\]-?$", r"\1-"),  # end not spoken: ab[solute]- -> ab-
        (r"([^][]+)\[.+\]$", r"\1"),  # a mistake: ex[specially]-/especially] -> ex
        (r"^\{(.+)\}$", r"\1"),  # coined: {yuppiedom} -> yuppiedom
        (r"[a-z]\[([^][])+\][a-z]", r"\1-"),  # the recipes' own mistake, kept: ammu[n]it- -> ammn-t-
        (r"_\d", ""),  # a variant: them_1's -> them's (ESPnet: at the end only)
    )
)


def map_word(word: str) -> str:
    """A word after all rules."""
    for pattern, replacement in _RULES:
        word = pattern.sub(replacement, word, count=1)
    return word


def map_words(text: str) -> list[str]:
    """The words of a transcript, without `[silence]` and the marks of asides; none if nothing is left.

    `[laughter]`, `[noise]` and `[vocalized-noise]` stay; they become `<laughter>` and so on, which is how
    this toolkit writes what is one unit and no word.
    """
    kept = [word for word in _ASIDE.sub("", text).split() if not _DROPPED.fullmatch(word)]
    return [_NOISE.sub(r"<\1>", map_word(word)) for word in kept]
