"""Text and the units a network puts out: characters, words, or pieces of words."""

from asr_topdown.text.vocabulary import (
    BLANK,
    BLANK_ID,
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
    "SPACE",
    "UNKNOWN",
    "UNKNOWN_ID",
    "Unit",
    "Vocabulary",
    "model_file",
    "tokenise",
]
