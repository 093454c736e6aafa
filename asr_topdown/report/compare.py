"""Two systems on the same utterances, each with one network per seed: how far apart, and is it chance?"""

from collections.abc import Mapping
from dataclasses import dataclass

from asr_topdown.report.collect import Decoding
from asr_topdown.score.significance import paired_seeds


@dataclass(frozen=True)
class Comparison:
    """Character error rate of a system minus a baseline's, as fractions; negative: the system is better.

    Attributes:
        difference: of the mean rates over the seeds.
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


def compare(system: Mapping[int, Decoding], baseline: Mapping[int, Decoding]) -> Comparison | None:
    """Compare two systems by their decodings of one set (base seed -> decoding).

    A hierarchical bootstrap draws utterances and seeds (`score.significance.paired_seeds`). Networks of one
    base seed are drawn together: a retrained one was made from the joint one, and the best from scratch was
    chosen from a set that has the joint one in it.

    Returns:
        None if no seed has both decodings with their utterances.
    """
    seeds = [seed for seed in system if seed in baseline]
    seeds = [seed for seed in seeds if system[seed].characters and baseline[seed].characters]
    if not seeds:
        return None
    counts = system[seeds[0]].characters
    references = [counts[key].reference for key in counts]
    first = [[system[seed].characters[key].errors for key in counts] for seed in seeds]
    second = [[baseline[seed].characters[key].errors for key in counts] for seed in seeds]
    found = paired_seeds(first, second, references, same_seeds=True)
    better = sum(sum(mine) < sum(theirs) for mine, theirs in zip(first, second, strict=True))
    return Comparison(found.difference, found.low, found.high, found.p_value, len(seeds), better)
