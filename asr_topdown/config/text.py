"""The units of a recogniser: what `text:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field

from asr_topdown.config.section import Section


class TextConfig(Section):
    """Units of the output."""

    unit: Literal["char", "word", "bpe", "unigram", "label"] = Field(
        "char",
        description="bpe and unigram are SentencePiece subwords; label: the text of an utterance "
        "is one word that classifies all of it (a digit, a speaker, a language)",
    )
    vocab_size: int = Field(
        500, ge=4, description="number of subwords, including <blank> and <unk>; bpe and unigram only"
    )
