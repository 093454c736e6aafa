"""Features supplied by data directories: append derivatives, and write them like `dump`."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from asr_topdown import files, hashes
from asr_topdown.engines.lock import LOCK, held
from asr_topdown.features import ark, content, store
from asr_topdown.features.deltas import add_deltas
from asr_topdown.features.dump import Dumped
from asr_topdown.progress import progress

_VERSION = 1
"""Raise this when the same input gives different features."""


def take_over(feats: Mapping[str, str], source: Path, folder: Path, *, dim: int, deltas: int) -> Dumped:
    """Write feats.scp, utt2num_frames and one archive to `folder`.

    Existing features are kept if they were made from the same places in the same archives, by size and times.

    Args:
        feats: utterance -> entry of feats.scp.
        source: the data directory whose feats.scp that is.
        folder: another data directory.
        dim: numbers in a frame.
        deltas: how many derivatives to append.

    Raises:
        ValueError: naming feats.scp and the first utterance whose features cannot be read, have another
            dimension or are not finite.
        OSError: if a file cannot be written.
    """
    if not feats:
        raise ValueError(f"{source / 'feats.scp'}: missing or empty; features.kind: given needs it")
    places = {utterance: store.locate(entry, source) for utterance, entry in sorted(feats.items())}
    key = _key(places, source, dim, deltas)
    target = folder / store.ARKS / f"feats.{key}.1of1.ark"
    if known := _known(folder, target, key):
        return known
    with held(folder / LOCK, f"features {folder}"):
        # Known now, if another process was writing them.
        return _known(folder, target, key) or _written(places, source, folder, target, key, dim, deltas)


def _known(folder: Path, target: Path, key: str) -> Dumped | None:
    """The folder's existing features, if they were made from the same source."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # missing or damaged
        kept = files.read_json(folder / content.RECORD)
        if target.is_file() and kept["key"] == key and content.tables_fit(folder, kept):
            return Dumped(kept["utterances"], kept["frames"], fresh=False)
    return None


def _written(
    places: Mapping[str, str], source: Path, folder: Path, target: Path, key: str, dim: int, deltas: int
) -> Dumped:
    """Write the archive `target` and the tables."""
    files.remove_leftovers(folder)
    files.remove_leftovers(target.parent)
    found: dict[str, tuple[str, int]] = {}  # utterance -> place, frames
    with files.written_aside(target) as aside, open(aside, "wb") as file:
        for utterance, place in progress(list(places.items()), f"features {folder}", unit="utt"):
            with _faults_of(utterance, source):
                values = add_deltas(_read(place, dim), deltas)
            found[utterance] = (f"{target}:{ark.save(file, utterance, values.numpy())}", len(values))
    frames = sum(count for _, count in found.values())
    _publish(folder, target, found)
    record = {"key": key, "arks": [target.name], "frames": frames, "utterances": len(found)}
    files.write_json(folder / content.RECORD, record)
    return Dumped(len(found), frames, fresh=True)


def _publish(folder: Path, archive: Path, found: Mapping[str, tuple[str, int]]) -> None:
    """Replace the tables by those for the content of `archive`."""
    for stale in (content.RECORD, "feats.scp", "cmvn.ark"):
        (folder / stale).unlink(missing_ok=True)
    frames = (f"{utterance} {count}\n" for utterance, (_, count) in found.items())
    places = (f"{utterance} {place}\n" for utterance, (place, _) in found.items())
    files.write_text(folder / "utt2num_frames", "".join(frames))
    files.write_text(folder / "feats.scp", "".join(places))
    store.remove_others(archive.parent, [archive.name])


def _read(place: str, dim: int) -> torch.Tensor:
    values = store.load(place, Path(place).parent)
    if values.shape[1] != dim:
        raise ValueError(f"{place}: has {values.shape[1]} numbers a frame, not {dim}")
    if not np.isfinite(values).all():
        raise ValueError(f"{place}: has numbers that are not finite (NaN or infinity)")
    return torch.tensor(values)


@contextlib.contextmanager
def _faults_of(utterance: str, source: Path) -> Iterator[None]:
    """Name feats.scp and the utterance in what is raised."""
    try:
        yield
    except (ValueError, OSError) as error:
        reason = files.explain(error)
        raise ValueError(f"{source / 'feats.scp'}: utterance {utterance}: {reason}") from None


def _key(places: Mapping[str, str], source: Path, dim: int, deltas: int) -> str:
    """16 hex digits for everything that determines the features."""
    states: dict[str, list[int]] = {}
    for utterance, place in places.items():
        with _faults_of(utterance, source):
            path = ark.parse_place(place).path
            if path not in states:
                state = hashes.state_of(path)
                if state is None:
                    raise ValueError(f"{path}: no such file")
                states[path] = state
    made_from = [_VERSION, dim, deltas, states, places]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
