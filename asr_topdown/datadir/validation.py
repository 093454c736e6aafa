"""Check a data directory as Kaldi's validate_data_dir.sh does, and say where each fault is."""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from asr_topdown.datadir import parsing
from asr_topdown.datadir.lines import Row, fields, read_lines, read_rows, transcript_problem
from asr_topdown.features import store

SHOWN = 10
"""So many problems are listed; of the rest, the number."""

Tables = dict[str, list[Row]]


def validate(
    path: Path | str, *, need_text: bool = True, need_feats: bool = False, need_wav: bool = True
) -> None:
    """Check the data directory `path`.

    Raises:
        ValueError: listing the problems, one `file:line: what` per line, at most ten and then how many more.
        FileNotFoundError: if there is no such directory.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such data directory")
    needed = {"utt2spk", "spk2utt"}
    needed |= {"text"} if need_text else set()
    needed |= {"wav.scp"} if need_wav else set()
    needed |= {"feats.scp", "utt2num_frames"} if need_feats else set()
    found = _problems(path, needed)
    if found:
        more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise ValueError("\n".join(found[:SHOWN] + more))


def _problems(path: Path, needed: set[str]) -> list[str]:
    found = [f"{path / name}: missing" for name in sorted(needed) if not (path / name).exists()]
    tables: Tables = {}
    for name in ("utt2spk", "text", *sorted(parsing.PARSERS.keys() - {"utt2spk"})):
        if (path / name).exists():
            try:
                tables[name] = read_rows(path / name)
            except ValueError as error:
                found.append(str(error))
            else:
                found += _lines(path / name, tables[name], parsing.PARSERS.get(name))
    try:
        parsing.read_sample_rate(path / "sample_rate")
    except ValueError as error:
        found.append(str(error))
    if found:
        return found  # what follows compares files, and would only repeat such faults
    found += _speakers(path, tables)
    found += _transcripts(path, tables.get("text", []))
    found += _ids(path, tables)
    found += _missing_files(path, tables)
    return found


def _lines(path: Path, rows: list[Row], parse: Callable[[str], object] | None) -> list[str]:
    found = []
    lines = read_lines(path)
    if not rows:
        return [f"{path}: empty"]
    if not path.read_bytes().endswith(b"\n"):
        found.append(f"{path}:{len(lines)}: the last line does not end in a line feed")
    numbers = {row.number for row in rows}
    found += [f"{path}:{n}: empty line" for n in range(1, len(lines) + 1) if n not in numbers]
    before: Row | None = None
    for row in rows:
        where = f"{path}:{row.number}: {row.key}"
        if before and row.key == before.key:
            found.append(f"{where} stands in this file twice")
        elif before and row.key < before.key:
            found.append(
                f"{where} is not sorted: it must come before {before.key} (byte order, LC_ALL=C sort)"
            )
        if "\r" in row.key + row.value and path.name != "text":
            found.append(f"{where}: carriage return in the line (a file from Windows?)")
        elif parse:
            try:
                parse(row.value)
            except ValueError as error:
                found.append(f"{where}: {error}")
        before = row
    return found


def _speakers(path: Path, tables: Tables) -> list[str]:
    found = []
    spoken: dict[str, list[str]] = {}
    highest = ""
    for number, utterance, speaker in tables["utt2spk"]:
        if speaker < highest:
            found.append(
                f"{path / 'utt2spk'}:{number}: speaker {speaker} comes after {highest}: sorted by utterance, "
                "speakers must be sorted too (make the speaker the beginning of the utterance id)"
            )
        highest = max(highest, speaker)
        spoken.setdefault(speaker, []).append(utterance)
    for number, speaker, value in tables["spk2utt"]:
        if fields(value) != spoken.pop(speaker, []):
            found.append(f"{path / 'spk2utt'}:{number}: speaker {speaker} has other utterances in utt2spk")
    return found + [f"{path / 'spk2utt'}: no line for speaker {speaker}" for speaker in sorted(spoken)]


def _transcripts(path: Path, rows: Iterable[Row]) -> list[str]:
    found = []
    for number, utterance, transcript in rows:
        # Kaldi does not mind blanks; `read` makes them one.
        problem = transcript_problem(" ".join(fields(transcript))) if transcript else "empty transcript"
        if problem:
            found.append(f"{path / 'text'}:{number}: {utterance}: {problem}")
    return found


def _ids(path: Path, tables: Tables) -> list[str]:
    utterances = {row.key for row in tables["utt2spk"]}
    speakers = {row.value for row in tables["utt2spk"]}
    recordings = utterances
    if "segments" in tables:
        recordings = {fields(row.value)[0] for row in tables["segments"]}
    found = []
    same = functools.partial(_same_ids, path, tables)
    for name in ("text", "segments", "feats.scp", "utt2num_frames", "utt2dur", "utt2lang", "vad.scp"):
        found += same(name, utterances, "utterance", "utt2spk")
    for name in ("wav.scp", "reco2file_and_channel", "reco2dur"):
        found += same(name, recordings, "recording", "segments" if "segments" in tables else "utt2spk")
    for name in ("cmvn.scp", "spk2gender"):
        found += same(name, speakers, "speaker", "utt2spk")
    for row in tables.get("utt2speed", []):
        if row.key not in utterances:
            found.append(f"{path / 'utt2speed'}:{row.number}: utterance {row.key} is not in utt2spk")
    if "segments" in tables and "wav.scp" not in tables:
        found.append(f"{path / 'segments'}: there is no wav.scp to take segments from")
    return found


def _same_ids(path: Path, tables: Tables, name: str, expected: set[str], kind: str, source: str) -> list[str]:
    if name not in tables:
        return []
    have = {row.key for row in tables[name]}
    found = [
        f"{path / name}:{row.number}: {kind} {row.key} is not in {source}"
        for row in tables[name]
        if row.key not in expected
    ]
    return found + [f"{path / name}: no line for {kind} {key}" for key in sorted(expected - have)]


def _missing_files(path: Path, tables: Tables) -> list[str]:
    found = []
    exists = functools.cache(lambda file: Path(file).is_file())  # many utterances share an ark
    for name in ("wav.scp", "feats.scp"):
        for row in tables.get(name, []):
            where = f"{path / name}:{row.number}: {row.key}"
            if row.value.startswith("~"):
                found.append(f"{where}: a path cannot start with ~: {row.value}")
            elif not (
                row.value.endswith("|")
                or exists(row.value)
                or exists(_without_offset(store.locate(row.value, path)))
            ):
                found.append(f"{where}: no such file: {row.value}")
    return found


def _without_offset(place: str) -> str:
    """`a.ark` of `a.ark:123` and of `a.ark:123[0:9]`."""
    return re.sub(r":\d+(\[[\d:,]*\])?$", "", place)
