"""Two systems on the same set, each with one network per seed: how far apart, and is it chance?"""

from collections.abc import Mapping
from dataclasses import dataclass

from asr_topdown.report.records import Kind, Score
from asr_topdown.score.significance import paired_seeds


@dataclass(frozen=True)
class Comparison:
    """A system's error minus a baseline's, in points or perplexity; negative: the system is better.

    Attributes:
        difference: of the means over the seeds.
        low: end of the 95 % confidence interval.
        high: its other end.
        p_value: two-sided.
        seeds: how many seeds both have.
        better: in how many of them the system errs less.
    """

    difference: float
    low: float
    high: float
    p_value: float
    seeds: int
    better: int

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def compare(system: Mapping[int, Score], baseline: Mapping[int, Score], kind: Kind) -> Comparison | None:
    """Compare two systems by their errors on one set (base seed -> score).

    A hierarchical bootstrap draws utterances, or pieces of the text, and seeds
    (`score.significance.paired_seeds`). Networks of one base seed are drawn together: a retrained one was
    made from the joint one, and the best from scratch was chosen from a set that has the joint one in it.

    Returns:
        None if no seed has both scores with their parts.
    """
    both = [seed for seed in system if seed in baseline and system[seed].parts and baseline[seed].parts]
    if not both:
        return None
    parts = system[both[0]].parts
    seeds = [
        seed for seed in both if parts.keys() == system[seed].parts.keys() == baseline[seed].parts.keys()
    ]
    if not seeds:
        return None
    references = [reference for _, reference in parts.values()]
    first = [[system[seed].parts[key][0] for key in parts] for seed in seeds]
    second = [[baseline[seed].parts[key][0] for key in parts] for seed in seeds]
    found = paired_seeds(first, second, references, same_seeds=True, measure=kind.shown_all)
    better = sum(sum(mine) < sum(theirs) for mine, theirs in zip(first, second, strict=True))
    return Comparison(found.difference, found.low, found.high, found.p_value, len(seeds), better)
