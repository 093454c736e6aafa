"""From a table or a Kaldi data directory to data directories."""

import dataclasses
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.corpora import kaldi, split
from asr_topdown.corpora.normalise import NORMALISERS, in_word
from asr_topdown.corpora.table import reading
from asr_topdown.corpora.table.recordings import Recordings
from asr_topdown.corpora.table.rows import Row, Table
from asr_topdown.corpora.table.sound import Found, Sounds
from asr_topdown.datadir import DataDir, Side
from asr_topdown.logs import listed

SPEAKER_SOURCES = ("column", "folder", "name", "none")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read a table.

    Attributes:
        sounds: folder with the sound; None: as in the table, or the table's folder.
        kind: one of `reading.KINDS`; None detects it.
        columns: use -> heading, for a table with unusual headings.
        encoding: of the text; None is UTF-8, or by a byte-order mark.
        speaker_from: `column` of the table, `folder` (the sound file's), `name` (the sound file's, up to the
            first `-` or `_`), or `none` (each utterance its own speaker); None: the table's column, or else
            `none`.
        normalise: a key of `normalise.NORMALISERS`.
        sample_rate: rate in Hz to which all sound is resampled; None: all rates must be equal.
        channel: of sound files with several channels, from 0; None: as in the table.
        skip_bad: leave out rows whose sound is missing or cannot be read.

    Raises:
        ValueError: if the sampling rate is less than 1, or the channel neither 0 nor 1.
    """

    sounds: Path | None = None
    kind: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    speaker_from: str | None = None
    normalise: str = "none"
    sample_rate: int | None = None
    channel: int | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.sample_rate is not None and self.sample_rate < 1:
            raise ValueError(f"--sample-rate {self.sample_rate}: must be at least 1")
        if self.channel not in (None, 0, 1):
            raise ValueError(f"--channel {self.channel}: must be 0 or 1, one of the first two")


def prepare(
    out: Path, *, source: Path, options: Options | None = None, division: split.Division | None = None
) -> list[DataDir]:
    """Write `out`, or `out/<set>` for each set of `division`.

    Args:
        out: the data directory, or the folder of several.
        source: the table, or its folder.
        options: how to read it.
        division: how to divide it; None writes one directory.

    Raises:
        OSError: if the table or the folder with the sound is missing.
        ValueError: naming file and line of a row that cannot be read, or whose sound is missing or named
            twice; naming sound with several channels or a sampling rate that differs; naming the options that
            a source of this kind does not use.
    """
    options = options or Options()
    kind = options.kind or reading.kind_of(source)
    _check_used(options, kind, source)
    data = _from_kaldi(out, source, options) if kind == "kaldi" else _from_table(out, source, kind, options)
    data = _normalised(data, options.normalise)
    directories = split.split(data, division) if division else [data]
    for directory in directories:
        datadir.check(directory)
    datadir.write(*directories)
    return directories


def _check_used(options: Options, kind: str, source: Path) -> None:
    unused = {"--columns": bool(options.columns) and kind not in ("csv", "json")}
    if kind == "kaldi":
        unused |= {
            "--audio": options.sounds is not None,
            "--encoding": options.encoding is not None,
            "--speaker-from": options.speaker_from is not None,
            "--channel": options.channel is not None,
            "--skip-bad": options.skip_bad,
        }
    if given := [option for option, is_given in unused.items() if is_given]:
        raise ValueError(f"{source}: a source of the kind `{kind}` must be read without {', '.join(given)}")


def _from_kaldi(out: Path, source: Path, options: Options) -> DataDir:
    folder = source if source.is_dir() else source.parent
    data = kaldi.read(folder, out)
    speakers = "utt2spk" if (folder / "utt2spk").exists() else "nowhere"
    print(f"{folder}: Kaldi's data directory, {len(data.utt2spk)} utterances, speakers from {speakers}")
    return dataclasses.replace(data, sample_rate=options.sample_rate or data.sample_rate)


def _from_table(out: Path, source: Path, kind: str, options: Options) -> DataDir:
    table = reading.read(source, kind, options.columns, options.encoding)
    folder = options.sounds or table.sounds
    print(f"{table.path}: {table.taken}; {len(table.rows)} rows, sound in {folder}")
    if options.speaker_from == "column" and any(row.speaker is None for row in table.rows):
        raise ValueError(f"{table.path}: --speaker-from column: the table must have a speaker in each row")
    parent = table.path if table.path.is_dir() else table.path.parent
    recordings = Recordings(folder, parent)
    sounds = Sounds(recordings, table, options.channel)
    rows = [row for row in table.rows if row.text.strip()]
    found = list(sounds.read(rows, skip_bad=options.skip_bad))
    _report("whose transcript is empty", [row.sound for row in table.rows if not row.text.strip()])
    if not rows:
        raise ValueError(f"{table.path}: has no transcripts")
    if options.sounds or any(folder in one.path.parents for one in found):
        named = sounds.named(table.rows)
        _report("that are not in the table", [str(path) for path in recordings.all if path not in named])
    if options.sample_rate is None:
        sounds.check_rates(found)
    else:
        _report_rates([one.rate for one in found], options.sample_rate)
    return _Names(table, found, folder, options.speaker_from).directory(out, options.sample_rate)


class _Names:
    """Makes ids of utterances, recordings and speakers, and the tables of a data directory."""

    def __init__(self, table: Table, found: list[Found], folder: Path, speaker_from: str | None) -> None:
        self._table, self._found, self._speaker_from = table, found, speaker_from
        inside = all(folder in one.path.parents for one in found)
        self._root = folder if inside else Path(os.path.commonpath([one.path.parent for one in found]))
        self._cut = any(not one.whole for one in found)
        self._speakers: dict[str, str] = {}

    def directory(self, out: Path, sample_rate: int | None) -> DataDir:
        """The data directory, not yet written.

        Raises:
            ValueError: naming the row, if an utterance or a recording is there twice.
        """
        wavs: dict[str, str] = {}
        sides: dict[str, Side] = {}
        text: dict[str, str] = {}
        rows: dict[str, Row] = {}
        utt2spk: dict[str, str] = {}
        segments: dict[str, tuple[str, float, float]] = {}
        sided = any(one.channel is not None for one in self._found)
        for one in self._found:
            utterance, speaker = self._ids(one)
            if (first := rows.setdefault(utterance, one.row)) is not one.row:
                raise ValueError(
                    f"{one.row.where}: {one.row.sound}: duplicate utterance {utterance}, "
                    f"already that of {first.sound} ({first.where})"
                )
            text[utterance], utt2spk[utterance] = one.row.text, speaker
            recording = self._recording(one) if self._cut else utterance
            if wavs.setdefault(recording, str(one.path.resolve())) != str(one.path.resolve()):
                raise ValueError(
                    f"{one.row.where}: {one.path}: recording {recording} is already {wavs[recording]}"
                )
            if sided:
                sides[recording] = Side(recording, "AB"[one.channel or 0])
            if self._cut:
                segments[utterance] = recording, one.start, one.end
        return DataDir(
            path=out,
            wavs=wavs,
            text=text,
            utt2spk=utt2spk,
            segments=segments if self._cut else None,
            sides=sides,
            sample_rate=sample_rate,
        )

    def _ids(self, one: Found) -> tuple[str, str]:
        """Return utterance and speaker; the utterance's id begins with the speaker, so both sort alike."""
        utterance = _id(one.row.utterance) or self._recording(one)
        if self._cut and not one.row.utterance:
            utterance += f"-{round(1000 * one.start):07}-{round(1000 * one.end):07}"
        speaker = self._speaker(one)
        if speaker is None:
            return utterance, utterance
        original = unicodedata.normalize("NFC", speaker.strip()) or "unknown"
        # `-` sorts before letters, digits, `.` and `_`, so it may follow a speaker but not occur in one.
        speaker = _id(original, "_.")
        if (other := self._speakers.setdefault(speaker, original)) != original:
            raise ValueError(
                f"{one.row.where}: speakers {other!r} and {original!r} would both be {speaker}: rename one"
            )
        return (utterance if utterance.startswith(f"{speaker}-") else f"{speaker}-{utterance}"), speaker

    def _speaker(self, one: Found) -> str | None:
        if self._speaker_from == "folder":
            return self._below(one).parent.name or "all"
        if self._speaker_from == "name":
            return re.split("[-_]", one.path.stem)[0]
        return None if self._speaker_from == "none" else one.row.speaker

    def _recording(self, one: Found) -> str:
        side = "" if one.channel is None else f"-{'AB'[one.channel]}"
        return _id(str(self._below(one).with_suffix(""))) + side

    def _below(self, one: Found) -> Path:
        return one.path.relative_to(self._root)


def _normalised(data: DataDir, name: str) -> DataDir:
    """Normalise the transcripts; leave out empty ones and print their number."""
    normalise: Callable[[str], str] = NORMALISERS[name]
    texts = {utterance: normalise(text) for utterance, text in data.text.items()}
    empty = [utterance for utterance, text in texts.items() if not text]
    _report(f"whose transcript is empty (--normalise {name})", empty)
    kept = datadir.subset(dataclasses.replace(data, text=texts), data.utt2spk.keys() - set(empty), data.path)
    characters = sorted(set("".join(kept.text.values())) - {" "})
    print(f"transcripts: {len(characters)} different characters: {''.join(characters[:150])}")
    return kept


def _id(name: str, kept: str = "_.-") -> str:
    """Replace what is neither part of words nor `kept`, which has no place in an id."""
    composed = unicodedata.normalize("NFC", name)
    return "".join(character if in_word(character) or character in kept else "_" for character in composed)


def _report_rates(rates: Iterable[int], wanted: int) -> None:
    """Say how many recordings are resampled, and whether part of the features' band has no sound."""
    counts = Counter(rate for rate in rates if rate != wanted)
    for rate, count in sorted(counts.items()):
        empty = f"; above {rate // 2} Hz there is no sound in them" if rate < wanted else ""
        print(f"resampled when read: {count} utterances from {rate} to {wanted} Hz{empty}")


def _report(which: str, names: Iterable[str]) -> None:
    if left_out := list(names):
        print(f"left out: {len(left_out)} recordings {which} ({listed(left_out)})")
