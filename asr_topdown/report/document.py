"""The parts of a report, before they become HTML or Markdown, so that both have the same content."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr_topdown.report.figures import Figure, Intervals
from asr_topdown.report.table import Table
from asr_topdown.report.tree import Branch
from asr_topdown.runs.journal import Command


@dataclass(frozen=True)
class Heading:
    """A title; `anchor` is its id in the page. Words in backticks are names from the program."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `*` emphasises words, backticks mark names."""

    text: str


@dataclass(frozen=True)
class Notes:
    """A warning with a list."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Terms:
    """Terms and their meanings, which are marked up like a `Text`."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Example:
    """An utterance: speaker and words, each with whether it is right."""

    utterance: str
    lines: Sequence[tuple[str, Sequence[tuple[str, bool]]]]


@dataclass(frozen=True)
class Examples:
    """Some utterances with their errors."""

    examples: Sequence[Example]


@dataclass(frozen=True)
class Tree:
    """Trainings, parent to child, with their errors; in the page a click shows the learning curves."""

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
    """The commands that produced the experiment."""

    commands: Sequence[Command]


@dataclass(frozen=True)
class Code:
    """Text as it is in a file."""

    title: str
    text: str


Part = (
    Heading | Text | Notes | Terms | Examples | Table | Figure | Intervals | Tree | Curves | Commands | Code
)
