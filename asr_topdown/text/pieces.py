"""Subword units by SentencePiece: byte-pair encoding and the unigram model.

A piece at the start of a word starts with "▁". Training depends only on the set of transcripts: they are
sorted, and counted by one thread.
"""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import sentencepiece

BLANK, UNKNOWN = "<blank>", "<unk>"
WORD_START = "▁"

Kind = Literal["bpe", "unigram"]
KINDS: tuple[str, ...] = get_args(Kind)

_TAG = re.compile(r"<[^<>\s]+>")
# No character of any text (Unicode), so never in a model: SentencePiece calls it unknown.
_NO_CHARACTER = "\uffff"
_LONGEST_LINE = 1 << 24  # bytes; SentencePiece would silently leave out what is longer than 4192
_LARGEST_SIZE = re.compile(r"set it to a value <= (\d+)")
_SMALLEST_SIZE = re.compile(r"required_chars\D*\d+ vs (\d+)|required_chars.*?(\d+)")


def train(texts: Iterable[str], kind: Kind, size: int) -> bytes:
    """Train a SentencePiece model of `size` pieces, including `<blank>` (id 0) and `<unk>` (id 1).

    A tag in angle brackets, such as `<NOISE>`, is one piece in any context. The text is used
    as it is, except for white space: no Unicode normalisation.

    Raises:
        ValueError: if `texts` are all empty, contain `<blank>` or "▁", or cannot have this many or this few
            pieces.
    """
    # `<unk>` teaches nothing; a text of nothing else is left out with it.
    lines = sorted(line for text in texts if (line := _clean(text).replace(UNKNOWN, " ").strip()))
    if not lines:
        raise ValueError("no vocabulary can be made: all transcripts are empty")
    tags = sorted({tag for line in lines for tag in _TAG.findall(line)})
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            pad_id=0,
            pad_piece=BLANK,
            unk_id=1,
            unk_piece=UNKNOWN,
            bos_id=-1,
            eos_id=-1,
            user_defined_symbols=tags,
            normalization_rule_name="identity",
            character_coverage=1.0,
            max_sentence_length=_LONGEST_LINE,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(_size_problem(str(error), kind, size)) from None
    return model.getvalue()


def _size_problem(message: str, kind: Kind, size: int) -> str:
    """Reword SentencePiece's error about a size; leave others unchanged."""
    given = f"text.vocab_size {size}"
    if largest := _LARGEST_SIZE.search(message):
        return f"{given} is too large: these transcripts have {largest[1]} {kind} units at most"
    if smallest := _SMALLEST_SIZE.search(message):
        needed = smallest[1] or smallest[2]
        return f"{given} is too small: {needed} characters and tags need one each"
    return f"no {kind} units can be made: {' '.join(message.split())}"


class Pieces:
    """A trained SentencePiece model.

    Args:
        model: the output of `train`.

    Raises:
        ValueError: if it is invalid.
    """

    def __init__(self, model: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise ValueError(f"not a SentencePiece model: {' '.join(str(error).split())}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """The pieces, in the order of their ids."""
        return tuple(self._processor.id_to_piece(i) for i in range(self._processor.get_piece_size()))

    def encode(self, text: str) -> list[int]:
        """Ids of a transcript's pieces; a run of unknown characters is one `<unk>`.

        Raises:
            ValueError: if the transcript contains `<blank>` or "▁".
        """
        return list(self._processor.encode(_clean(text).replace(UNKNOWN, _NO_CHARACTER)))


def join(pieces: Sequence[str]) -> str:
    """The text of pieces: single spaces between words, none at either end."""
    return " ".join("".join(pieces).replace(WORD_START, " ").split())


def _clean(text: str) -> str:
    for reserved in (BLANK, WORD_START):
        if reserved in text:
            raise ValueError(f"a transcript holds {reserved}, which stands for something else: {text!r}")
    return " ".join(text.split())
