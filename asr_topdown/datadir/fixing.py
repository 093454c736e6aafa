"""Repair what Kaldi's fix_data_dir.sh repairs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from typing import NamedTuple

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.lines import fields, read_rows, table_text
from asr_topdown.datadir.transcripts import problem_of, tidy

_OF_UTTERANCES = (
    *("text", "segments", "utt2speed", "feats.scp", "utt2num_frames"),
    *("utt2dur", "utt2lang", "utt2uniq", "vad.scp"),
)
_OF_RECORDINGS = ("wav.scp", "reco2file_and_channel", "reco2dur")
_OF_SPEAKERS = ("cmvn.scp", "spk2gender")
_NARROWING = ("text", "segments", "feats.scp", "utt2num_frames", "utt2dur", "utt2lang")
BACKUP = ".backup"

Tables = dict[str, dict[str, str]]


class Fixed(NamedTuple):
    """What `fix` left and what it dropped."""

    kept: int
    dropped: tuple[str, ...]


def fix(path: Path | str) -> Fixed:
    """Sort every table, drop duplicates (the first line stays), and keep the utterances that are complete.

    Complete is an utterance with a line in every one of utt2spk, wav.scp (through segments, if there are
    any), text, segments, feats.scp, utt2num_frames, utt2dur and utt2lang that the directory has. Unlike in
    Kaldi, a line whose value `validate` refuses (an empty transcript, a segment that does not end after its
    start, a number that is none, two languages) counts as no line. Byte-order marks and the carriage returns
    of Windows go, and transcripts are written as they are read (`transcripts.tidy`). spk2utt is rewritten.
    The files as they were are kept in `.backup`.

    Raises:
        FileNotFoundError: if there is no utt2spk.
        ValueError: if nothing is left, or if utt2spk cannot be sorted by utterance and by speaker at once.
    """
    path = Path(path)
    if not (path / "utt2spk").is_file():
        raise FileNotFoundError(f"{path / 'utt2spk'}: missing, and it cannot be made from anything")
    names = ("utt2spk", *_OF_UTTERANCES, *_OF_RECORDINGS, *_OF_SPEAKERS)
    tables = {name: _usable(path / name) for name in names if (path / name).exists()}
    before = set(tables["utt2spk"])
    kept = _complete(tables)
    if not kept:
        raise ValueError(f"{path}: no utterance is complete: nothing would be left, so nothing was changed")
    _check_speakers(path, {utterance: tables["utt2spk"][utterance] for utterance in kept})
    _write(path, _filtered(tables, kept))
    return Fixed(len(kept), tuple(sorted(before - kept)))


def _usable(path: Path) -> dict[str, str]:
    """The valid lines, the first of each key."""
    table: dict[str, str] = {}
    for row in read_rows(path):
        value = _repaired(path.name, row.value)
        if value is not None and "\r" not in row.key + value:
            table.setdefault(row.key, value)
    return table


def _repaired(name: str, value: str) -> str | None:
    if name == "text":
        transcript = tidy(value)
        return transcript if transcript and not problem_of(transcript) else None
    try:
        parsing.PARSERS[name](value)
    except ValueError:
        return None
    return value


def _complete(tables: Tables) -> set[str]:
    kept = set(tables["utt2spk"])
    if "wav.scp" in tables and "segments" in tables:
        segments = tables["segments"]
        tables["segments"] = {u: s for u, s in segments.items() if fields(s)[0] in tables["wav.scp"]}
    elif "wav.scp" in tables:
        kept &= tables["wav.scp"].keys()
    for name in _NARROWING:
        if name in tables:
            kept &= tables[name].keys()
    return kept


def _filtered(tables: Tables, kept: set[str]) -> Tables:
    utt2spk = {utterance: speaker for utterance, speaker in tables["utt2spk"].items() if utterance in kept}
    recordings = kept
    if "segments" in tables:
        recordings = {fields(tables["segments"][utterance])[0] for utterance in kept}
    keys = {name: kept for name in ("utt2spk", *_OF_UTTERANCES)}  # noqa: C420 - one set, never changed
    keys |= {name: recordings for name in _OF_RECORDINGS}  # noqa: C420
    keys |= {name: set(utt2spk.values()) for name in _OF_SPEAKERS}
    return {
        name: {key: value for key, value in table.items() if key in keys[name]}
        for name, table in tables.items()
    }


def _check_speakers(path: Path, utt2spk: Mapping[str, str]) -> None:
    highest = ""
    for utterance, speaker in sorted(utt2spk.items()):
        if speaker < highest:
            raise ValueError(
                f"{path / 'utt2spk'}: {utterance}: speaker {speaker} comes after {highest}: make the "
                "speaker the beginning of each utterance id; this cannot be repaired here"
            )
        highest = speaker


def _write(path: Path, tables: Tables) -> None:
    spk2utt: dict[str, str] = {}
    for utterance, speaker in sorted(tables["utt2spk"].items()):
        spk2utt[speaker] = f"{spk2utt[speaker]} {utterance}" if speaker in spk2utt else utterance
    backup = path / BACKUP
    backup.mkdir(exist_ok=True)
    files.remove_leftovers(path)
    files.remove_leftovers(backup)
    # The old files get to their places first, and utt2spk, from which it is known what was dropped, last.
    with files.written_together() as together:
        changed = {}
        for name, table in {"spk2utt": spk2utt, **dict(reversed(tables.items()))}.items():
            content = table_text(table)
            file = path / name
            if not file.exists() or file.read_bytes() != content.encode():
                changed[file] = content
                if file.exists():
                    with together.aside(backup / name, mode=S_IMODE(file.stat().st_mode)) as aside:
                        shutil.copy2(file, aside)
        for file, content in changed.items():
            together.write_text(file, content)
