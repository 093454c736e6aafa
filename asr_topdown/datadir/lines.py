"""The lines of a Kaldi table: a key, blanks, and what belongs to the key."""

import re
from collections.abc import Callable, Mapping
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
    """The lines of `path` that are not empty.

    Raises:
        ValueError: naming the file, if it is not UTF-8.
        FileNotFoundError: if it is missing.
    """
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        key, value = (*_BLANKS.split(line.strip(" \t"), maxsplit=1), "")[:2]
        if key:
            rows.append(Row(number, key, value))
    return rows


def fields(value: str) -> list[str]:
    """The fields of a value: what stands between blanks and tabs."""
    return _BLANKS.split(value) if value else []


def read_lines(path: Path) -> list[str]:
    """The lines of `path` without their line feeds; carriage returns and other odd characters are kept."""
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text") from error
    return content.removesuffix("\n").split("\n") if content else []


def read_table(path: Path | str) -> dict[str, str]:
    """Key -> the rest of its line, which may be empty.

    Raises:
        as `parse_table`.
    """
    return parse_table(path, str)


def parse_table(path: Path | str, parse: Callable[[str], V]) -> dict[str, V]:
    """Key -> what `parse` makes of the rest of its line.

    Raises:
        ValueError: naming file and line, if a key stands there twice or `parse` raises ValueError.
        FileNotFoundError: if the file is missing.
    """
    path = Path(path)
    table: dict[str, V] = {}
    for row in read_rows(path):
        if row.key in table:
            raise ValueError(f"{path}:{row.number}: {row.key} stands in this file twice")
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
    """Write a table, sorted, whole or not at all."""
    files.write_text(path, table_text(table))


def transcript_problem(transcript: str) -> str | None:
    """What keeps a transcript out of a Kaldi `text` file; None if nothing does."""
    if "\r" in transcript:
        return "carriage return in the transcript (a file from Windows?)"
    words = transcript.split()
    if transcript != " ".join(words):
        return "white space other than one blank between words"
    for character in transcript:
        if not character.isprintable():
            return f"unprintable character {character!r}"
    reserved = {"<s>", "</s>", "#0"}.intersection(words)
    if reserved:
        return f"reserved word {min(reserved)}"
    return None
