"""Compare two systems on the same set, each with one network per seed."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_topdown.report.records import Kind, Score
from asr_topdown.score.seeds import compare_seeds, holm


@dataclass(frozen=True)
class Comparison:
    """A system's error minus a baseline's, in points or perplexity; negative: the system is better.

    Attributes:
        difference: of the means over the seeds.
        interval: its 95 % confidence interval; None with too few seeds for one.
        p_value: two-sided; None with too few seeds for one.
        corrected: the same, corrected for the comparisons in its table.
        seeds: how many seeds both have.
        better: in how many of them the system has fewer errors.
        tested: hashes of the two sets of errors, equal if the same networks are compared in either direction.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    corrected: float | None
    seeds: int
    better: int
    tested: frozenset[str]

    @property
    def beyond_chance(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.corrected is not None and self.corrected < 0.05


# Baseline -> system -> its difference.
Differences = Mapping[str, Mapping[str, Comparison | None]]


def compare(system: Mapping[int, Score], baseline: Mapping[int, Score], kind: Kind) -> Comparison | None:
    """Compare two systems by their errors on one set (base seed -> score), as `score.seeds` does.

    Networks of one base seed form a pair: a retrained one started from the joint one, and the best from
    scratch was chosen from a set that includes the joint one.

    Returns:
        None if no seed has both scores, with parts that are equal. Seeds with other parts (another cut of a
        text, other transcripts) are left out.
    """
    both = [seed for seed in system if seed in baseline and system[seed].parts and baseline[seed].parts]
    pairs = [seed for seed in both if system[seed].references == baseline[seed].references]
    if not pairs:
        return None
    parts, references = system[pairs[0]].parts, system[pairs[0]].references
    seeds = [seed for seed in pairs if system[seed].references == references]
    first = [[system[seed].parts[key][0] for key in parts] for seed in seeds]
    second = [[baseline[seed].parts[key][0] for key in parts] for seed in seeds]
    found = compare_seeds(first, second, list(references.values()), measure=kind.shown_all)
    better = sum(sum(mine) < sum(theirs) for mine, theirs in zip(first, second, strict=True))
    tested = frozenset(_hash(parts, errors) for errors in (first, second))
    return Comparison(
        found.difference, found.interval, found.p_value, found.p_value, len(seeds), better, tested
    )


def correct(differences: Differences, unseen: int = 0) -> Differences:
    """Correct the p-values for all comparisons that are shown together, each counted once.

    `unseen` is the number of those from which they were chosen and that are not shown.
    """
    known = distinct(differences)
    corrected = dict(zip(known, holm(list(known.values()), unseen), strict=True))
    return {
        baseline: {
            system: one and dataclasses.replace(one, corrected=corrected[one.tested])
            for system, one in found.items()
        }
        for baseline, found in differences.items()
    }


def distinct(differences: Differences) -> dict[frozenset[str], float | None]:
    """The p-values, without repeated comparisons of the same two sets of networks.

    A table shows some twice: with baseline and system swapped, or at the step where a search ended.
    """
    known = (one for found in differences.values() for one in found.values() if one is not None)
    return {one.tested: one.p_value for one in known}


def _hash(parts: Mapping[str, tuple[float, float]], errors: Sequence[Sequence[float]]) -> str:
    """Hash of all seeds' errors in each part, in whatever order."""
    columns = zip(parts, (reference for _, reference in parts.values()), *errors, strict=True)
    return hashlib.sha256(repr(sorted(columns)).encode()).hexdigest()
