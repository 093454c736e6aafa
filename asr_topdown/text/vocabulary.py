"""The list of a network's output units, and text to units and back."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from asr_topdown import files
from asr_topdown.text import pieces
from asr_topdown.text.pieces import BLANK, UNKNOWN, Pieces

SPACE = "<space>"
BLANK_ID, UNKNOWN_ID = 0, 1

Unit = Literal["char", "word", "bpe", "unigram", "label"]

CHARACTERS = re.compile(r"<[^<>\s]+>|.", re.DOTALL)
"""A character, or a whole tag such as <unk> or the non-linguistic symbol <NOISE>."""
_HEADER = "# unit: "


def model_file(tokens: Path | str) -> Path:
    """The path of a vocabulary's SentencePiece model, next to it: `tokens.model` for `tokens.txt`."""
    return Path(tokens).with_suffix(".model")


def tokenise(text: str, unit: Literal["char", "word", "label"]) -> list[str]:
    """Split a transcript into characters or words, or take it as a label.

    Words are separated by white space, and a label is one word. As characters, a run of white space is one
    `<space>`, none at either end, and a token in angle brackets (`<NOISE>`) is one unit.

    Raises:
        ValueError: if the transcript contains `<blank>` or, as characters, `<space>`, or is not a label.
    """
    words = text.split()
    if unit == "label" and len(words) != 1:
        raise ValueError(f"a label is one word, got {text!r}")
    tokens = words if unit != "char" else CHARACTERS.findall(" ".join(words))
    for reserved in (BLANK, SPACE) if unit == "char" else (BLANK,):
        if reserved in tokens:
            raise ValueError(f"a transcript holds {reserved}, which stands for something else: {text!r}")
    return words if unit != "char" else [SPACE if t == " " else t for t in tokens]


@dataclass(frozen=True)
class Vocabulary:
    """The units of a network's output; a unit's id is its index.

    Attributes:
        units: `<blank>`, `<unk>`, then the others: characters, words and labels in the order of their code
            points, subwords in SentencePiece's order.
        unit: their kind.
        model: the SentencePiece model, for subwords only.
    """

    units: tuple[str, ...]
    unit: Unit
    model: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        assert self.units[:2] == (BLANK, UNKNOWN)
        assert bool(self.model) == (self.unit in pieces.KINDS)
        assert self.model or all(a < b for a, b in zip(self.units[2:], self.units[3:], strict=False))

    def __len__(self) -> int:
        return len(self.units)

    @classmethod
    def build(cls, texts: Iterable[str], unit: Unit, size: int = 0) -> "Vocabulary":
        """All units of `texts`; for subwords, `size` of them, including `<blank>` and `<unk>`.

        Raises:
            ValueError: if there is none, as `tokenise`, or as `pieces.train`.
        """
        if unit == "bpe" or unit == "unigram":
            model = pieces.train(texts, unit, size)
            return cls(Pieces(model).names, unit, model)
        found: set[str] = set()
        for text in texts:
            found.update(tokenise(text, unit))
        if not found:
            raise ValueError("no vocabulary can be made: all transcripts are empty")
        if unit == "label" and len(found) == 1:
            raise ValueError(f"all labels are {found.pop()}: there is nothing to tell apart")
        return cls((BLANK, UNKNOWN, *sorted(found - {UNKNOWN})), unit)

    def encode(self, text: str) -> list[int]:
        """Ids of a transcript's units; unknown ones get the id of `<unk>`.

        Raises:
            ValueError: as `tokenise` or `Pieces.encode`.
        """
        if self.unit == "bpe" or self.unit == "unigram":
            return self._pieces.encode(text)
        return [self._ids.get(token, UNKNOWN_ID) for token in tokenise(text, self.unit)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of units; blanks are omitted, and only single spaces between words are kept."""
        tokens = [self.units[i] for i in ids if i != BLANK_ID]
        if self.unit in ("word", "label"):
            return " ".join(tokens)
        if self.unit != "char":
            return pieces.join(tokens)
        return " ".join("".join(" " if t == SPACE else t for t in tokens).split())

    def transcript(self, ids: Iterable[int]) -> str:
        """As `decode`, in Unicode's composed form (NFC), in which transcripts are read.

        This is what a Kaldi `text` file can represent, so an error rate is the same before and after writing
        one. A network can give a letter in two units, `e` and an accent, that is one in all transcripts.
        """
        return unicodedata.normalize("NFC", self.decode(ids))

    def save(self, path: Path | str) -> None:
        """Write `path`: a comment with the kind of unit, then `unit id` in each line.

        The SentencePiece model of subwords goes next to it (`model_file`).
        """
        if self.model:
            with files.written_aside(model_file(path)) as part:
                part.write_bytes(self.model)
        lines = [f"{unit} {i}" for i, unit in enumerate(self.units)]
        files.write_text(path, "\n".join([f"{_HEADER}{self.unit}", *lines]) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Read the output of `save`.

        Raises:
            ValueError: naming file and line, if it is anything else.
            FileNotFoundError: if the file, or the model that it needs, does not exist.
        """
        header, *lines = files.read_lines(path) or [""]
        unit = header.removeprefix(_HEADER)
        if not header.startswith(_HEADER) or unit not in get_args(Unit):
            kinds = ", ".join(get_args(Unit))
            raise ValueError(f"{path}:1: needs `{_HEADER}` and one of {kinds}, got {header!r}")
        units: list[str] = []
        for number, line in enumerate(lines, 2):
            problem = _line_problem(line, units, in_order=unit not in pieces.KINDS)
            if problem:
                raise ValueError(f"{path}:{number}: {problem}")
            units.append(line.split(" ")[0])
        if len(units) < 3:
            raise ValueError(f"{path}: cut short: {BLANK}, {UNKNOWN} and at least one more unit are needed")
        model = _read_model(path, units) if unit in pieces.KINDS else b""
        return cls(tuple(units), unit, model)  # type: ignore[arg-type]

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {unit: i for i, unit in enumerate(self.units)}

    @functools.cached_property
    def _pieces(self) -> Pieces:
        return Pieces(self.model)


def _read_model(tokens: Path | str, units: Sequence[str]) -> bytes:
    """The model next to a vocabulary's file, which must have the same pieces."""
    file = model_file(tokens)
    if not file.exists():
        raise FileNotFoundError(f"{file}: missing; {tokens} lists pieces of words and needs it")
    model = file.read_bytes()
    try:
        names = Pieces(model).names
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if names != tuple(units):
        raise ValueError(f"{file}: its pieces are not those of {tokens}")
    return model


def _line_problem(line: str, before: Sequence[str], *, in_order: bool) -> str | None:
    """Why `line` cannot follow `before` in a vocabulary."""
    unit, _, number = line.partition(" ")
    if not unit or number != str(len(before)):
        return f"needs a unit and its id, {len(before)}; got {line!r}"
    if unit in before:
        return f"{unit} occurs twice in this file"
    fixed = (BLANK, UNKNOWN)
    if len(before) < len(fixed):
        return None if unit == fixed[len(before)] else f"must be {fixed[len(before)]}, got {unit}"
    if in_order and len(before) > len(fixed) and unit < before[-1]:
        return f"{unit} is not sorted: it must come before {before[-1]}"
    return None
