"""The lines of a Kaldi table: a key, blanks, and its value."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from asr_topdown import files

V = TypeVar("V")

_BLANKS = re.compile(r"[ \t]+")  # what separates fields; other white space does not, as in Kaldi


class Row(NamedTuple):
    """One line of a table."""

    number: int
    key: str
    value: str


def read_rows(path: Path) -> list[Row]:
    """The lines of `path` that are not empty, without byte-order mark and carriage returns at their ends.

    Raises:
        ValueError: naming file and line, if it is not UTF-8.
        FileNotFoundError: if it is missing.
    """
    return rows_of(files.read_lines(path))


def rows_of(lines: Iterable[str]) -> list[Row]:
    """The rows of a table's lines, numbered from 1, without empty ones."""
    rows = []
    for number, line in enumerate(lines, 1):
        key, value = (*_BLANKS.split(line.strip(" \t"), maxsplit=1), "")[:2]
        if key:
            rows.append(Row(number, key, value))
    return rows


def fields(value: str) -> list[str]:
    """The fields of a value, separated by blanks and tabs."""
    return _BLANKS.split(value) if value else []


def read_table(path: Path | str) -> dict[str, str]:
    """Key -> the rest of its line, which may be empty.

    Raises:
        as `parse_table`.
    """
    return parse_table(path, str)


def parse_table(path: Path | str, parse: Callable[[str], V]) -> dict[str, V]:
    """Key -> the rest of its line, parsed by `parse`.

    Raises:
        ValueError: naming file and line, if a key occurs twice or `parse` raises ValueError.
        FileNotFoundError: if the file is missing.
    """
    path = Path(path)
    table: dict[str, V] = {}
    for row in read_rows(path):
        if row.key in table:
            raise ValueError(f"{path}:{row.number}: {row.key} occurs twice in this file")
        try:
            table[row.key] = parse(row.value)
        except ValueError as error:
            raise ValueError(f"{path}:{row.number}: {row.key}: {error}") from None
    return table


def table_text(table: Mapping[str, object]) -> str:
    """The content of a table's file: one line per key, sorted in byte order."""
    # Code points sort as their UTF-8 bytes do.
    return "".join(f"{key} {value}".rstrip(" ") + "\n" for key, value in sorted(table.items()))


def write_table(path: Path | str, table: Mapping[str, object]) -> None:
    """Write a table, sorted, atomically."""
    files.write_text(path, table_text(table))
