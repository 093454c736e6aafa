"""What scoring one or two systems gives."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scored:
    """Error rates and tests, to read and to keep.

    Attributes:
        lines: tables and tests.
        document: all counts, as plain values.
        alignments: of each system, every utterance aligned with its reference.
    """

    lines: list[str]
    document: dict[str, Any]
    alignments: list[str]

    @property
    def text(self) -> str:
        """The lines as they are shown."""
        return "\n".join(self.lines)
