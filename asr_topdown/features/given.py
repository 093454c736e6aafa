"""Features that data directories bring: their derivatives are appended, and all is written as `dump` does."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch

from asr_topdown import files
from asr_topdown.features import ark, store
from asr_topdown.features.deltas import add_deltas
from asr_topdown.features.dump import Dumped
from asr_topdown.progress import progress

_VERSION = 1
"""Raised when the same features become others than before."""


def take_over(feats: Mapping[str, str], source: Path, folder: Path, *, dim: int, deltas: int) -> Dumped:
    """Write feats.scp, utt2num_frames and one archive to `folder`.

    What is there already is kept if it was made from the same entries of the same archives (by size and time).

    Args:
        feats: utterance -> entry of feats.scp.
        source: the data directory whose feats.scp that is.
        folder: another data directory.
        dim: numbers in a frame.
        deltas: how many derivatives to append.

    Raises:
        ValueError: naming the first utterance whose features cannot be read or have another dimension.
        OSError: if a file cannot be read or written.
    """
    places = {utterance: store.locate(entry, source) for utterance, entry in sorted(feats.items())}
    key = _key(places, dim, deltas)
    target = folder / store.ARKS / f"feats.{key}.1of1.ark"
    record = folder / "features.json"
    if target.is_file() and record.is_file() and (folder / "feats.scp").is_file():
        kept = files.read_json(record)
        if kept.get("key") == key:
            return Dumped(kept["utterances"], kept["frames"], fresh=False)
    for stale in ("features.json", "feats.scp", "cmvn.ark"):
        (folder / stale).unlink(missing_ok=True)
    lines, frames = [], {}
    with files.written_aside(target) as aside, open(aside, "wb") as file:
        for utterance, place in progress(list(places.items()), f"features {folder}", unit="utt"):
            values = _read(utterance, place, dim)
            frames[utterance] = len(values)
            lines.append(
                f"{utterance} {target}:{ark.save(file, utterance, add_deltas(values, deltas).numpy())}\n"
            )
    files.write_text(
        folder / "utt2num_frames", "".join(f"{utterance} {count}\n" for utterance, count in frames.items())
    )
    files.write_text(folder / "feats.scp", "".join(lines))
    total = sum(frames.values())
    files.write_json(
        record,
        {"key": key, "arks": [target.name], "frames": total, "utterances": len(frames), "deltas": deltas},
    )
    for old in (folder / store.ARKS).glob("feats.*.ark"):
        if old != target:
            old.unlink()
    return Dumped(len(frames), total, fresh=True)


def _read(utterance: str, place: str, dim: int) -> torch.Tensor:
    values = store.load(place, Path(place).parent)
    if values.shape[1] != dim:
        raise ValueError(f"{place}: utterance {utterance} has {values.shape[1]} numbers a frame, not {dim}")
    return torch.tensor(values)


def _key(places: Mapping[str, str], dim: int, deltas: int) -> str:
    """16 hex digits for all that decides the features."""
    states = {}
    for path in {ark.parse_place(place).path for place in places.values()}:
        state = Path(path).stat()
        states[path] = [state.st_size, state.st_mtime_ns]
    made_from = [_VERSION, dim, deltas, states, places]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
