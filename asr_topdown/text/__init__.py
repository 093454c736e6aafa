"""Text and the output units of a network: characters, words, or subwords."""

from asr_topdown.text.vocabulary import (
    BLANK,
    BLANK_ID,
    CHARACTERS,
    SPACE,
    UNKNOWN,
    UNKNOWN_ID,
    Unit,
    Vocabulary,
    model_file,
    tokenise,
)

__all__ = [
    "BLANK",
    "BLANK_ID",
    "CHARACTERS",
    "SPACE",
    "UNKNOWN",
    "UNKNOWN_ID",
    "Unit",
    "Vocabulary",
    "model_file",
    "tokenise",
]
