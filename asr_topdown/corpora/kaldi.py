"""`kaldi`: a data directory that is there already, taken over with absolute paths."""

import dataclasses
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.datadir import DataDir


def prepare(out: Path, *, source: Path) -> list[DataDir]:
    """Write the recordings, segments, transcripts and speakers of `source` to `out`, sorted.

    Relative paths in wav.scp are looked for from the current folder, as Kaldi does, then from `source`.
    Commands stay as they are; features are left out, `asr-topdown features` computes ours.

    Raises:
        FileNotFoundError: if `source` is no data directory.
        ValueError: naming file and line of what cannot be read, or if `out` is `source`.
    """
    if out.resolve() == source.resolve():
        raise ValueError(
            f"--out {out}: is the source itself; name another folder, or use `asr-topdown validate`"
        )
    data = datadir.read(source)
    wavs = {recording: _absolute(place, source) for recording, place in data.wavs.items()}
    taken = dataclasses.replace(data, path=out, wavs=wavs, feats={}, num_frames={})
    datadir.write(taken)
    return [taken]


def _absolute(place: str, source: Path) -> str:
    if place.endswith("|") or Path(place).is_absolute():
        return place
    inside = source / place
    return str((inside if inside.exists() and not Path(place).exists() else Path(place)).resolve())
