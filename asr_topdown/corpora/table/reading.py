"""Detecting the kind of a table, and reading it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from asr_topdown.corpora.table import delimited, json_lines, lhotse, texts
from asr_topdown.corpora.table.rows import Table
from asr_topdown.files import without_hidden

KINDS = ("csv", "json", "lhotse", "kaldi", "librispeech", "beside", "lines")

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.tsv")  # Hugging Face's audiofolder
_TABLES = (".tsv", ".csv", ".json", ".jsonl")


def kind_of(source: Path) -> str:
    """Detect a source's kind from its name or, for a folder, from its files.

    Raises:
        FileNotFoundError: if the source does not exist.
        ValueError: naming the folder, if it has no transcripts, or several tables.
    """
    if source.is_dir():
        return _kind_of_folder(source)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    name = source.name.lower().removesuffix(".gz")
    if name == "wav.scp":
        return "kaldi"
    if name.endswith(".trans.txt"):
        return "librispeech"
    if "supervisions" in name or "cuts" in name:
        return "lhotse"
    return {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}.get(Path(name).suffix, "lines")


def read(source: Path, kind: str, columns: Mapping[str, str], encoding: str | None) -> Table:
    """Read a source of any kind except `kaldi`.

    Raises:
        ValueError: naming file and line of what cannot be read.
        FileNotFoundError: if a file is missing.
    """
    if kind in ("csv", "json") and source.is_dir():
        source = next((source / name for name in _METADATA if (source / name).is_file()), source)
    if kind == "lhotse" and source.is_dir():
        source = _only(lhotse.find(source), source)
    if kind == "csv":
        return delimited.read(source, columns, encoding)
    if kind == "json":
        return json_lines.read(source, columns, encoding)
    readers: Mapping[str, Callable[[Path, str | None], Table]] = {
        "lhotse": lhotse.read,
        "librispeech": texts.read_librispeech,
        "beside": texts.read_beside,
        "lines": texts.read_lines,
    }
    return readers[kind](source, encoding)


def _kind_of_folder(folder: Path) -> str:
    if (folder / "wav.scp").is_file():
        return "kaldi"
    for name in _METADATA:
        if (folder / name).is_file():
            return "csv" if name != "metadata.jsonl" else "json"
    if lhotse.find(folder):
        return "lhotse"
    if texts.librispeech_files(folder):
        return "librispeech"
    if next(iter(texts.texts_beside(folder)), None):
        return "beside"
    tables = sorted(path.name for path in without_hidden(folder.iterdir()) if path.suffix in _TABLES)
    if tables:
        what = "several tables" if len(tables) > 1 else "a table"
        raise ValueError(f"{folder}: {what}, {', '.join(tables)}: name one instead of the folder")
    lists = sorted(path.name for path in without_hidden(folder.glob("*.txt")))
    raise ValueError(
        f"{folder}: no transcripts found: no wav.scp, {', '.join(_METADATA)}, supervisions.jsonl.gz or "
        "*.trans.txt, no sound file with a .txt or .lab next to it, no table"
        + (f" (if {lists[0]} is a list of names and texts, name it instead of the folder)" if lists else "")
    )


def _only(found: list[Path], folder: Path) -> Path:
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"{folder}: several supervisions, {names}: name one instead of the folder")
    return found[0]
