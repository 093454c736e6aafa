"""Plain-text transcripts: `name text` or `name: text` lines, `*.trans.txt`, or a text file for each sound."""

import re
from collections.abc import Iterable
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora.table.recordings import SUFFIXES
from asr_topdown.corpora.table.rows import Row, Table, read_text

BESIDE = (".txt", ".lab")

_HTK = re.compile(r"\d+[ \t]+\d{4,}[ \t]+\S")  # `start end label`, in units of 100 ns


def read_lines(path: Path, encoding: str | None) -> Table:
    """Read lines of a sound file's name and its transcript.

    If names end in a colon, it is removed, and lines that begin with `;` or `#` are comments.
    """
    lines = list(_lines(path, encoding))
    told = [line for line in lines if not line[1].startswith((";", "#"))]
    if 2 * sum(name.endswith(":") for _, name, _ in told) <= len(told):
        return Table(path, [Row(*line) for line in lines], "lines of a name and a text", path.parent)
    rows = [Row(where, name.removesuffix(":"), text) for where, name, text in told]
    return Table(path, rows, "lines of a name, a colon and a text", path.parent)


def librispeech_files(folder: Path) -> list[Path]:
    """Find the transcripts below a folder."""
    return sorted(files.without_hidden(folder.rglob("*.trans.txt")))


def read_librispeech(path: Path, encoding: str | None) -> Table:
    """Read a `*.trans.txt`, or all below a folder, with lines of READER-CHAPTER-NUMBER and a text."""
    files = [path] if path.is_file() else librispeech_files(path)
    rows = [
        # The sound is next to the transcript; the name begins with the reader's number.
        Row(where, str(file.absolute().parent / name), text, name, name.split("-")[0])
        for file in files
        for where, name, text in _lines(file, encoding)
    ]
    return Table(
        path, rows, f"LibriSpeech, {len(files)} files of transcripts", path if path.is_dir() else path.parent
    )


def read_beside(folder: Path, encoding: str | None) -> Table:
    """Read `.txt` or `.lab` files with a sound file's name, at any depth.

    Raises:
        ValueError: naming a label file with times.
    """
    rows = []
    for sound, text in texts_beside(folder):
        said = read_text(text, encoding)
        if text.suffix == ".lab" and _HTK.match(said):
            raise ValueError(f"{text}:1: must be a transcript, got a label file with times")
        rows.append(Row(f"{text}:1", str(sound.absolute()), said))
    return Table(folder, rows, "a text file next to each sound file", folder)


def texts_beside(folder: Path) -> Iterable[tuple[Path, Path]]:
    """Find the sound files below a folder that have a text file; yield both."""
    for sound in sorted(files.without_hidden(folder.rglob("*"))):
        if sound.suffix.lower() in SUFFIXES:
            found = [text for suffix in BESIDE if (text := sound.with_suffix(suffix)).is_file()]
            if found:
                yield sound, found[0]


def _lines(path: Path, encoding: str | None) -> Iterable[tuple[str, str, str]]:
    """Yield the place, the first word and the rest of each line."""
    for number, line in enumerate(files.lines_of(read_text(path, encoding)), 1):
        name, text = (*line.split(maxsplit=1), "", "")[:2]
        if name:
            yield f"{path}:{number}", name, text
