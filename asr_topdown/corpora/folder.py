"""`folder`: recordings of one's own, and a table of what is said in them.

The table is CSV or TSV (by its suffix) with a heading line: a column `id` or `file`, a column `text`, perhaps
one `speaker`; or, with any other suffix, lines of `id text` as in Kaldi. An id is a file's name, or its path
below the folder, with or without suffix.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown import audio, datadir
from asr_topdown.corpora import english, split
from asr_topdown.datadir import DataDir

SUFFIXES = (".wav", ".flac", ".sph")
SPEAKER_SOURCES = ("column", "folder", "name", "none")

_NAME_COLUMNS, _TEXT_COLUMNS = ("id", "file", "path"), ("text", "transcript", "sentence")


class Line(NamedTuple):
    """One line of the transcript table."""

    number: int
    name: str
    text: str
    speaker: str | None


def prepare(
    out: Path,
    *,
    sounds: Path,
    transcripts: Path,
    speaker_from: str | None = None,
    normalise: bool = False,
    parts: Mapping[str, float] | None = None,
) -> list[DataDir]:
    """Write `out`, or `out/<set>` for each set in `parts`.

    Args:
        out: where the data directory goes, or the folder of several.
        sounds: folder with wav, flac or SPHERE files of one channel and one sampling rate, at any depth.
        transcripts: the table.
        speaker_from: `column` of the table, `folder` (the one a file lies in), `name` (a file's, up to the
            first `-` or `_`), or `none` (each utterance its own speaker); None: the column, if there is one.
        normalise: make the text what is spoken, by `english.normalise`; else only white space is tidied.
        parts: set -> share, to split by a hash of the transcript (`split.part_of`).

    Raises:
        OSError: if the folder or the table is not there.
        ValueError: naming file and line of a row that names no recording, or several, or that cannot be read;
            naming the recording that has several channels or another sampling rate than those before it.
    """
    lines = read_transcripts(transcripts)
    if speaker_from == "column" and any(line.speaker is None for line in lines):
        raise ValueError(f"{transcripts}: --speaker-from column: there is no column `speaker`")
    recordings = _Recordings(sounds)
    wavs: dict[str, str] = {}
    texts: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    empty: list[str] = []
    for line in lines:
        wav = recordings.find(line, transcripts)
        text = english.normalise(line.text) if normalise else " ".join(line.text.split())
        if not text:
            empty.append(line.name)
            continue
        utterance, speaker = _ids(wav.relative_to(sounds), line, speaker_from)
        if utterance in texts:
            raise ValueError(
                f"{transcripts}:{line.number}: {line.name}: utterance {utterance} is there already"
            )
        wavs[utterance] = str(wav.resolve())
        texts[utterance] = text
        utt2spk[utterance] = speaker
    _report("whose transcript is empty", empty)
    _report("that are not in the table", recordings.unused())
    _check_rates(wavs.values())
    data = DataDir(path=out, wavs=wavs, text=texts, utt2spk=utt2spk)
    directories = split.split(data, parts) if parts else [data]
    for directory in directories:
        datadir.write(directory)
    return directories


def read_transcripts(path: Path) -> list[Line]:
    """The lines of a transcript table.

    Raises:
        ValueError: naming the file, and the line, if a column is missing.
        FileNotFoundError: if there is no such file.
    """
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return list(_columns(path, file, delimiter) if delimiter else _pairs(file))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text") from error


def _columns(path: Path, file: Iterable[str], delimiter: str) -> Iterator[Line]:
    # Tab-separated tables quote nothing: a quotation mark there is part of the text.
    tabs = delimiter == "\t"
    reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
    heading = [column.strip().lower() for column in next(reader, [])]
    name = next((heading.index(column) for column in _NAME_COLUMNS if column in heading), None)
    text = next((heading.index(column) for column in _TEXT_COLUMNS if column in heading), None)
    if name is None or text is None:
        raise ValueError(f"{path}:1: needs a column `id` or `file` and a column `text`, has {heading}")
    speaker = heading.index("speaker") if "speaker" in heading else None
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(heading):
            raise ValueError(f"{path}:{reader.line_num}: {len(row)} columns under {len(heading)} headings")
        said_by = None if speaker is None else row[speaker]
        yield Line(reader.line_num, row[name].strip(), row[text], said_by)


def _pairs(file: Iterable[str]) -> Iterator[Line]:
    for number, line in enumerate(file, 1):
        name, text = (*line.split(maxsplit=1), "", "")[:2]
        if name:
            yield Line(number, name, text, None)


class _Recordings:
    """The recordings of a folder by every name a table may call them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder")
        self._files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not self._files:
            raise FileNotFoundError(f"{folder}: no {', '.join(SUFFIXES)} file is in it, at any depth")
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            below = path.relative_to(folder)
            for name in {str(below), str(below.with_suffix("")), path.name, path.stem}:
                self._by_name[name].append(path)
        self._used: set[Path] = set()

    def find(self, line: Line, table: Path) -> Path:
        found = self._by_name.get(line.name, [])
        if len(found) != 1:
            several = (
                f"{len(found)} recordings: {', '.join(map(str, found[:2]))}" if found else "no recording"
            )
            raise ValueError(f"{table}:{line.number}: {line.name!r} names {several}")
        if found[0] in self._used:
            raise ValueError(f"{table}:{line.number}: {line.name!r}: {found[0]} has a transcript already")
        self._used.add(found[0])
        return found[0]

    def unused(self) -> list[str]:
        return [str(path) for path in self._files if path not in self._used]


def _ids(below: Path, line: Line, speaker_from: str | None) -> tuple[str, str]:
    """Utterance and speaker. The speaker begins the utterance id, so that both sort alike."""
    # `-` sorts before letters, digits, `.` and `_`: it may follow a speaker, but not occur in one.
    utterance = re.sub(r"[^\w.-]", "_", str(below.with_suffix("")))
    if speaker_from == "folder":
        speaker = below.parent.name or "all"
    elif speaker_from == "name":
        speaker = re.split("[-_]", below.stem)[0]
    elif speaker_from == "none" or line.speaker is None:
        return utterance, utterance
    else:
        speaker = line.speaker.strip()
    speaker = re.sub(r"[^\w.]", "_", speaker) or "unknown"
    return (utterance if utterance.startswith(f"{speaker}-") else f"{speaker}-{utterance}"), speaker


def _report(which: str, names: list[str]) -> None:
    if names:
        more = ", ..." if len(names) > 5 else ""
        print(f"left out: {len(names)} recordings {which} ({', '.join(names[:5])}{more})")


def _check_rates(wavs: Iterable[str]) -> None:
    first: tuple[str, int] | None = None
    for wav in wavs:
        rate, _ = audio.info(audio.Clip(wav))
        first = first or (wav, rate)
        if rate != first[1]:
            raise ValueError(f"{wav}: {rate} Hz, but {first[0]} has {first[1]} Hz; resample one of them")
