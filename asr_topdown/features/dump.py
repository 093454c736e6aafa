"""Features of a whole data directory, written to Kaldi archives by several processes.

Nothing half-written is left by a kill: each archive is written aside and renamed, feats.scp comes after all
of them, and features.json, which says what they were made from, is last.
"""

import dataclasses
import hashlib
import json
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from asr_topdown import files
from asr_topdown.audio import Clip, read
from asr_topdown.engines.job import Engine
from asr_topdown.engines.parts import Tick, run_parts
from asr_topdown.features import ark, store
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.front_end import front_end, front_end_dim

_VERSION = 1
"""Raised when the same options give other features than before."""


class Dumped(NamedTuple):
    """What a folder holds after `dump`. `fresh`: computed just now, not found there."""

    utterances: int
    frames: int
    fresh: bool


class _Job(NamedTuple):
    ark: Path
    clips: Sequence[tuple[str, Clip]]
    fbank: FbankOptions
    deltas: int


class _Entry(NamedTuple):
    utterance: str
    place: str  # ark:offset
    frames: int


def dump(
    clips: Mapping[str, Clip],
    folder: Path | str,
    *,
    fbank: FbankOptions,
    deltas: int = 0,
    nj: int = 1,
    engine: Engine | None = None,
) -> Dumped:
    """Write feats.scp, utt2num_frames and the archives of all `clips`, sorted by utterance.

    The result does not depend on `nj`, but for how many archives it is spread over. Features already there
    that were made from the same files (by name, size and time), commands and options are kept.

    Args:
        clips: utterance -> where its sound is.
        folder: the data directory.
        fbank: the filter bank.
        deltas: how many derivatives to append.
        nj: number of processes, of one thread each; 1 = this process.
        engine: where the processes run; None = here.

    Raises:
        ValueError: naming the first utterance that cannot be read, has another sampling rate or is too short.
        OSError: if a file cannot be written, or a process died.
    """
    folder = Path(folder)
    if not clips:
        raise ValueError(f"{folder}: no utterances to compute features of")
    if nj < 1:
        raise ValueError(f"the number of processes must be at least 1, got {nj}")
    key = _key(clips, fbank, deltas)
    known = _known(folder, key)
    if known:
        return known
    jobs = _jobs(sorted(clips.items()), folder / store.ARKS, key, fbank, deltas, nj)
    folders = [folder / store.ARKS / "jobs" / job.ark.stem for job in jobs] if engine else []
    parts = dict(run_parts(_run, jobs, len(clips), f"features {folder}", engine=engine, folders=folders))
    entries = [entry for index in range(len(jobs)) for entry in parts[index]]
    settings = {"key": key, "fbank": dataclasses.asdict(fbank), "deltas": deltas}
    shutil.rmtree(folder / store.ARKS / "jobs", ignore_errors=True)
    return _publish(folder, entries, [job.ark for job in jobs], settings)


def _key(clips: Mapping[str, Clip], fbank: FbankOptions, deltas: int) -> str:
    """Hash of all that decides the features: 16 hex digits."""
    states: dict[str, list[int] | None] = {}
    for clip in clips.values():
        if clip.source not in states:
            states[clip.source] = _state(clip.source)
    made_from = {
        "version": _VERSION,
        "fbank": dataclasses.asdict(fbank),
        "deltas": deltas,
        "clips": {
            utterance: [*_described(clip), states[clip.source]] for utterance, clip in sorted(clips.items())
        },
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def _described(clip: Clip) -> list[object]:
    """The clip's fields; a rate only where there is one, so that features made before there were any stay."""
    return [*clip] if clip.rate else [*clip[: Clip._fields.index("rate")]]


def _state(source: str) -> list[int] | None:
    """Time and size of a file; what a command reads is not known."""
    try:
        state = Path(source).stat()
    except OSError:
        return None
    return [state.st_mtime_ns, state.st_size]


def _known(folder: Path, key: str) -> Dumped | None:
    """What the folder holds already, if that was made from the same."""
    record = folder / "features.json"
    if not all(path.is_file() for path in (record, folder / "feats.scp", folder / "utt2num_frames")):
        return None
    try:
        saved = files.read_json(record)
        whole = saved["key"] == key and all((folder / store.ARKS / ark).is_file() for ark in saved["arks"])
        return Dumped(saved["utterances"], saved["frames"], fresh=False) if whole else None
    except (ValueError, KeyError, TypeError):
        return None


def _jobs(
    clips: Sequence[tuple[str, Clip]], folder: Path, key: str, fbank: FbankOptions, deltas: int, nj: int
) -> list[_Job]:
    """Runs of neighbouring utterances, equally many in each (±1)."""
    nj = min(nj, len(clips))
    cuts = [len(clips) * job // nj for job in range(nj + 1)]
    return [
        _Job(folder / f"feats.{key}.{job + 1}of{nj}.ark", clips[cuts[job] : cuts[job + 1]], fbank, deltas)
        for job in range(nj)
    ]


def _run(job: _Job, tick: Tick) -> list[_Entry]:
    """Write one archive; in a process of its own, or in the caller's."""
    entries = []
    with files.written_aside(job.ark) as aside, open(aside, "wb") as file:
        for utterance, clip in job.clips:
            # Dither, if any, is the utterance's own: it does not depend on the order or on other utterances.
            generator = torch.Generator().manual_seed(zlib.crc32(utterance.encode()))
            try:
                feats = front_end(*read(clip, pipes=True), job.fbank, job.deltas, generator)
            # An OSError here is about the sound, one outside is about the archive.
            except (ValueError, OSError) as error:
                where = "" if clip.source in str(error) else f" ({clip.source})"
                raise ValueError(f"utterance {utterance}{where}: {error}") from error
            offset = ark.save(file, utterance, feats.numpy())
            entries.append(_Entry(utterance, f"{job.ark}:{offset}", len(feats)))
            tick()
    return entries


def _publish(folder: Path, entries: list[_Entry], arks: list[Path], settings: dict[str, Any]) -> Dumped:
    # Until the new list is there, there is none: lengths of one and features of another would be mixed.
    for stale in ("features.json", "feats.scp", "cmvn.ark"):
        (folder / stale).unlink(missing_ok=True)
    files.write_text(
        folder / "utt2num_frames", "".join(f"{entry.utterance} {entry.frames}\n" for entry in entries)
    )
    files.write_text(folder / "feats.scp", "".join(f"{entry.utterance} {entry.place}\n" for entry in entries))
    frames = sum(entry.frames for entry in entries)
    fbank = FbankOptions(**settings["fbank"])
    files.write_json(
        folder / "features.json",
        settings
        | {
            "arks": [ark.name for ark in arks],
            "dim": front_end_dim(fbank, settings["deltas"]),
            "frames": frames,
            "utterances": len(entries),
        },
    )
    for old in (*(folder / store.ARKS).glob("feats.*.ark"), *(folder / store.ARKS).glob(".feats.*.tmp")):
        if old not in arks:
            old.unlink(missing_ok=True)
    return Dumped(len(entries), frames, fresh=True)
