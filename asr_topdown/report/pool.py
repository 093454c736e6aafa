"""One table over several experiments of the same design, such as the folds of a corpus."""

import statistics
from collections.abc import Sequence

from asr_topdown.report.compare import compare, correct
from asr_topdown.report.records import Experiment, Score
from asr_topdown.report.systems import JOINT, SCRATCH, System, systems
from asr_topdown.report.table import Table
from asr_topdown.report.tables import difference_cell, mean_sd, scores_of


def pooled_table(experiments: Sequence[Experiment], tag: str = "study") -> Table:
    """Each system's error over all experiments, seed by seed, and how it differs from the baselines.

    A seed's error rate is the sum of its errors in all experiments over the sum of the reference characters
    (or words). Only systems and seeds that every experiment has are shown; "± sd" is over the seeds.

    Raises:
        ValueError: naming an experiment without the study, or if they have no system in common, or are not of
            one kind.
    """
    kind = experiments[0].kind
    rows_of = [_by_name(experiment, tag) for experiment in experiments]
    folders = ", ".join(str(experiment.root) for experiment in experiments)
    if any(experiment.kind is not kind for experiment in experiments):
        raise ValueError(f"{folders}: language models and recognisers have no errors in common")
    common = [name for name in rows_of[0] if all(name in rows for rows in rows_of)]
    pooled = {name: _pool(experiments, [rows[name] for rows in rows_of]) for name in common}
    complete = {name: scores for name, scores in pooled.items() if scores}
    if not complete:
        raise ValueError(f"{folders}: no system has been trained and decoded with the same seeds in all")
    baselines = [name for name in (JOINT, SCRATCH) if name in complete]
    header = ["system", "seeds", "dev error", experiments[0].test_name]
    header += [f"Δ to {baseline}" for baseline in baselines]
    found = correct(
        {
            baseline: {
                system: None if system == baseline else compare(scores, complete[baseline], kind)
                for system, scores in complete.items()
            }
            for baseline in baselines
        }
    )
    table = []
    for system, scores in complete.items():
        dev = [_dev_error(experiments, [rows[system] for rows in rows_of], seed) for seed in scores]
        shown = [kind.shown(one.rate) for one in scores.values()]
        row = [system, str(len(scores)), mean_sd(dev), mean_sd(shown)]
        row += [difference_cell(found[baseline][system]) for baseline in baselines]
        table.append(row)
    return Table("pooled", header, table)


def _by_name(experiment: Experiment, tag: str) -> dict[str, System]:
    if tag not in experiment.studies:
        raise ValueError(f"{experiment.root}: no results/{tag}.json; run `asr-topdown topdown` first")
    return {system.name: system for system in systems(experiment.studies[tag])}


def _pool(experiments: Sequence[Experiment], rows: Sequence[System]) -> dict[int, Score]:
    """Base seed -> the scores of all experiments as one, for the seeds that all have."""
    found = [scores_of(experiment, row) for experiment, row in zip(experiments, rows, strict=True)]
    seeds = [seed for seed in found[0] if all(seed in scores for scores in found)]
    return {seed: _join([scores[seed] for scores in found]) for seed in seeds}


def _join(scores: Sequence[Score]) -> Score:
    parts = {
        f"{index}/{key}": counts for index, score in enumerate(scores) for key, counts in score.parts.items()
    }
    return Score(
        rate=sum(errors for errors, _ in parts.values()) / max(sum(total for _, total in parts.values()), 1),
        parts=parts,
        others={},
        seconds=sum(score.seconds for score in scores),
        audio_seconds=sum(score.audio_seconds for score in scores),
    )


def _dev_error(experiments: Sequence[Experiment], rows: Sequence[System], seed: int) -> float:
    pairs = zip(experiments, rows, strict=True)
    return statistics.fmean(experiment.dev()[row.nodes[seed]] for experiment, row in pairs)
