"""One table over several experiments of the same design, such as the folds of a corpus."""

import statistics
from collections.abc import Mapping, Sequence

from asr_topdown.files import command
from asr_topdown.report.compare import compare, correct
from asr_topdown.report.records import Experiment, Score
from asr_topdown.report.systems import BASELINES, System, baselines, systems
from asr_topdown.report.table import Table
from asr_topdown.report.tables import difference_cell, error_values, scores_of
from asr_topdown.report.words import mean_sd


def pooled_table(experiments: Sequence[Experiment], tag: str = "study") -> Table:
    """Each system's error over all experiments, seed by seed, and its difference from the baselines.

    A seed's error rate is the sum of its errors in all experiments over the sum of the reference characters
    (or words); its dev error is the mean of theirs. Only systems and seeds that every experiment has are
    shown; "± sd" is over the seeds.

    Raises:
        ValueError: naming an experiment without the study, or whose reference is gone, or if they have no
            system in common, or are of different kinds.
    """
    folders = ", ".join(str(experiment.root) for experiment in experiments)
    own = [_of_study(experiment, tag) for experiment in experiments]
    kind = own[0].kind
    if any(experiment.kind is not kind for experiment in own):
        raise ValueError(f"{folders}: their errors are not of one kind")
    rows_of = [{system.name: system for system in systems(one.studies[tag])} for one in own]
    common = [name for name in rows_of[0] if all(name in rows for rows in rows_of)]
    pooled = {name: _pool(own, [rows[name] for rows in rows_of]) for name in common}
    complete = {name: scores for name, scores in pooled.items() if scores}
    if not complete:
        raise ValueError(f"{folders}: no system has been trained and decoded with the same seeds in all")
    known = [row for name, row in rows_of[0].items() if name in complete]
    found = correct(
        {
            search: {
                system: None
                if base is None or _are_one(rows_of, system, base.name)
                else compare(complete[system], complete[base.name], kind)
                for system, base in compared.items()
            }
            for search, compared in baselines(known).items()
        }
    )
    header = ["system", own[0].test_name, own[0].dev_name]
    header += [*(f"Δ to {BASELINES[search]}" for search in found), "seeds"]
    table, values = [], []
    for system, scores in complete.items():
        dev = [_dev_error(own, [rows[system] for rows in rows_of], seed) for seed in scores]
        errors = {own[0].test_name: [kind.shown(one.rate) for one in scores.values()], own[0].dev_name: dev}
        compared = {search: each[system] for search, each in found.items()}
        cells = [*map(mean_sd, errors.values()), *map(difference_cell, compared.values())]
        table.append([system, *cells, str(len(scores))])
        values.append({"system": system, "seeds": len(scores), **error_values(errors, compared)})
    return Table("pooled", header, table, values=values)


def _are_one(rows_of: Sequence[Mapping[str, System]], first: str, second: str) -> bool:
    """Whether two systems have the same networks in all experiments."""
    return all(rows[first].nodes == rows[second].nodes for rows in rows_of)


def _of_study(experiment: Experiment, tag: str) -> Experiment:
    if tag not in experiment.studies:
        raise ValueError(f"{experiment.root}: no results/{tag}.json; run `asr-topdown topdown` first")
    return experiment.of_study(tag)


def _pool(experiments: Sequence[Experiment], rows: Sequence[System]) -> dict[int, Score]:
    """Base seed -> the scores of all experiments as one, for the seeds trained and decoded in all."""
    found = []
    for experiment, row in zip(experiments, rows, strict=True):
        dev, scores = experiment.dev, scores_of(experiment, row)
        if not all(score.parts for score in scores.values()):
            raise ValueError(
                f"{experiment.root}: the errors of its {experiment.kind.sampled} are not known, so they "
                f"cannot be pooled; `{command('asr-topdown', 'report', experiment.root)}` says why"
            )
        found.append({seed: score for seed, score in scores.items() if row.nodes[seed] in dev})
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
    return statistics.fmean(experiment.dev[row.nodes[seed]] for experiment, row in pairs)
