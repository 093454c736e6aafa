"""`nested`: nested parts of a training set, and the utterances that are in none (paper, section 3).

Every part has the same share of each speaker's utterances (±1); copies at other speeds count as one utterance
and stay together. The order in which utterances join depends only on the seed and on names, so it is the
same on every machine.
"""

import contextlib
import glob
import hashlib
import itertools
import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.datadir import DataDir

log = logging.getLogger(__name__)

PERCENT = (5, 10, 20, 40, 80)
UNSEEN = "unseen"


def parts(out: Path, *, source: DataDir, percent: Sequence[int] = PERCENT, seed: int = 0) -> list[DataDir]:
    """`out/<source>_p05`, `_p10`, …, and `out/<source>_unseen`, all that is not in the largest part.

    Features are shared, not copied. The mean and variance of the source's features (cmvn.ark) are to be
    written beside each (`datadir.write`), so that networks that exchange layers see the same input, no
    matter which part they were trained on.

    Args:
        out: folder for the data directories.
        source: the whole training set.
        percent: sizes of the parts, in percent of the utterances.
        seed: determines the choice of utterances.

    Raises:
        ValueError: unless percentages increase, from at least 1 to at most 99; if a part is empty, or two are
            the same; raised by `datadir.originals`.
    """
    if not percent or sorted({*percent, 0, 100}) != [0, *percent, 100]:
        raise ValueError(f"--percent {' '.join(map(str, percent))}: must increase, between 1 and 99")
    originals = datadir.originals(source)
    order = joining_order(dict(originals.values()), seed)
    name = files.name_of(source.path)
    ends = {f"{name}_p{share:02}": round(len(order) * share / 100) for share in percent}
    members = {part: order[:end] for part, end in ends.items()}
    members[f"{name}_{UNSEEN}"] = order[max(ends.values()) :]
    for part, utterances in members.items():
        if not utterances:
            raise ValueError(f"{source.path}: {len(order)} utterances are too few: {part} is empty")
    for smaller, larger in itertools.pairwise(ends):
        if ends[smaller] == ends[larger]:
            raise ValueError(
                f"{source.path}: {len(order)} utterances are too few: {smaller} and {larger} are the same "
                f"{ends[larger]}"
            )
    _say_strangers(out, name, originals, order, members)
    copies: dict[str, list[str]] = {}
    for utterance, (original, _) in originals.items():
        copies.setdefault(original, []).append(utterance)
    return [
        datadir.subset(source, [copy for utterance in utterances for copy in copies[utterance]], out / part)
        for part, utterances in members.items()
    ]


def _say_strangers(
    out: Path,
    name: str,
    originals: Mapping[str, tuple[str, str]],
    order: Sequence[str],
    members: Mapping[str, Sequence[str]],
) -> None:
    """Warn of parts of `name` that an earlier call left in `out` and these do not go together with.

    Args:
        out: folder of the parts.
        name: of their source.
        originals: as of `datadir.originals`.
        order: the source's utterances, in the order in which they join.
        members: part -> its utterances, the unseen ones last.
    """
    *_, unseen = members.values()
    for path, stale in left_in(out, f"{glob.escape(name)}_p[0-9][0-9]", members):
        found = {originals[one][0] if one in originals else one for one in stale}
        shared = len(found & {*unseen})
        if found != {*order[: len(found)]} or shared:
            log.warning(
                "%s: stays from an earlier call and is not nested with these: %d of its %d utterances are in "
                "%s_%s", path, shared, len(found), name, UNSEEN,
            )  # fmt: skip


def left_in(out: Path, pattern: str, new: Container[str]) -> Iterator[tuple[Path, set[str]]]:
    """Find the data directories that match `pattern` in `out`, but for the `new` ones, and their utterances.

    What cannot be read is none.
    """
    for path in sorted(out.glob(pattern)):
        if path.name not in new:
            with contextlib.suppress(ValueError, OSError):
                yield path, {*datadir.read_table(path / "utt2spk")}


def joining_order(utt2spk: Mapping[str, str], seed: int) -> list[str]:
    """Order utterances so that any first part has the same share of each speaker's, ±1."""
    return sorted(utt2spk, key=places(utt2spk, seed).__getitem__)


def places(utt2spk: Mapping[str, str], seed: int) -> dict[str, tuple[float, str]]:
    """Return utterance -> its place in [0, 1), and its name for ties.

    A speaker's utterances, shuffled, get the places (k + r) / n, k = 0 … n - 1, with the speaker's own r in
    [0, 1).
    """
    spoken: dict[str, list[str]] = {}
    for utterance, speaker in utt2spk.items():
        spoken.setdefault(speaker, []).append(utterance)
    found = {}
    for speaker, utterances in spoken.items():
        shuffled = sorted(utterances, key=lambda utterance: _share(seed, "utterance", utterance))
        start = _share(seed, "speaker", speaker)
        found.update({u: ((k + start) / len(shuffled), u) for k, u in enumerate(shuffled)})
    return found


def _share(*key: object) -> float:
    digest = hashlib.sha256(" ".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
