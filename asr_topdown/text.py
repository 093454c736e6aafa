"""Text and the units a network puts out: characters or words."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from asr_topdown import files

BLANK, UNKNOWN, SPACE = "<blank>", "<unk>", "<space>"
BLANK_ID, UNKNOWN_ID = 0, 1

Unit = Literal["char", "word"]

# A character, or a whole non-linguistic symbol such as <NOISE>.
_CHARACTERS = re.compile(r"<[^<>\s]+>|.", re.DOTALL)
_HEADER = "# unit: "


def tokenise(text: str, unit: Unit) -> list[str]:
    """Cut a transcript into units.

    Words are what white space parts. As characters, a run of white space is one `<space>`, none at either
    end, and a token in angle brackets (`<NOISE>`) is one unit.

    Raises:
        ValueError: if the transcript holds `<blank>` or, as characters, `<space>`.
    """
    words = text.split()
    tokens = words if unit == "word" else _CHARACTERS.findall(" ".join(words))
    for reserved in (BLANK, SPACE) if unit == "char" else (BLANK,):
        if reserved in tokens:
            raise ValueError(f"a transcript holds {reserved}, which stands for something else: {text!r}")
    return words if unit == "word" else [SPACE if t == " " else t for t in tokens]


@dataclass(frozen=True)
class Vocabulary:
    """The units of a network's output; a unit's id is its place.

    Attributes:
        units: `<blank>`, `<unk>`, then the others in the order of their code points.
        unit: what they are.
    """

    units: tuple[str, ...]
    unit: Unit

    def __post_init__(self) -> None:
        assert self.units[:2] == (BLANK, UNKNOWN)
        assert all(a < b for a, b in zip(self.units[2:], self.units[3:], strict=False))

    def __len__(self) -> int:
        return len(self.units)

    @classmethod
    def build(cls, texts: Iterable[str], unit: Unit) -> "Vocabulary":
        """All units of `texts`.

        Raises:
            ValueError: if there is none, or as `tokenise`.
        """
        found: set[str] = set()
        for text in texts:
            found.update(tokenise(text, unit))
        if not found:
            raise ValueError("no vocabulary can be made: all transcripts are empty")
        return cls((BLANK, UNKNOWN, *sorted(found - {UNKNOWN})), unit)

    def encode(self, text: str) -> list[int]:
        """Ids of a transcript's units; those that are not in the vocabulary get the id of `<unk>`.

        Raises:
            ValueError: as `tokenise`.
        """
        return [self._ids.get(token, UNKNOWN_ID) for token in tokenise(text, self.unit)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of units; blanks are left out, and of spaces only single ones between words stay.

        That is what a Kaldi `text` file can hold, so an error rate is the same before and after one.
        """
        tokens = [self.units[i] for i in ids if i != BLANK_ID]
        if self.unit == "word":
            return " ".join(tokens)
        return " ".join("".join(" " if t == SPACE else t for t in tokens).split())

    def save(self, path: Path | str) -> None:
        """Write `path`: a comment that tells the kind of unit, then `unit id` in each line."""
        lines = [f"{unit} {i}" for i, unit in enumerate(self.units)]
        files.write_text(path, "\n".join([f"{_HEADER}{self.unit}", *lines]) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Read what `save` wrote.

        Raises:
            ValueError: naming file and line, if it is anything else.
            FileNotFoundError: if there is no such file.
        """
        content = Path(path).read_text(encoding="utf-8", errors="replace")
        header, *lines = content.removesuffix("\n").split("\n")
        unit = header.removeprefix(_HEADER)
        if not header.startswith(_HEADER) or unit not in get_args(Unit):
            raise ValueError(f"{path}:1: needs `{_HEADER}char` or `{_HEADER}word`, got {header!r}")
        units: list[str] = []
        for number, line in enumerate(lines, 2):
            problem = _line_problem(line, units)
            if problem:
                raise ValueError(f"{path}:{number}: {problem}")
            units.append(line.split(" ")[0])
        if len(units) < 3:
            raise ValueError(f"{path}: cut short: {BLANK}, {UNKNOWN} and at least one more unit are needed")
        return cls(tuple(units), unit)  # type: ignore[arg-type]

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {unit: i for i, unit in enumerate(self.units)}


def _line_problem(line: str, before: Sequence[str]) -> str | None:
    """Why `line` cannot be the next one of a vocabulary that begins with `before`."""
    unit, _, number = line.partition(" ")
    if not unit or number != str(len(before)):
        return f"needs a unit and its id, {len(before)}; got {line!r}"
    if unit in before:
        return f"{unit} stands in this file twice"
    fixed = (BLANK, UNKNOWN)
    if len(before) < len(fixed):
        return None if unit == fixed[len(before)] else f"must be {fixed[len(before)]}, got {unit}"
    if len(before) > len(fixed) and unit < before[-1]:
        return f"{unit} is not sorted: it must come before {before[-1]}"
    return None
