"""Division into train, dev and test sets by sentence, speaker or both; depends only on data and seed."""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from asr_topdown import datadir, files
from asr_topdown.corpora.nested import left_in, places
from asr_topdown.datadir import DataDir, subset

log = logging.getLogger(__name__)

PARTS: Mapping[str, float] = {"train": 0.70, "dev": 0.15, "test": 0.15}

_TRIES = 200  # maximum number of random divisions of speakers that are compared


class Division(NamedTuple):
    """How to divide a corpus.

    Attributes:
        parts: set -> share; the shares sum to 1.
        by: a key of `BY`.
        seed: determines the choice of utterances.
    """

    parts: Mapping[str, float] = PARTS
    by: str = "transcript"
    seed: int = 0


def part_of(transcript: str, parts: Mapping[str, float] = PARTS, seed: int = 0) -> str:
    """Return the set to which a transcript belongs.

    The first 8 hex digits of the SHA-256 of its UTF-8 bytes, divided by 16**8, are a fraction in [0, 1); the
    sets have consecutive intervals, as long as their shares, in the given order. A seed other than 0 and a
    space are put before the transcript.
    """
    fraction = _fraction(f"{seed} {transcript}" if seed else transcript) * sum(parts.values())
    upper = 0.0
    for name, share in parts.items():
        upper += share
        if fraction < upper:
            return name
    return name  # the shares' sum was rounded down


def split(
    data: DataDir,
    division: Division | None = None,
    fixed: Mapping[str, str] | None = None,
    out: Path | None = None,
) -> list[DataDir]:
    """Divide a corpus into a data directory per set, at `out / <set>`.

    Args:
        data: the whole corpus.
        division: the sets and the rule; None: by transcript, `PARTS`.
        fixed: utterance -> set, for utterances exempt from the rule.
        out: folder for the sets; None: `data.path`.

    Raises:
        ValueError: if a set is empty, or a split by speaker lacks speakers.
    """
    division = division or Division()
    chosen = BY[division.by](data, division)
    members: dict[str, list[str]] = {name: [] for name in division.parts}
    for utterance in data.utterances():
        part = (fixed or {}).get(utterance) or chosen.get(utterance)
        if part:
            members[part].append(utterance)
    empty = [name for name, utterances in members.items() if not utterances]
    if empty:
        count, different = len(data.utt2spk), len(set(data.text.values()))
        speakers = len(set(data.utt2spk.values()))
        apart = division.by != "speaker" and speakers >= len(division.parts)
        raise ValueError(
            f"{data.path}: {count} utterances with {different} different transcripts are too few to divide "
            f"by {division.by}: {empty[0]} is empty"
            f"{f'; there are {speakers} speakers for --split-by speaker' if apart else ''}"
        )
    folder = out or data.path
    _say_strangers(folder, data, members)
    return [subset(data, utterances, folder / name) for name, utterances in members.items()]


def _say_strangers(folder: Path, data: DataDir, members: Mapping[str, Collection[str]]) -> None:
    """Warn of parts of `data` that an earlier call left in `folder` and that are in several of these sets."""
    for path, stale in left_in(folder, "*", members):
        shared = {name: len(stale.intersection(utterances)) for name, utterances in members.items()}
        inside = [f"{count} in {name}" for name, count in shared.items() if count]
        if len(inside) > 1 and stale < data.utt2spk.keys():
            log.warning("%s: is of another split: of its utterances are %s", path, ", ".join(inside))


def by_transcript(data: DataDir, division: Division) -> dict[str, str]:
    """Put no sentence in two sets; its set depends on its text only, and stays when data are added."""
    return {u: part_of(data.text.get(u, ""), division.parts, division.seed) for u in data.utt2spk}


def stratified(data: DataDir, division: Division) -> dict[str, str]:
    """Put no sentence in two sets, and divide each speaker's sentences by the shares, ±1.

    A sentence of several speakers counts as that of the speaker who says it most.
    """
    owners: dict[str, str] = {}
    for text, utterances in _grouped(data, lambda u: data.text.get(u, "")).items():
        spoken = _counts(data.utt2spk[u] for u in utterances)
        owners[text] = min(spoken, key=lambda speaker: (-spoken[speaker], speaker))
    upper = _upper(division.parts)
    parts = {
        text: next(name for name, end in upper.items() if place < end)
        for text, (place, _) in places(owners, division.seed).items()
    }
    return {u: parts[data.text.get(u, "")] for u in data.utt2spk}


def by_speaker(data: DataDir, division: Division) -> dict[str, str]:
    """Put no speaker in two sets; of many random divisions take the one with hours closest to the shares.

    Raises:
        ValueError: if speakers are unknown or fewer than sets, or the corpus is speed-perturbed.
    """
    data.check_unperturbed("a split by speaker")
    spoken = _grouped(data, lambda u: data.utt2spk[u])
    if len(spoken) == len(data.utt2spk) > 1 and all(u == s for u, s in data.utt2spk.items()):
        raise ValueError(f"{data.path}: a split by speaker needs speakers, and each utterance has its own")
    if len(spoken) < len(division.parts):
        raise ValueError(
            f"{data.path}: {len(spoken)} speakers are too few for {len(division.parts)} sets "
            f"({', '.join(division.parts)})"
        )
    seconds = _seconds(data)
    hours = {speaker: sum(seconds[u] for u in utterances) for speaker, utterances in spoken.items()}
    tries = max(1, min(_TRIES, 200_000 // len(hours)))
    dealt = (_deal(hours, division.parts, f"{division.seed} {number}") for number in range(tries))
    chosen = min(dealt, key=lambda parts: _deviation(hours, parts, division.parts))
    return {u: chosen[speaker] for u, speaker in data.utt2spk.items()}


def by_both(data: DataDir, division: Division) -> dict[str, str]:
    """Put neither a speaker nor a sentence in two sets.

    Speakers are divided first. A sentence in several sets stays in the one that is then furthest below its
    share; its other utterances are left out, and their number is printed.

    Raises:
        ValueError: as in `by_speaker`.
    """
    chosen = by_speaker(data, division)
    seconds = _seconds(data)
    kept = dict.fromkeys(division.parts, 0.0)
    shared: list[tuple[str, dict[str, list[str]]]] = []
    for text, utterances in _grouped(data, lambda u: data.text.get(u, "")).items():
        by_part: dict[str, list[str]] = defaultdict(list)
        for utterance in utterances:
            by_part[chosen[utterance]].append(utterance)
        if len(by_part) > 1:
            shared.append((text, by_part))
        else:
            kept[chosen[utterances[0]]] += sum(seconds[u] for u in utterances)
    dropped = 0
    for _, by_part in sorted(shared, key=lambda item: _fraction(f"{division.seed} {item[0]}")):
        best = min(by_part, key=lambda part: (kept[part] / division.parts[part], part))
        kept[best] += sum(seconds[u] for u in by_part[best])
        for part in by_part.keys() - {best}:
            dropped += len(by_part[part])
            for utterance in by_part[part]:
                del chosen[utterance]
    if dropped:
        print(f"left out: {dropped} utterances whose sentence is said in another set")
    return chosen


BY: Mapping[str, Callable[[DataDir, Division], dict[str, str]]] = {
    "transcript": by_transcript,
    "stratified": stratified,
    "speaker": by_speaker,
    "both": by_both,
}
"""Name of a rule -> function that assigns sets to utterances; those without a set are left out."""


def parse_parts(text: str, option: str = "--split") -> dict[str, float]:
    """Parse `train:0.8,dev:0.1,test:0.1`.

    Raises:
        ValueError: unless these are distinct plain names with shares above 0 that sum to 1.
    """
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.strip().partition(":")
        try:
            parts[name] = files.number(share)
        except ValueError:
            parts[name] = -1.0
        if not re.fullmatch(r"[\w-]+", name) or not parts[name] > 0:
            raise ValueError(f"{option} {text}: must be name:share with shares above 0, got {item!r}")
    if len(parts) != text.count(",") + 1 or abs(sum(parts.values()) - 1) > 1e-6:
        raise ValueError(f"{option} {text}: names must differ and shares sum to 1")
    return parts


def _deal(hours: Mapping[str, float], parts: Mapping[str, float], seed: str) -> dict[str, str]:
    """Assign each group, in random order, to the set that lacks most; the last ones to sets without any."""
    total = sum(hours.values())
    lacks = {name: share * total for name, share in parts.items()}
    order = sorted(hours, key=lambda group: _fraction(f"{seed} {group}"))
    dealt: dict[str, str] = {}
    empty = set(parts)
    for place, group in enumerate(order):
        among: Sequence[str] = list(parts)
        if len(order) - place <= len(empty):
            among = [name for name in parts if name in empty]
        best = max(among, key=lambda name: lacks[name])
        dealt[group] = best
        lacks[best] -= hours[group]
        empty.discard(best)
    return dealt


def _deviation(hours: Mapping[str, float], dealt: Mapping[str, str], parts: Mapping[str, float]) -> float:
    """Return the largest relative deviation of the sets' hours from their shares."""
    have = dict.fromkeys(parts, 0.0)
    for group, name in dealt.items():
        have[name] += hours[group]
    total = sum(hours.values())
    return max(abs(have[name] - share * total) / (share * total) for name, share in parts.items())


def _seconds(data: DataDir) -> dict[str, float]:
    """Return utterance -> seconds, or 1 for each if any is unknown or all are 0."""
    found = datadir.durations(data)
    known = {u: seconds for u, seconds in found.items() if seconds is not None}
    return known if len(known) == len(found) and any(known.values()) else dict.fromkeys(found, 1.0)


def _grouped(data: DataDir, key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for utterance in data.utterances():
        groups[key(utterance)].append(utterance)
    return groups


def _counts(items: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item] += 1
    return counts


def _upper(parts: Mapping[str, float]) -> dict[str, float]:
    """Return set -> the end of its interval of [0, 1); infinity for the last."""
    upper, ends = 0.0, {}
    for name, share in parts.items():
        upper += share
        ends[name] = upper
    return {**ends, name: float("inf")}


def _fraction(key: str) -> float:
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 16**8
