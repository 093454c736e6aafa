"""What is scored of one or two systems, and the results."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_topdown import datadir, files

DIRECTION = "second - first"
"""Of all differences of error rates: negative if the second system (--compare) is better, as in reports."""

_TRN = re.compile(r"\(([^()\s]*[0-9][^()\s]*)\)\s*$")


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


def transcripts_of(path: Path) -> dict[str, str]:
    """Read a Kaldi text file, or that of a folder; refuse NIST's trn, whose first words would be ids."""
    file = path / "text" if path.is_dir() else path
    if _is_trn(files.read_lines(file)):
        raise ValueError(f"{file}: looks like NIST's trn, `words (id)`; must be Kaldi's text, `id words`")
    return datadir.read_transcripts(file)


def _is_trn(lines: Iterable[str]) -> bool:
    """Whether each line but comments ends in an id in parentheses.

    What tells an id from a sound that somebody made, `(laughter)`, is a digit, and that no other line has it.
    """
    found = [_TRN.search(line) for line in lines if line.strip() and not line.startswith(";;")]
    ids = {one[1] for one in found if one}
    return bool(found) and len(ids) == len(found)
