"""Check a data directory as Kaldi's validate_data_dir.sh does, with the location of each problem.

Unlike in Kaldi, spk2utt may be missing, since it follows from utt2spk, and so may wav.scp if there are
features.
"""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.directory import DataDir
from asr_topdown.datadir.lines import Row, fields, read_rows, rows_of
from asr_topdown.datadir.transcripts import problem_of, tidy
from asr_topdown.datadir.writing import check_writable, contents
from asr_topdown.features import content
from asr_topdown.logs import shortened

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
    needed = _needed(need_text, need_wav and not (path / "feats.scp").exists())
    needed |= {"feats.scp", "utt2num_frames"} if need_feats else set()
    found = _problems(path, needed)
    if found:
        raise ValueError("\n".join(shortened(found)))


def check(data: DataDir, *, need_text: bool = True, need_wav: bool = True) -> None:
    """Check what `validate` would find between the tables of `data`, before anything of it is written.

    Raises:
        ValueError: as `directory.write`; saying that nothing is written, and listing the problems as
            `validate` does.
    """
    check_writable(data)
    tables = {name: rows_of(files.lines_of(text)) for name, text in contents(data).items() if text}
    needed = _needed(need_text, need_wav and not data.feats)
    found = [f"{data.path / name}: missing" for name in sorted(needed - tables.keys())]
    found += _between(data.path, tables)
    if found:
        raise ValueError(
            "\n".join([f"{data.path}: not written, for it would not be valid:", *shortened(found)])
        )


def _needed(text: bool, wav: bool) -> set[str]:
    return {"utt2spk", *(("text",) if text else ()), *(("wav.scp",) if wav else ())}


def _problems(path: Path, needed: set[str]) -> list[str]:
    found = [f"{path / name}: missing" for name in sorted(needed) if not (path / name).exists()]
    tables: Tables = {}
    for name in ("utt2spk", "text", *sorted(parsing.PARSERS.keys() - {"utt2spk"})):
        if (path / name).exists():
            try:
                rows = read_rows(path / name)
            except (ValueError, OSError) as error:
                found.append(files.explain(error))
            else:
                faults, tables[name] = _lines(path / name, rows, parsing.PARSERS.get(name))
                found += faults
    try:
        parsing.read_sample_rate(path / "sample_rate")
    except (ValueError, OSError) as error:
        found.append(files.explain(error))
    return found + _between(path, tables)


def _between(path: Path, tables: Tables) -> list[str]:
    """Problems of transcripts, of files that are named, and between tables."""
    found = _transcripts(path, tables.get("text", []))
    found += _missing_files(path, tables)
    if tables.get("utt2spk"):
        found += _speakers(path, tables)
        found += _ids(path, tables)
    return found


def _lines(path: Path, rows: list[Row], parse: Callable[[str], object] | None) -> tuple[list[str], list[Row]]:
    """The problems of a single table, and its rows; for an unreadable row, only the key."""
    if not rows:
        return [f"{path}: empty"], []
    found = _bytes(path)
    numbers = {row.number for row in rows}
    lines = len(files.read_lines(path))
    found += [f"{path}:{n}: empty line" for n in range(1, lines + 1) if n not in numbers]
    good = []
    before: Row | None = None
    for row in rows:
        where = f"{path}:{row.number}: {row.key}"
        if before and row.key == before.key:
            found.append(f"{where} occurs twice in this file")
        elif before and row.key < before.key:
            found.append(
                f"{where} is not sorted: it must come before {before.key} (byte order, LC_ALL=C sort)"
            )
        try:
            if "\r" in row.key or (parse and "\r" in row.value):
                raise ValueError("carriage return in the line")
            if parse:
                parse(row.value)
        except ValueError as error:
            found.append(f"{where}: {error}")
            row = row._replace(value="")
        good.append(row)
        before = row
    return found, good


def _bytes(path: Path) -> list[str]:
    """Problems for Kaldi's programs but not for our own, which `fix` removes."""
    content, found = path.read_bytes(), []
    if content[:2] in (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff"):
        return [f"{path}:1: compressed or UTF-16; `asr-topdown validate --fix` rewrites it"]
    if content.startswith(b"\xef\xbb\xbf"):
        found.append(f"{path}:1: begins with a byte-order mark; `asr-topdown validate --fix` removes it")
    returns = [number for number, line in enumerate(content.split(b"\n"), 1) if line.endswith(b"\r")]
    if returns:
        more = f", and of {len(returns) - 1} others" if len(returns) > 1 else ""
        found.append(
            f"{path}:{returns[0]}: carriage return at the end of the line{more} (a file from Windows?); "
            "`asr-topdown validate --fix` removes it"
        )
    if not content.endswith(b"\n"):
        lines = content.count(b"\n") + 1
        found.append(f"{path}:{lines}: the last line does not end in a line feed")
    return found


def _speakers(path: Path, tables: Tables) -> list[str]:
    found = []
    spoken: dict[str, list[str]] = {}
    highest = ""
    if not all(row.value for row in tables["utt2spk"]):
        return []  # said already
    for number, utterance, speaker in tables["utt2spk"]:
        if speaker < highest:
            found.append(
                f"{path / 'utt2spk'}:{number}: speaker {speaker} comes after {highest}: sorted by utterance, "
                "speakers must be sorted too (make the speaker the beginning of the utterance id)"
            )
        highest = max(highest, speaker)
        spoken.setdefault(speaker, []).append(utterance)
    if "spk2utt" not in tables:
        return found
    for number, speaker, value in tables["spk2utt"]:
        if fields(value) != spoken.pop(speaker, []):
            found.append(f"{path / 'spk2utt'}:{number}: speaker {speaker} has other utterances in utt2spk")
    return found + [f"{path / 'spk2utt'}: no line for speaker {speaker}" for speaker in sorted(spoken)]


def _transcripts(path: Path, rows: Iterable[Row]) -> list[str]:
    found = []
    for number, utterance, transcript in rows:
        # Kaldi does not mind blanks; `read` makes them one.
        words = fields(transcript)
        problem = problem_of(tidy(transcript)) if words else "empty transcript"
        if " ".join(words) != " ".join(transcript.split()):
            problem = "white space other than one blank between words"
        if problem:
            found.append(f"{path / 'text'}:{number}: {utterance}: {problem}")
    return found


def _ids(path: Path, tables: Tables) -> list[str]:
    utterances = {row.key for row in tables["utt2spk"]}
    speakers = {row.value for row in tables["utt2spk"] if row.value}
    recordings = utterances
    if "segments" in tables:
        recordings = {fields(row.value)[0] for row in tables["segments"] if row.value}
    found = []
    same = functools.partial(_same_ids, path, tables)
    # As `DataDir.without_features`: what `asr-topdown features` left out is no problem.
    silent = content.left_out(path).keys() - {row.key for row in tables.get("feats.scp", ())}
    for name in ("text", "segments", "feats.scp", "utt2num_frames", "utt2dur", "utt2lang", "vad.scp"):
        expected = utterances - silent if name in ("feats.scp", "utt2num_frames") else utterances
        found += same(name, expected, "utterance", "utt2spk")
    for name in ("wav.scp", "reco2file_and_channel", "reco2dur"):
        found += same(name, recordings, "recording", "segments" if "segments" in tables else "utt2spk")
    for name in ("cmvn.scp", "spk2gender"):
        found += same(name, speakers, "speaker", "utt2spk")
    for row in tables.get("utt2speed", []):
        if row.key not in utterances:
            found.append(f"{path / 'utt2speed'}:{row.number}: utterance {row.key} is not in utt2spk")
    if "segments" in tables and not {"wav.scp", "feats.scp"} & tables.keys():
        found.append(f"{path / 'segments'}: there is no wav.scp to take segments from")
    return found


def _same_ids(path: Path, tables: Tables, name: str, expected: set[str], kind: str, source: str) -> list[str]:
    if not tables.get(name):
        return []
    have = {row.key for row in tables[name]}
    found = [
        f"{path / name}:{row.number}: {kind} {row.key} is not in {source}"
        for row in tables[name]
        if row.key not in expected
    ]
    return found + [f"{path / name}: no line for {kind} {key}" for key in sorted(expected - have)]


def _missing_files(path: Path, tables: Tables) -> list[str]:
    from asr_topdown.audio import file_of, is_command
    from asr_topdown.features import ark, store

    def ark_of(entry: str) -> str:
        return ark.parse_place(store.locate(entry, path)).path

    found = []
    exists = functools.cache(lambda file: Path(file).is_file())  # many utterances share an ark
    for name in ("wav.scp", "feats.scp"):
        for row in tables.get(name, []):
            where = f"{path / name}:{row.number}: {row.key}"
            command = (ark.is_command if name == "feats.scp" else is_command)(row.value)
            if row.value.startswith("~"):
                found.append(f"{where}: a path cannot start with ~: {row.value}")
            elif command and name == "feats.scp":
                found.append(f"{where}: a command; features are read from files only: {row.value}")
            elif not row.value or command or exists(row.value):
                continue
            elif not exists(file_of(row.value) if name == "wav.scp" else ark_of(row.value)):
                found.append(f"{where}: no such file: {row.value}")
    return found
