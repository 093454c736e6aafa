"""Train, dev and test sets by a hash of the transcript, so that no sentence stands in two of them."""

import hashlib
import re
from collections.abc import Mapping

from asr_topdown.datadir import DataDir, subset

PARTS: Mapping[str, float] = {"train": 0.70, "dev": 0.15, "test": 0.15}


def part_of(transcript: str, parts: Mapping[str, float] = PARTS) -> str:
    """The set a transcript belongs to.

    The first 8 hex digits of the SHA-256 of its UTF-8 bytes, divided by 16**8, are a fraction in [0, 1);
    the sets own consecutive intervals of it, as long as their shares, in the order given.
    """
    digest = hashlib.sha256(transcript.encode()).hexdigest()
    fraction = int(digest[:8], 16) / 16**8 * sum(parts.values())
    upper = 0.0
    for name, share in parts.items():
        upper += share
        if fraction < upper:
            return name
    return name  # the shares' sum was rounded down


def split(
    data: DataDir, parts: Mapping[str, float] = PARTS, fixed: Mapping[str, str] | None = None
) -> list[DataDir]:
    """One directory per set, at `data.path / <set>`.

    Args:
        data: the whole corpus.
        parts: the sets and their shares.
        fixed: utterance -> set, for those whose set is not left to the hash.

    Raises:
        ValueError: if a set stays empty.
    """
    members: dict[str, list[str]] = {name: [] for name in parts}
    for utterance in data.utterances():
        part = (fixed or {}).get(utterance) or part_of(data.text.get(utterance, ""), parts)
        members[part].append(utterance)
    empty = [name for name, utterances in members.items() if not utterances]
    if empty:
        raise ValueError(f"{data.path}: {len(data.utt2spk)} utterances are too few: none fell to {empty[0]}")
    return [subset(data, utterances, data.path / name) for name, utterances in members.items()]


def parse_parts(text: str) -> dict[str, float]:
    """`train:0.8,dev:0.1,test:0.1` as a mapping.

    Raises:
        ValueError: unless these are different plain names with shares above 0 that sum to 1.
    """
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.strip().partition(":")
        try:
            parts[name] = float(share)
        except ValueError:
            parts[name] = -1.0
        if not re.fullmatch(r"[\w-]+", name) or not parts[name] > 0:
            raise ValueError(f"--split {text}: {item!r} is not name:share with a share above 0")
    if len(parts) != text.count(",") + 1 or abs(sum(parts.values()) - 1) > 1e-6:
        raise ValueError(f"--split {text}: names must differ and shares sum to 1")
    return parts
