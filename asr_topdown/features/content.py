"""The content of a data directory's features: their settings, and one hash that identifies them.

Features made by `features.dump` are identified by their settings and source audio;
features.json, next to feats.scp, stores both. Other features (Kaldi's, a subset's) are identified by their
numbers, which are read once; the hash is cached in feats_hash.json as long as the archives do not change.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from asr_topdown import files, hashes
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.progress import progress

RECORD, FOREIGN = "features.json", "feats_hash.json"
TABLES = ("feats.scp", "utt2num_frames")


@dataclass(frozen=True)
class Content:
    """The identity of features.

    Attributes:
        hash: 16 hex digits; equal for equal features.
        dim: values per frame.
        settings: name -> value, as returned by `described`; None if they, or some, were made elsewhere, or if
            they differ.
        known: all settings of some of them.
    """

    hash: str
    dim: int
    settings: Mapping[str, object] | None
    known: tuple[Mapping[str, object], ...]


def described(fbank: FbankOptions, deltas: int) -> dict[str, object]:
    """The settings by their paths in a configuration."""
    return {
        **{f"features.fbank.{name}": value for name, value in asdict(fbank).items()},
        "features.deltas": deltas,
    }


def making(folder: Path | str) -> str:
    """The command that makes the features of `folder`, for a message."""
    return files.command("asr-topdown", "features", folder, "--config", "FILE")


def read(folder: Path | str, feats: Mapping[str, str]) -> Content:
    """The content of the features in `feats` (utterance -> entry of feats.scp) of `folder`.

    Raises:
        ValueError, OSError: naming the folder that has none, or an entry that cannot be read.
    """
    folder = Path(folder)
    if not feats:
        raise ValueError(f"{folder}: has no features; run `{making(folder)}`")
    entries = entries_hash(feats)
    record = _record(folder / RECORD)
    if record.get("entries") == entries and {"content", "dim"} <= record.keys():
        return _content(record, [_settings(record)])
    from asr_topdown.features import ark, store

    places = {utterance: store.locate(entry, folder) for utterance, entry in sorted(feats.items())}
    archives = sorted({ark.parse_place(place).path for place in places.values()})
    states = {str(Path(archive).resolve()): hashes.state_of(archive) for archive in archives}
    kept = _record(folder / FOREIGN)
    if kept.get("entries") != entries or kept.get("archives") != states:
        kept = {"entries": entries, "archives": states, **_hashed(folder, feats)}
        with contextlib.suppress(OSError):  # a folder to be read only: hashed again the next time
            files.write_json(folder / FOREIGN, kept)
    return _content(kept, _settings_of(archives))


def left_out(folder: Path | str) -> dict[str, str]:
    """Utterance -> why it has no features although it is in the tables: no audio, according to `dump`."""
    dropped = _record(Path(folder) / RECORD).get("dropped")
    return {str(key): str(value) for key, value in dropped.items()} if isinstance(dropped, dict) else {}


def check(
    folder: Path | str, feats: Mapping[str, str], fbank: FbankOptions, deltas: int, given: int = 0
) -> bool:
    """Check that the features of `folder` have these settings, or for foreign ones, this size.

    Args:
        folder: the data directory.
        feats: utterance -> entry of its feats.scp.
        fbank: the filter bank.
        deltas: how many derivatives were appended.
        given: values per frame of features supplied by data directories instead of filter banks; 0 = none.

    Returns:
        Whether their settings are known.

    Raises:
        ValueError: naming the folder, the settings that differ and both values of each.
    """
    content = read(folder, feats)
    wanted: Mapping[str, object] = {"features.kind": "given"} if given else described(fbank, deltas)
    # Of a combination, each has to fit.
    wrong: list[str] = []
    for settings in content.known:
        found = {"features.kind": "fbank", **settings}
        wrong = wrong or [
            f"{name} {found[name]} on disk, {value} in the configuration"
            for name, value in wanted.items()
            if name in found and found[name] != value
        ]
    dim = (given or fbank.dim) * (deltas + 1)
    if not wrong and content.dim != dim:
        wrong = [f"features of {content.dim} dimensions on disk, {dim} in the configuration"]
    if wrong:
        raise ValueError(f"{folder}: {'; '.join(wrong)}; compute the features again, or change the settings")
    return content.settings is not None


def entries_hash(feats: Mapping[str, str]) -> str:
    """Hash of the utterances' locations, independent of the archives' folder name."""
    lines = (f"{utterance} {entry.rpartition('/')[2]}\n" for utterance, entry in sorted(feats.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def tables_fit(folder: Path, record: Mapping[str, Any]) -> bool:
    """Return whether feats.scp and utt2num_frames are those that were written with `record`, and complete.

    Raises:
        KeyError, TypeError, ValueError: if `record` or a table is damaged.
        OSError: if a table is missing.
    """
    lines = ((folder / name).read_text(encoding="utf-8").splitlines() for name in TABLES)
    feats, frames = (dict(line.split(" ", 1) for line in table) for table in lines)
    counts = [int(count) for count in frames.values()]
    return (
        len(feats) == record["utterances"]
        and (len(counts), sum(counts)) == (record["utterances"], record["frames"])
        and feats.keys() == frames.keys()
        and ("entries" not in record or record["entries"] == entries_hash(feats))
    )


def _hashed(folder: Path, feats: Mapping[str, str]) -> dict[str, Any]:
    import numpy as np

    from asr_topdown.features import store

    digest = hashlib.sha256()
    dim = 0
    for utterance, entry in progress(sorted(feats.items()), f"hash {folder}", unit="utt", delay=5):
        values = store.load(entry, folder)
        dim = dim or values.shape[1]
        if values.shape[1] != dim:
            raise ValueError(f"{folder}: features of {dim} and of {values.shape[1]} dimensions ({utterance})")
        digest.update(f"{utterance} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return {"content": digest.hexdigest()[:16], "dim": dim}


def _record(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none that can be read."""
    try:
        found = files.read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _settings(record: Mapping[str, Any]) -> dict[str, object] | None:
    fbank, deltas = record.get("fbank"), record.get("deltas")
    if not isinstance(fbank, dict) or not isinstance(deltas, int):
        return None
    defaults = {field.name: field.default for field in fields(FbankOptions)}
    return {
        **{f"features.fbank.{name}": fbank.get(name, default) for name, default in defaults.items()},
        "features.deltas": deltas,
    }


def _content(record: Mapping[str, Any], settings: Sequence[Mapping[str, object] | None]) -> Content:
    common = settings[0] if all(one == settings[0] for one in settings) else None
    known = [one for place, one in enumerate(settings) if one is not None and one not in settings[:place]]
    return Content(str(record["content"]), int(record["dim"]), common, tuple(known))


def _settings_of(archives: Iterable[str]) -> list[dict[str, object] | None]:
    """The settings of each archive made by `features.dump`, in any folder; None for others."""
    from asr_topdown.features import store

    records = {folder: _record(folder / RECORD) for folder in {Path(path).parent.parent for path in archives}}
    found: list[dict[str, object] | None] = []
    for path in map(Path, archives):
        record = records[path.parent.parent]
        ours = store.made_here(path) and path.name in record.get("arks", ())
        found.append(_settings(record) if ours else None)
    return found
