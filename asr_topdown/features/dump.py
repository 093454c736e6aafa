"""Features of a whole data directory, written to Kaldi archives by several processes.

A kill leaves no partial files: each archive is written aside and renamed, feats.scp is written after all
of them, and features.json, which records their source (`features.content`), is last.
"""

import dataclasses
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from asr_topdown import files, hashes
from asr_topdown.audio import Clip, file_of, is_command
from asr_topdown.engines import interruption
from asr_topdown.engines.job import Engine
from asr_topdown.engines.lock import LOCK, held
from asr_topdown.engines.parts import run_parts
from asr_topdown.features import content, store
from asr_topdown.features.extraction import Entry, Extracted, Part, extract, joined
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.logs import shortened

_VERSION = 1
"""Raise this when the same options give different features."""

_ATTEMPT = "attempt"


class Dumped(NamedTuple):
    """The result of `dump`.

    Attributes:
        utterances, frames: how many.
        fresh: whether they were newly computed rather than found.
        dropped: utterance -> why it was left out.
        remarks: problems of audio that was used nevertheless.
    """

    utterances: int
    frames: int
    fresh: bool
    dropped: Mapping[str, str] = MappingProxyType({})
    remarks: Sequence[str] = ()


def dump(
    clips: Mapping[str, Clip],
    folder: Path | str,
    *,
    fbank: FbankOptions,
    deltas: int = 0,
    nj: int = 1,
    engine: Engine | None = None,
    strict: bool = False,
) -> Dumped:
    """Write feats.scp, utt2num_frames and the archives of all `clips`, sorted by utterance.

    The result does not depend on `nj`, except for the number of archives. Existing features
    that were made with the same options from the same files (by name, size and times) are kept. They are also
    kept if the audio turns out to be identical, byte for byte; the output of commands is always read.

    Args:
        clips: utterance -> location of its audio.
        folder: the data directory.
        fbank: the filter bank.
        deltas: how many derivatives to append.
        nj: number of processes, of one thread each; 1 = this process.
        engine: where the processes run; None = here.
        strict: refuse what is otherwise cut, left out or reported.

    Raises:
        ValueError: with one line per utterance that cannot be read or has another sampling rate, at most
            ten and the number of others; if none has audio; or if the folder has features made elsewhere.
        OSError: if a file cannot be written, or a process died.
    """
    folder = Path(folder)
    if not clips:
        raise ValueError(f"{folder}: no utterances to compute features of")
    if nj < 1:
        raise ValueError(f"the number of processes must be at least 1, got {nj}")
    _check_own(folder / "feats.scp")
    key = _key(clips, fbank, deltas, folder / store.ARKS)
    known = _known(folder, key)
    if not known:
        with held(folder / LOCK, f"features {folder}"):
            known = _known(folder, key)  # now, if another process was making them
            if not known:
                return _made(clips, folder, key, fbank, deltas, nj, engine, strict=strict)
    _refuse({}, known.dropped, known.remarks, strict=strict)
    return known


def _made(
    clips: Mapping[str, Clip],
    folder: Path,
    key: str,
    fbank: FbankOptions,
    deltas: int,
    nj: int,
    engine: Engine | None,
    *,
    strict: bool,
) -> Dumped:
    """Compute the features and publish them."""
    files.remove_leftovers(folder)
    parts = _parts(sorted(clips.items()), folder / store.ARKS, key, fbank, deltas, nj)
    found = _extracted(parts, folder, len(clips), engine, strict=strict)
    record = {
        "key": key,
        "fbank": dataclasses.asdict(fbank),
        "deltas": deltas,
        "content": _content(found.entries, fbank, deltas),
        "dim": front_end_dim(fbank, deltas),
        "arks": [part.ark.name for part in parts],
    }
    return _store(folder, found, record)


def _extracted(
    parts: Sequence[Part], folder: Path, utterances: int, engine: Engine | None, *, strict: bool
) -> Extracted:
    """Write the archives of the parts, of `utterances` in all; remove them again if something is refused."""
    folders = [folder / store.ARKS / "jobs" / part.ark.stem for part in parts] if engine else []
    done = run_parts(extract, parts, utterances, f"features {folder}", engine=engine, folders=folders)
    found = joined([part for _, part in sorted(done)])
    try:
        _refuse(found.faults, found.dropped, found.remarks, strict=strict)
        _check_any(folder, found)
    except ValueError:
        for part in parts:
            part.ark.unlink(missing_ok=True)
        raise
    return found


def _store(folder: Path, found: Extracted, record: dict[str, Any]) -> Dumped:
    """Publish the features, unless the folder has the same; `record` describes how they were made."""
    entries = found.entries
    record |= {
        "entries": content.entries_hash({entry.utterance: entry.place for entry in entries}),
        "frames": sum(entry.frames for entry in entries),
        "utterances": len(entries),
        "dropped": found.dropped,
        "remarks": found.remarks,
    }
    # Features that are there are looked at no more: a request to stop must not leave old archives beside
    # them, nor a kill the number of this attempt, with which the commands would never be run again.
    with interruption.unbroken():
        (folder / store.ARKS / _ATTEMPT).unlink(missing_ok=True)
        if not _keep(folder, record):
            _publish(folder, entries, record)
        _clear(folder / store.ARKS, files.read_json(folder / content.RECORD)["arks"])
    return Dumped(len(entries), record["frames"], True, found.dropped, found.remarks)


def _key(clips: Mapping[str, Clip], fbank: FbankOptions, deltas: int, folder: Path) -> str:
    """Hash of everything known in advance that determines the features: 16 hex digits.

    What a command reads is unknown: it is represented by a random number, which `folder` keeps until the
    features are done.
    """
    sources = {clip.source for clip in clips.values()}
    states: dict[str, object] = {source: hashes.state_of(file_of(source)) for source in sources}
    if any(is_command(source) for source in sources):
        attempt = folder / _ATTEMPT
        if not attempt.is_file():
            files.write_text(attempt, secrets.token_hex(8))
        states["|"] = attempt.read_text()
    made_from = {
        "version": _VERSION,
        "settings": content.described(fbank, deltas),
        "clips": {utterance: [*clip] for utterance, clip in sorted(clips.items())},
        "states": states,
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def _content(entries: Sequence[Entry], fbank: FbankOptions, deltas: int) -> str:
    """The name of the features: options that differ from their defaults, and all audio, but no path."""
    default = content.described(FbankOptions(), 0)
    settings = {
        name: value for name, value in content.described(fbank, deltas).items() if value != default[name]
    }
    digest = hashlib.sha256(json.dumps([_VERSION, settings], sort_keys=True).encode())
    for entry in entries:
        digest.update(f"{entry.utterance} {entry.sound}\n".encode())
    return digest.hexdigest()[:16]


def _known(folder: Path, key: str) -> Dumped | None:
    """The folder's existing features, if they were made from the same source."""
    try:
        saved = files.read_json(folder / content.RECORD)
        whole = saved["key"] == key and all((folder / store.ARKS / ark).is_file() for ark in saved["arks"])
        whole = whole and content.tables_fit(folder, saved)
        dropped, remarks = dict(saved["dropped"]), list(saved["remarks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Dumped(saved["utterances"], saved["frames"], False, dropped, remarks) if whole else None


def _parts(
    clips: Sequence[tuple[str, Clip]], folder: Path, key: str, fbank: FbankOptions, deltas: int, nj: int
) -> list[Part]:
    """Runs of adjacent utterances, of equal size (±1)."""
    nj = min(nj, len(clips))
    cuts = [len(clips) * part // nj for part in range(nj + 1)]
    return [
        Part(folder / f"feats.{key}.{part + 1}of{nj}.ark", clips[cuts[part] : cuts[part + 1]], fbank, deltas)
        for part in range(nj)
    ]


def _refuse(
    faults: Mapping[str, str], dropped: Mapping[str, str], remarks: Sequence[str], *, strict: bool
) -> None:
    """Raise a ValueError that lists all problems, if there are any."""
    lines = [f"utterance {utterance}: {reason}" for utterance, reason in faults.items()]
    if strict:
        lines += [f"utterance {utterance}: {reason}" for utterance, reason in dropped.items()]
        lines += remarks
    if lines:
        raise ValueError("\n".join(shortened(lines)))


def _check_own(scp: Path) -> None:
    """Check that features of other programs, for which this may be the only index, are not overwritten."""
    text = scp.read_text(encoding="utf-8") if scp.exists() else ""
    entries = text.splitlines()
    if len(entries) > 1 and not text.endswith("\n"):
        entries.pop()  # cut off by a crash of the machine
    archives = {Path(entry.partition(" ")[2].rpartition(":")[0]) for entry in entries}
    if not all(map(store.made_here, archives)):
        raise ValueError(
            f"{scp}: features made elsewhere are not overwritten; choose a folder with --out DIR"
        )


def _check_any(folder: Path, found: Extracted) -> None:
    if not found.entries:
        utterance, reason = next(iter(found.dropped.items()))
        raise ValueError(f"{folder}: no utterance has sound; {utterance}: {reason}")


def _keep(folder: Path, record: dict[str, Any]) -> bool:
    """Return whether the folder already has exactly these features; if so, record the new key and remarks."""
    try:
        old = files.read_json(folder / content.RECORD)
        same = old["content"] == record["content"] and content.tables_fit(folder, old)
        whole = same and all((folder / store.ARKS / name).is_file() for name in old["arks"])
        new = set(record["arks"]).isdisjoint(old["arks"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not (whole and new):
        return False
    told = {name: record[name] for name in ("key", "dropped", "remarks")}
    files.write_json(folder / content.RECORD, {**old, **told})
    return True


def _publish(folder: Path, entries: Sequence[Entry], record: dict[str, Any]) -> None:
    # Until the new list is there, there is none: lengths of one and features of another would be mixed.
    for stale in (content.RECORD, content.FOREIGN, "feats.scp", "cmvn.ark"):
        (folder / stale).unlink(missing_ok=True)
    files.write_text(
        folder / "utt2num_frames", "".join(f"{entry.utterance} {entry.frames}\n" for entry in entries)
    )
    files.write_text(folder / "feats.scp", "".join(f"{entry.utterance} {entry.place}\n" for entry in entries))
    files.write_json(folder / content.RECORD, record)


def _clear(folder: Path, arks: Sequence[str]) -> None:
    """Remove what is no longer needed: other archives, engines' jobs."""
    shutil.rmtree(folder / "jobs", ignore_errors=True)
    files.remove_leftovers(folder)
    store.remove_others(folder, arks)
