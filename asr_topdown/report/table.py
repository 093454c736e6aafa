"""A table, before it is Markdown, CSV or HTML."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Cells as they are shown.

    Attributes:
        name: of the files it is written to, and of the place in the page.
        header: the columns' names.
        rows: as many cells in each.
        left: so many columns hold words and stand flush left; the others hold numbers.
        code: columns whose cells are names of the program's own (node ids).
    """

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)
    left: int = 1
    code: frozenset[int] = frozenset()

    def markdown(self) -> str:
        """The table in GitHub's Markdown."""
        rules = [":--" if column < self.left else "--:" for column in range(len(self.header))]
        lines = [list(self.header), rules, *(self._marked(row) for row in self.rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def csv(self) -> str:
        """The table as comma-separated values, the first line its header."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def _marked(self, row: Sequence[str]) -> list[str]:
        cells = [cell.replace("|", "\\|") for cell in row]
        return [f"`{cell}`" if column in self.code else cell for column, cell in enumerate(cells)]
