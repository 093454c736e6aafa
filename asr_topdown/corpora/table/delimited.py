"""Tables with headings: comma-separated and the like (`csv`), or tab-separated."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora.table.columns import Columns
from asr_topdown.corpora.table.rows import Row, Table, read_text

_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


def read(path: Path, wanted: Mapping[str, str], encoding: str | None) -> Table:
    """Read a table whose first line holds the headings.

    The separator is the one of `, ; |` and tabs that gives the first line most columns; in a `.tsv` file,
    tabs. Between tabs a quotation mark is part of the text; elsewhere a field in quotation marks may hold
    separators.

    Raises:
        ValueError: naming file and line of what cannot be read, or the columns that are missing.
    """
    lines = files.lines_of(read_text(path, encoding))
    first = lines[0] if lines else ""
    separator = "\t" if path.suffix.lower() == ".tsv" else max(_SEPARATORS, key=first.count)
    rows = _rows(path, lines, separator)
    number, headings = next(rows, (1, []))
    columns = Columns(headings, wanted, f"{path}:{number}")
    found: list[Row] = []
    for number, cells in rows:
        if len(cells) != len(headings):
            raise ValueError(f"{path}:{number}: {len(cells)} columns under {len(headings)} headings")
        found.append(columns.row(dict(zip(headings, cells, strict=True)), f"{path}:{number}"))
    taken = f"table with {_SEPARATORS[separator]}s between its columns: {columns.described()}"
    return Table(path, found, taken, _sounds(path, headings), columns.in_samples)


def _sounds(path: Path, headings: list[str]) -> Path:
    """Common Voice has its sound in `clips` beside the table."""
    clips = path.parent / "clips"
    return clips if "client_id" in headings and clips.is_dir() else path.parent


def _rows(path: Path, lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that holds something."""
    if separator == "\t":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    csv.field_size_limit(1 << 30)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ValueError(_quoting(path, lines, number, str(error))) from None
        if cells is None:
            return
        if reader.line_num > number:
            raise ValueError(_quoting(path, lines, number, f"it is closed in line {reader.line_num} only"))
        if any(cell.strip() for cell in cells):
            yield number, cells


def _quoting(path: Path, lines: list[str], number: int, reason: str) -> str:
    if '"' not in lines[number - 1]:
        return f"{path}:{number}: {reason}"
    return (
        f"{path}:{number}: a quotation mark opens a field that does not end in this line ({reason}); "
        'one that belongs to the text is written "" in a quoted field'
    )
