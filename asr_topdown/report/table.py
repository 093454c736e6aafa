"""A table, before it is Markdown, CSV or HTML."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asr_topdown.report.words import NOTHING

Value = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Cells as they are shown, and the values behind them.

    Attributes:
        name: of the files it is written to, and anchor in the page.
        header: the columns' names.
        rows: with one cell per column.
        words: columns of words, aligned left; the others hold numbers.
        code: columns whose cells are names from the program (node ids).
        values: column -> value, for each row of the CSV file, if cells hold several; () = the cells.
    """

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)
    words: frozenset[int] = frozenset({0})
    code: frozenset[int] = frozenset()
    values: Sequence[Mapping[str, Value]] = ()

    def csv(self) -> str:
        """CSV for programs: with `values`, a number per column, nothing where there is none; ASCII signs."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self.values:
            writer.writerows([self.header, *([_plain(cell) for cell in row] for row in self.rows)])
            return text.getvalue()
        names = list(dict.fromkeys(name for row in self.values for name in row))
        writer.writerow(names)
        writer.writerows([_written(row.get(name)) for name in names] for row in self.values)
        return text.getvalue()


def _written(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(cell: str) -> str:
    return "" if cell == NOTHING else cell.replace("−", "-")
