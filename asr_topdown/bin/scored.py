"""Results of scoring one or two systems."""

from dataclasses import dataclass
from typing import Any

DIRECTION = "second - first"
"""Of all differences of error rates: negative if the second system (--compare) is better, as in reports."""


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
