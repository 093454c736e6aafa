"""Telephone calls with a speaker on each channel: what Switchboard, eval2000 and RT-03 share."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown.datadir import DataDir, Side
from asr_topdown.files import require_folder, without_hidden

SIDES = ("A", "B")
"""A is the first channel, B the second."""


class Utterance(NamedTuple):
    """A segment of a side (`sw02001-A`); times in seconds."""

    side: str
    start: float
    end: float
    text: str


def find_calls(folder: Path) -> dict[str, Path]:
    """Find call -> its SPHERE file, from all `*.sph` below `folder`, ignoring case.

    Raises:
        FileNotFoundError: if the folder does not exist or has no such file.
        ValueError: naming two files with the same name.
    """
    require_folder(folder)
    calls: dict[str, Path] = {}
    for path in sorted(without_hidden(folder.rglob("*"))):
        if path.suffix.lower() == ".sph" and path.is_file():
            name = path.stem.lower()
            if name in calls:
                raise ValueError(f"{path}: {calls[name]} has the same name")
            calls[name] = path.resolve()
    if not calls:
        raise FileNotFoundError(f"{folder}: no .sph files in it, at any depth")
    return calls


def find_file(folders: Iterable[Path], name: str) -> Path:
    """Find the file with this name, ignoring case, below one of the folders.

    Raises:
        FileNotFoundError: if there is none.
    """
    folders = list(folders)
    for folder in folders:
        found = [path for path in folder.rglob("*") if path.name.lower() == name.lower() and path.is_file()]
        if found:
            return min(found)
    raise FileNotFoundError(f"{' and '.join(map(str, folders))}: no {name} in it, at any depth")


def find_folder(folder: Path, name: str) -> Path:
    """Find `folder`/`name` (lower case, at any depth: `data/audio`), ignoring the case of the names on disk.

    Raises:
        FileNotFoundError: if there is none.
    """
    place = folder
    for part in name.split("/"):
        require_folder(place)
        found = (path for path in sorted(place.iterdir()) if path.name.lower() == part)
        place = next(found, place / part)
    require_folder(place)
    return place


def half_up(seconds: float) -> int:
    """Round to centiseconds, halves up, as in Kaldi's utterance ids for Switchboard."""
    return int(100 * seconds + 0.5)


def truncated(seconds: float) -> int:
    """Truncate to centiseconds, as in Kaldi's ids for eval2000 and RT-03 (0.29 s is 28: 100 × 0.29 < 29)."""
    return int(seconds * 100)


def segment_id(side: str, start: int, end: int) -> str:
    """Return an utterance id such as `sw02001-A_000098-001156`, from centiseconds."""
    return f"{side}_{start:06d}-{end:06d}"


def padded(
    segments: Mapping[str, tuple[str, float, float]], seconds: float
) -> dict[str, tuple[str, float, float]]:
    """Extend segments (id -> side, start, end) at both ends, by at most half a gap; rounded to 0.01 s.

    Ends that overlap another segment stay.
    """
    result = dict(segments)
    sides: dict[str, list[str]] = {}
    for name in sorted(segments, key=lambda name: segments[name][1]):
        sides.setdefault(segments[name][0], []).append(name)
    for side, names in sides.items():
        starts = [segments[name][1] for name in names]
        ends = [segments[name][2] for name in names]
        first, last = max(0.0, starts[0] - seconds), ends[-1] + seconds
        for i in range(len(names) - 1):
            gap = starts[i + 1] - ends[i]
            if gap >= 0:
                extra = min(seconds, gap / 2)
                starts[i + 1] -= extra
                ends[i] += extra
        starts[0], ends[-1] = first, last
        for name, start, end in zip(names, starts, ends, strict=True):
            result[name] = (side, round(start, 2), round(end, 2))
    return result


def data_dir(
    path: Path,
    calls: Mapping[str, Path],
    segments: Mapping[str, tuple[str, float, float]],
    text: Mapping[str, str],
    *,
    utt2spk: Mapping[str, str] | None = None,
    sample_rate: int | None = None,
) -> DataDir:
    """Make a data directory whose recordings are sides of calls; without `utt2spk`, sides are speakers.

    Raises:
        ValueError: naming a side whose call has no SPHERE file, and their number.
    """
    sides = {segments[name][0] for name in text}
    missing = sorted(side for side in sides if side.rpartition("-")[0] not in calls)
    if missing:
        raise ValueError(
            f"{path.name}: no .sph file for {len(missing)} sides that have transcripts: {missing[0]}"
        )
    parts = {side: Side(*side.rpartition("-")[::2]) for side in sides}
    return DataDir(
        path=path,
        wavs={side: str(calls[part.file]) for side, part in parts.items()},
        text=text,
        utt2spk=utt2spk or {name: segments[name][0] for name in text},
        segments={name: segments[name] for name in text},
        sides=parts,
        sample_rate=sample_rate,
    )
