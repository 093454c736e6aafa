"""What a report is made of, before it is HTML or Markdown: so both say the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr_topdown.report.figures import Figure, Intervals
from asr_topdown.report.table import Table
from asr_topdown.report.tree import Branch
from asr_topdown.runs.journal import Command


@dataclass(frozen=True)
class Heading:
    """A title; `anchor` is its id in the page. Words in backticks are names of the program's own."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `*` around words makes them stand out, backticks mark names."""

    text: str


@dataclass(frozen=True)
class Notes:
    """A warning with a list."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Terms:
    """Words and what they mean; the meanings are as a `Text`'s."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Example:
    """An utterance: who says what, word by word, each with whether it is right."""

    utterance: str
    lines: Sequence[tuple[str, Sequence[tuple[str, bool]]]]


@dataclass(frozen=True)
class Examples:
    """Some utterances with their errors."""

    examples: Sequence[Example]


@dataclass(frozen=True)
class Tree:
    """Trainings, parent to child, with their errors; in the page each shows its learning curves on click."""

    name: str
    roots: Sequence[Branch]
    dev_name: str
    test_name: str


@dataclass(frozen=True)
class Curves:
    """Learning curves in one plot: (node id, title or ""); the page has them in its trees."""

    name: str
    nodes: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Commands:
    """The commands that made the experiment."""

    commands: Sequence[Command]


@dataclass(frozen=True)
class Code:
    """Text as it stands in a file."""

    title: str
    text: str


Part = (
    Heading | Text | Notes | Terms | Examples | Table | Figure | Intervals | Tree | Curves | Commands | Code
)
