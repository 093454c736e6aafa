"""Score hypotheses against references: corpus error rates, speakers, confusions, worst utterances."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asr_topdown.logs import listed
from asr_topdown.score.align import Alignment, align_all
from asr_topdown.score.errors import RATE_NAMES, SPLITTERS, ErrorCounts, Unit, count_alignment


@dataclass(frozen=True)
class ScoredUtterance:
    """One utterance: its alignment and counts."""

    utterance: str
    speaker: str | None
    alignment: Alignment
    counts: ErrorCounts


@dataclass(frozen=True)
class ScoreReport:
    """All utterances of one system, in the order of their ids, and statistics of them."""

    unit: Unit
    utterances: tuple[ScoredUtterance, ...]

    @property
    def name(self) -> str:
        """WER, CER or label error."""
        return RATE_NAMES[self.unit]

    @property
    def total(self) -> ErrorCounts:
        """Sums over all utterances."""
        return _sum(self.utterances)

    @property
    def rate(self) -> float:
        """Sum of errors / sum of reference units, a fraction."""
        return self.total.rate

    @property
    def wrong_sentences(self) -> int:
        """Number of utterances with an error."""
        return sum(one.counts.errors > 0 for one in self.utterances)

    @property
    def sentence_error_rate(self) -> float:
        """Share of utterances with an error."""
        return self.wrong_sentences / len(self.utterances)

    def speakers(self) -> dict[str, tuple[ScoredUtterance, ...]]:
        """Speaker -> utterances, sorted; empty if the speakers are not known."""
        groups: dict[str, list[ScoredUtterance]] = {}
        for one in self.utterances:
            if one.speaker is not None:
                groups.setdefault(one.speaker, []).append(one)
        return {speaker: tuple(groups[speaker]) for speaker in sorted(groups)}

    def by_speaker(self) -> dict[str, ErrorCounts]:
        """Speaker -> sums over the speaker's utterances."""
        return {speaker: _sum(utterances) for speaker, utterances in self.speakers().items()}

    def worst(self, number: int) -> list[ScoredUtterance]:
        """Return at most `number` utterances with the most errors, ties by the higher rate."""
        wrong = [one for one in self.utterances if one.counts.errors]
        return sorted(wrong, key=lambda one: (-one.counts.errors, -one.counts.rate, one.utterance))[:number]

    def confusions(self) -> Counter[tuple[str, str]]:
        """(reference unit, hypothesis unit) -> number of substitutions."""
        return Counter(
            (left, right) for left, right in self._pairs("S") if left is not None and right is not None
        )

    def deleted(self) -> Counter[str]:
        """Reference unit -> number of deletions."""
        return Counter(left for left, _ in self._pairs("D") if left is not None)

    def inserted(self) -> Counter[str]:
        """Hypothesis unit -> number of insertions."""
        return Counter(right for _, right in self._pairs("I") if right is not None)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values: sums, rates (null if infinite), speakers, counts per utterance."""
        return {
            "unit": self.unit,
            "utterances": len(self.utterances),
            "wrong_sentences": self.wrong_sentences,
            "sentence_error_rate": self.sentence_error_rate,
            "total": _counts_json(self.total),
            "speakers": {speaker: _counts_json(counts) for speaker, counts in self.by_speaker().items()},
            "per_utterance": {one.utterance: _counts_json(one.counts) for one in self.utterances},
        }

    def _pairs(self, operation: str) -> Iterable[tuple[str | None, str | None]]:
        for one in self.utterances:
            if operation in one.alignment.operations:
                steps = zip(one.alignment.operations, one.alignment.pairs(), strict=True)
                yield from (pair for letter, pair in steps if letter == operation)


def score(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    unit: Unit = "word",
    *,
    utt2spk: Mapping[str, str] | None = None,
    missing_as_empty: bool = False,
    nlsyms: Collection[str] = (),
) -> ScoreReport:
    """Score transcripts, joined by utterance id.

    Case matters (sclite ignores it by default).

    Args:
        references: utterance id -> transcript, which may be empty.
        hypotheses: utterance id -> transcript, which may be empty (all deletions).
        unit: the unit to count: words, characters, or labels, which are texts of one word.
        utt2spk: utterance id -> speaker, for every reference.
        missing_as_empty: treat a missing hypothesis as an empty one.
        nlsyms: symbols (<NOISE>) to remove from references and hypotheses.

    Raises:
        ValueError: for a reference without hypothesis (unless `missing_as_empty`), a hypothesis without
            reference, an utterance without speaker, or references that are all empty.
    """
    if not missing_as_empty:
        _refuse(references.keys() - hypotheses.keys(), "no hypothesis for")
    _refuse(hypotheses.keys() - references.keys(), "no reference for")
    if utt2spk is not None:
        _refuse(references.keys() - utt2spk.keys(), "no speaker for")
    speakers = utt2spk or {}
    split = SPLITTERS[unit]
    names = sorted(references)
    alignments = align_all(
        (split(references[name], nlsyms), split(hypotheses.get(name, ""), nlsyms)) for name in names
    )
    utterances = (
        ScoredUtterance(name, speakers.get(name), alignment, count_alignment(alignment))
        for name, alignment in zip(names, alignments, strict=True)
    )
    report = ScoreReport(unit, tuple(utterances))
    if not report.total.reference:
        raise ValueError(f"no reference words: {len(names)} references, all empty; there is no error rate")
    return report


def _refuse(names: Iterable[str], problem: str) -> None:
    """Raise a ValueError that lists the first `names`, if there are any."""
    if refused := sorted(names):
        raise ValueError(f"{problem} {len(refused)} utterance{'s' * (len(refused) > 1)}: {listed(refused)}")


def _sum(utterances: Iterable[ScoredUtterance]) -> ErrorCounts:
    return sum((one.counts for one in utterances), ErrorCounts())


def _counts_json(counts: ErrorCounts) -> dict[str, float | None]:
    return {
        "reference": counts.reference,
        "correct": counts.correct,
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "errors": counts.errors,
        "rate": counts.rate if math.isfinite(counts.rate) else None,
    }
