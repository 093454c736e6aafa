"""NIST's global mapping rules (glm): spellings that count as equal in Hub-5 scoring.

A rule is `A => B / left __ right`: A becomes B between `left` and `right`; each may be in `[ ]` or quotes, to
keep blanks. As in NIST's rfilter1, the text is processed from left to right, the first rule that matches is
applied, and its output is not processed again. Rules after `;; INPUT_DEPENDENT_APPLICATION = "REGEX"` apply
only to inputs whose type (`stm`, `ctm`) or purpose (`ref`, `hyp`) matches.
"""

import functools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files
from asr_topdown.logs import warn_once

_CONDITION = re.compile(r'^;;\s+INPUT_DEPENDENT_APPLICATION\s*=\s*"([^"]*)"')
_CONTEXT = re.compile(r"^(?P<left>.*?)\s*_+\s*(?P<right>.*)$")


class Rule(NamedTuple):
    """`before` becomes `after` between `left` and `right`."""

    before: str
    after: str
    left: str = ""
    right: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules for one kind of input, in order."""

    rules: tuple[Rule, ...]
    case_sensitive: bool = True

    def apply(self, text: str) -> str:
        """Apply the rules to `text`, which should begin and end with a blank."""
        folded = self._fold(text)
        pieces: list[str] = []
        position = 0
        while position < len(text):
            rule = _first_match(self._by_first.get(folded[position], ()), folded, position)
            pieces.append(rule.after if rule else text[position])
            position += len(rule.before) if rule else 1
        return "".join(pieces)

    def _fold(self, part: str) -> str:
        return part if self.case_sensitive else part.upper()

    @functools.cached_property
    def _by_first(self) -> dict[str, list[Rule]]:
        """First character -> rules that begin with it, to try only few at each position."""
        by_first: dict[str, list[Rule]] = {}
        for rule in self.rules:
            before, left, right = map(self._fold, (rule.before, rule.left, rule.right))
            by_first.setdefault(before[0], []).append(Rule(before, rule.after, left, right))
        return by_first


def read(path: Path | str, *, type_: str, purpose: str) -> Rules:
    """Read the rules of a file that apply to an input.

    Args:
        path: the glm; its first line only declares the comment marker (`;;`), as in rfilter1. A file that is
            not UTF-8 is read as Latin-1, which NIST uses. Rules with half a pair of brackets are reported.
        type_: `stm` or `ctm`.
        purpose: `ref` or `hyp`.

    Raises:
        ValueError: naming file and line, if a line is not a rule.
        FileNotFoundError: if the file does not exist.
    """
    path = Path(path)
    rules = []
    case_sensitive = True
    applies = True
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        condition = _CONDITION.match(line)
        if condition:
            try:
                with warnings.catch_warnings(action="ignore"):  # FutureWarning about the pattern's syntax
                    wanted = re.compile(condition[1].lower())
            except (re.error, OverflowError) as error:
                raise ValueError(f"{path}:{number}: not a regular expression: {error}") from None
            applies = bool(wanted.search(type_) or wanted.search(purpose))
        content = line.partition(";;")[0].rstrip()
        if number == 1 or not applies or not content.strip():
            continue
        if content.startswith("*"):
            if "CASE_SENSITIVE" in content.upper():
                case_sensitive = _quoted(content).upper().startswith("T")
            continue
        try:
            rules.append(parse(content))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if odd := [part for part in rules[-1] if part.count("[") != part.count("]")]:
            warn_once(
                f"{path}:{number}: a bracket is not closed, or not opened: the rule is about {odd[0]!r} "
                "as it stands, as for rfilter1"
            )
    return Rules(tuple(rules), case_sensitive)


def parse(line: str) -> Rule:
    """Parse the rule `A => B / left __ right`.

    Raises:
        ValueError: if there is no arrow, or nothing before it.
    """
    before, arrow, rest = line.partition("=>")
    if not arrow or not before.strip():
        raise ValueError(f"not a rule `A => B / left __ right`: {line.strip()!r}")
    after, slash, context = rest.rpartition("/")
    # A slash inside [ ] separates alternatives; the last one outside begins the context.
    inside = "]" in context and "[" not in context.partition("]")[0]
    if not slash or inside:
        after, context = rest, ""
    sides = _CONTEXT.match(context.strip())
    left, right = (sides["left"], sides["right"]) if sides else ("", "")
    if not _bare(before):
        raise ValueError(f"nothing before the arrow: {line.strip()!r}")
    return Rule(_bare(before), _bare(after), _bare(left), _bare(right))


def _first_match(rules: Sequence[Rule], text: str, position: int) -> Rule | None:
    for rule in rules:
        end = position + len(rule.before)
        start = position - len(rule.left)
        if (
            text.startswith(rule.before, position)
            and text.startswith(rule.right, end)
            and start >= 0
            and text.startswith(rule.left, start)
        ):
            return rule
    return None


def _bare(part: str) -> str:
    """Remove the brackets or quotes around `part`, or else the blanks."""
    part = part.strip()
    enclosed = len(part) > 1 and (part[0], part[-1]) in (("[", "]"), ('"', '"'))
    return part[1:-1] if enclosed else part


def _quoted(line: str) -> str:
    found = re.search(r"[\"']([^\"']*)[\"']", line)
    return found[1] if found else ""
