"""Create data directories from others. Nothing is written here: see `write`."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from asr_topdown.datadir.directory import DataDir

V = TypeVar("V")


def subset(data: DataDir, utterances: Iterable[str], path: Path | str) -> DataDir:
    """The given utterances of `data`, with the recordings they need, as a directory at `path`.

    If `data` has features, utterances without (`DataDir.without_features`) are left out.

    Raises:
        ValueError: naming the first utterance that `data` does not have, or if none has features.
    """
    kept = set(utterances)
    unknown = kept - data.utt2spk.keys()
    if unknown:
        raise ValueError(f"{data.path}: no utterance {min(unknown)}")
    silent = kept.intersection(data.without_features())
    if silent and silent == kept:
        raise ValueError(f"{path}: would be empty: {data.path} has no features of {min(silent)}")
    kept -= silent
    segments = None if data.segments is None else _only(data.segments, kept)
    recordings = kept if segments is None else {recording for recording, _, _ in segments.values()}
    return DataDir(
        path=Path(path),
        wavs=_only(data.wavs, recordings),
        text=_only(data.text, kept),
        utt2spk=_only(data.utt2spk, kept),
        segments=segments,
        speed=_only(data.speed, kept),
        feats=_only(data.feats, kept),
        num_frames=_only(data.num_frames, kept),
        sides=_only(data.sides, recordings),
        sample_rate=data.sample_rate,
    )


def combine(parts: Sequence[DataDir], path: Path | str) -> DataDir:
    """All utterances of all `parts` as one directory at `path`.

    It has features only if all parts have; then utterances without (`DataDir.without_features`) are left out.

    Raises:
        ValueError: if an id has different meanings in two parts, only some of them have segments,
            transcripts or recordings, or they specify different sampling rates.
    """
    if not parts:
        raise ValueError(f"{path}: nothing to combine")
    if all(part.feats for part in parts):
        parts = [subset(part, part.utt2spk, part.path) for part in parts]
    else:
        parts = [dataclasses.replace(part, feats={}, num_frames={}) for part in parts]
    segmented = _all_or_none("segments", [(part.path, part.segments is not None) for part in parts])
    _all_or_none("transcripts", [(part.path, bool(part.text)) for part in parts if part.utt2spk])
    _all_or_none("recordings", [(part.path, bool(part.wavs)) for part in parts if part.utt2spk])
    rates = {part.sample_rate for part in parts}
    if len(rates) > 1:
        raise ValueError(f"{' and '.join(str(part.path) for part in parts)} have different sample_rate files")
    merged = {name: _merge(parts, name) for name in _TABLES if name != "segments" or segmented}
    return DataDir(path=Path(path), sample_rate=rates.pop(), **merged)  # type: ignore[arg-type]


def _all_or_none(what: str, having: Sequence[tuple[Path, bool]]) -> bool:
    """Whether the directories have `what`; refuse if only some do."""
    by_having = {has: path for path, has in having}
    if len(by_having) == 2:
        raise ValueError(f"{by_having[True]} has {what} and {by_having[False]} has none: cannot combine them")
    return True in by_having


def speed_perturb(data: DataDir, factors: Sequence[float], path: Path | str) -> DataDir:
    """`data` once per speed factor (Ko et al. 2015: 0.9, 1.0, 1.1), as one directory at `path`.

    As in Kaldi, utterances and speakers played f times faster get the prefix `sp<f>-`, and 1.0
    keeps the ids. Unlike in Kaldi, segments keep the times of the recording at its original speed, and
    `utt2speed` has the speed factor. Features are left out, since they change.

    Raises:
        ValueError: if a factor is not a finite number above 0 or occurs twice (in six digits), or `data` is
            already perturbed or has no recordings, or an utterance that is called as another's copy would be.
    """
    if not data.wavs:
        raise ValueError(f"{data.path}: has no recordings (wav.scp), and features cannot be played faster")
    if data.speed:
        raise ValueError(f"{data.path}: is speed-perturbed already (it has utt2speed)")
    names = {f"{factor:g}" for factor in factors if 0 < factor < float("inf")}
    if not factors or len(names) < len(factors):
        raise ValueError(
            "speed factors must be finite, above 0 and differ in the first six digits, "
            f"got {', '.join(map(str, factors))}"
        )
    plain = dataclasses.replace(data, feats={}, num_frames={})
    for factor in factors if 1 in factors else ():
        ids = {utterance: _prefix(factor) + utterance for utterance in data.utterances()}
        if taken := [utterance for utterance in ids if ids[utterance] in ids]:
            raise ValueError(
                f"{data.path}: {taken[0]} at the speed {factor:g} would be called {ids[taken[0]]}, as an "
                "utterance is already (is the data speed-perturbed, without utt2speed?)"
            )
    return combine([plain if f == 1 else _at_speed(plain, f) for f in factors], path)


def originals(data: DataDir) -> dict[str, tuple[str, str]]:
    """Utterance -> its id and its speaker before `speed_perturb`; those of its copies are equal.

    Raises:
        ValueError: naming an utterance at another speed whose ids do not begin as `speed_perturb` has them.
    """
    found = {}
    for utterance, speaker in data.utt2spk.items():
        prefix = _prefix(data.speed[utterance]) if utterance in data.speed else ""
        if not (utterance.startswith(prefix) and speaker.startswith(prefix)):
            raise ValueError(
                f"{data.path / 'utt2speed'}: ids of an utterance and a speaker at this speed must begin with "
                f"{prefix}, as `data speed` writes them, got {utterance} of {speaker}"
            )
        found[utterance] = (utterance.removeprefix(prefix), speaker.removeprefix(prefix))
    return found


_TABLES = tuple(
    field.name for field in dataclasses.fields(DataDir) if field.name not in ("path", "sample_rate")
)
_OF_RECORDINGS = ("wavs", "sides")


def _at_speed(data: DataDir, factor: float) -> DataDir:
    prefix = _prefix(factor)
    whole = data.segments is None
    return DataDir(
        path=data.path,
        # Without segments the recording's id is the utterance's, so it is renamed with it.
        wavs=_prefixed(data.wavs, prefix) if whole else data.wavs,
        text=_prefixed(data.text, prefix),
        utt2spk={prefix + utterance: prefix + speaker for utterance, speaker in data.utt2spk.items()},
        segments=None if data.segments is None else _prefixed(data.segments, prefix),
        speed=dict.fromkeys((prefix + utterance for utterance in data.utt2spk), factor),
        sides=_prefixed(data.sides, prefix) if whole else data.sides,
        sample_rate=data.sample_rate,
    )


def _prefix(factor: float) -> str:
    return f"sp{factor:g}-"


def _only(table: Mapping[str, V], keys: set[str]) -> dict[str, V]:
    return {key: value for key, value in table.items() if key in keys}


def _prefixed(table: Mapping[str, V], prefix: str) -> dict[str, V]:
    return {prefix + key: value for key, value in table.items()}


def _merge(parts: Sequence[DataDir], name: str) -> dict[str, object]:
    merged: dict[str, object] = {}
    for part in parts:
        table: Mapping[str, object] = getattr(part, name)
        for key in sorted(merged.keys() & table.keys()):
            if name not in _OF_RECORDINGS or merged[key] != table[key]:
                where = " and ".join(str(p.path) for p in parts)
                raise ValueError(f"{key} occurs in more than one of {where}")
        merged.update(table)
    return merged
