"""JSON: an object per line (NeMo, ESPnet, Hugging Face), or a list or object of objects."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_topdown import files
from asr_topdown.corpora.table.columns import Columns, keys
from asr_topdown.corpora.table.rows import Table, read_text

Records = dict[str, dict[str, Any]]
"""Place in the file, for messages -> object."""


def read(path: Path, wanted: Mapping[str, str], encoding: str | None) -> Table:
    """Read the utterances of a JSON file.

    Raises:
        ValueError: naming file and line of what is not a JSON object or has a key twice, or the missing keys.
    """
    records = read_records(path, encoding)
    columns = Columns(keys(records.values()), wanted, str(path))
    rows = [columns.row(record, where) for where, record in records.items()]
    return Table(path, rows, f"JSON: {columns.described()}", path.parent, columns.in_samples)


def read_records(path: Path, encoding: str | None) -> Records:
    """Read the objects of a file.

    In an object of objects (SpeechBrain), the keys become `id`. NaN, which Python writes for a missing
    number, becomes None.

    Raises:
        ValueError: as in `read`.
    """
    text = read_text(path, encoding)
    whole = _whole(text, str(path))
    if isinstance(whole, list):
        return {
            f"{path}: element {i}": _object(f"{path}: element {i}", one) for i, one in enumerate(whole, 1)
        }
    if isinstance(whole, dict) and whole and all(isinstance(one, dict) for one in whole.values()):
        return {f"{path}: {key}": {"id": key, **one} for key, one in whole.items()}
    found: Records = {}
    for number, line in enumerate(files.lines_of(text), 1):
        where = f"{path}:{number}"
        if line.strip():
            try:
                found[where] = _object(where, _parse(line, where))
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{where}: not JSON ({error})") from None
    if not found:
        raise ValueError(f"{path}: empty")
    return found


def _whole(text: str, where: str) -> Any:
    """Parse the file as one JSON value; None if it is not one."""
    try:
        return _parse(text, where)
    except (json.JSONDecodeError, RecursionError):
        return None


def _parse(text: str, where: str) -> Any:
    twice: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    value = json.loads(
        text,
        object_pairs_hook=noted,
        parse_float=str,  # as written: the number may be what was said
        parse_constant=lambda name: None if name == "NaN" else float(name),
    )
    # Only now: text that turns out not to be one JSON value is read again, line by line.
    if twice:
        raise ValueError(f"{where}: duplicate key `{twice[0]}`")
    return value


def _object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: must be a JSON object, got {type(value).__name__}")
    return value
