"""What is scored of one or two systems, and the results."""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_topdown import datadir, files
from asr_topdown.score import stm

COUNTING = ("units", "utt2spk", "missing_as_empty", "nlsyms", "by_speaker")
"""Options of how transcripts are counted, which neither NIST's rules nor perplexities know."""

BOOTSTRAP = ("resamples", "seed")
"""Options of the intervals and tests of one system, or of two."""

DIRECTION = "second - first"
"""Of all differences of error rates: negative if the second system (--compare) is better, as in reports."""

_TRN = re.compile(r"\(([^()\s]+)\)\s*$")
_STM_CHANNEL = re.compile(r"[A-Za-z0-9]")
_ALL_DIFFERENT = 3
"""Lines, at least, whose last words in parentheses are ids for being different: sounds would repeat."""


@dataclass(frozen=True)
class Scored:
    """Error rates and tests.

    Attributes:
        lines: tables and tests, to print.
        document: all counts, as JSON values.
        alignments: for each system, every utterance aligned with its reference.
    """

    lines: list[str]
    document: dict[str, Any]
    alignments: list[str]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


def bootstrap_of(args: argparse.Namespace) -> dict[str, int]:
    """Return the bootstrap's draws and its seed."""
    return {"resamples": args.resamples or 10_000, "seed": args.seed or 0}


def transcripts_of(path: Path) -> dict[str, str]:
    """Read a Kaldi text file, or that of a folder; refuse NIST's trn and stm, whose words come later."""
    file = path / "text" if path.is_dir() else path
    lines = [one for one in files.read_lines(file) if one.strip() and not one.lstrip().startswith(";;")]
    for looks, name, form in (
        (_is_trn(lines), "trn", "words (id)"),
        (_is_stm(lines), "stm", "file channel speaker start end words"),
    ):
        if looks:
            raise ValueError(f"{file}: looks like NIST's {name}, `{form}`; must be Kaldi's text, `id words`")
    return datadir.read_transcripts(file)


def _is_trn(lines: Sequence[str]) -> bool:
    """Whether each line ends in an id in parentheses.

    What tells an id from a sound that somebody made, `(laughter)`: no other line has it, and it has a digit,
    or there are several.
    """
    found = [match[1] for line in lines if (match := _TRN.search(line))]
    told = len(lines) >= _ALL_DIFFERENT or all(re.search("[0-9]", one) for one in found)
    return 0 < len(lines) == len(set(found)) and told


def _is_stm(lines: Sequence[str]) -> bool:
    """Whether each line has a channel and two times, and one has a fraction of a second or labels.

    The times need not be right: what begins like an stm is not read as anything else.
    """
    rows = [line.split(maxsplit=6) for line in lines]
    if not all(len(row) > 4 and _STM_CHANNEL.fullmatch(row[1]) for row in rows):
        return False
    if not all(_is_number(time) for row in rows for time in row[3:5]):
        return False
    return any("." in row[3] + row[4] or stm.LABELS.fullmatch((*row, "")[5]) for row in rows)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(files.number(text))
    except ValueError:
        return False
