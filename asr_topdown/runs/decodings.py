"""Transcripts on disk, and whether they may be compared: `result.json` beside them says what they are of."""

from collections.abc import Sequence
from pathlib import Path

from asr_topdown import datadir, files


def check_decodings(folders: Sequence[Path], data: Path) -> None:
    """Make sure that transcripts are of the features that `data` has now, and all of the same decoder.

    Folders without a result.json are another program's and are not looked at, nor are features if `data` has
    none.

    Raises:
        ValueError: naming the folders that do not fit.
    """
    recorded = {folder: _recorded(folder / "result.json") for folder in folders}
    known = {folder: record for folder, record in recorded.items() if record}
    features = datadir.features_hash(data) if (data / "feats.scp").is_file() else None
    for folder, record in known.items():
        if features is not None and record.get("features") != features:
            raise ValueError(f"{folder}: decoded from other features than {data} has now; decode again")
    decoders = {record.get("decoder"): folder for folder, record in known.items()}
    if len(decoders) > 1:
        first, second, *_ = decoders.values()
        raise ValueError(
            f"{first} and {second} were decoded with different settings; decode both with one configuration"
        )


def _recorded(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: not the result of a decoding")
    return found
