"""Transcripts on disk, and whether they are comparable, according to the `result.json` next to them."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_topdown import datadir, files


def check_decodings(folders: Sequence[Path], data: Path) -> None:
    """Make sure that transcripts can be compared.

    Raises:
        ValueError: the first of `differences`.
    """
    for difference in differences(folders, data):
        raise ValueError(difference)


def differences(folders: Sequence[Path], data: Path) -> Iterator[str]:
    """Find transcripts made from features other than `data` has now, or with two decoders: one line each.

    Folders without a result.json come from another program and are ignored, as are features if `data` has
    none.
    """
    recorded = {folder: record_of(folder) for folder in folders}
    known = {folder: record for folder, record in recorded.items() if record}
    of_kind = functools.cache(lambda rate: _features(data, rate))
    for folder, record in known.items():
        features = of_kind(record.get("waveform"))
        if features is not None and record.get("features") != features:
            yield f"{folder}: decoded from other features than {data} has now; decode again"
    decoders = {record.get("decoder"): folder for folder, record in known.items()}
    if len(decoders) > 1:
        first, second, *_ = decoders.values()
        yield f"{first} and {second} were decoded with different settings; decode both with one configuration"


def record_of(folder: Path) -> dict[str, Any]:
    """Read the result.json of transcripts; empty if there is none, since they come from another program.

    Raises:
        ValueError: naming the file, if it is not what `decode` writes.
    """
    path = folder / "result.json"
    if not path.is_file():
        return {}
    found = files.read_json(path)
    if not isinstance(found, dict) or not isinstance(found.get("decode", {}), dict):
        raise ValueError(f"{path}: not the result of a decoding")
    return found


def _features(data: Path, rate: int | None) -> str | None:
    """The hash of the features, or of the audio at `rate` Hz, that `data` has now; None if it has none."""
    if not (data / ("feats.scp" if rate is None else "wav.scp")).is_file():
        return None
    if rate is None:
        return datadir.features_hash(data)
    from asr_topdown.config.features import FeaturesConfig
    from asr_topdown.data import inputs  # with torch, which is not needed otherwise

    return inputs.features_hash(data, FeaturesConfig.of_sound(rate))
