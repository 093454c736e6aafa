"""Tables with headings, separated by commas, semicolons, bars or tabs (`csv`)."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora.table.columns import Columns
from asr_topdown.corpora.table.rows import Row, Table, read_text

_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


def read(path: Path, wanted: Mapping[str, str], encoding: str | None) -> Table:
    """Read a table whose first line has the headings.

    The separator is the most frequent of `, ; |` and tab in the first line; in a `.tsv` file, tab. With tabs,
    quotation marks are part of the text; otherwise a field in quotation marks may have separators.

    Raises:
        ValueError: naming file and line of what cannot be read, or the missing columns.
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
            raise ValueError(f"{path}:{number}: must have {len(headings)} columns, got {len(cells)}")
        found.append(columns.row(dict(zip(headings, cells, strict=True)), f"{path}:{number}"))
    taken = f"table with {_SEPARATORS[separator]}s between its columns: {columns.described()}"
    return Table(path, found, taken, _sounds(path, headings), columns.in_samples)


def _sounds(path: Path, headings: list[str]) -> Path:
    """Return the folder of the sound: `clips` next to Common Voice's table."""
    clips = path.parent / "clips"
    return clips if "client_id" in headings and clips.is_dir() else path.parent


def _rows(path: Path, lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Iterate over line number and cells of each line that is not blank."""
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
            raise ValueError(_quoting(path, lines, number, f"it ends in line {reader.line_num}"))
        if any(cell.strip() for cell in cells):
            yield number, cells


def _quoting(path: Path, lines: list[str], number: int, reason: str) -> str:
    if "\r" in lines[number - 1]:
        return f"{path}:{number}: a carriage return in the line; lines must all end alike"
    if '"' not in lines[number - 1]:
        return f"{path}:{number}: {reason}"
    return (
        f"{path}:{number}: a quotation mark opens a field that does not end in this line ({reason}); "
        'one that belongs to the text is written "" in a quoted field'
    )
