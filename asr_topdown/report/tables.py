"""From records to tables."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from asr_topdown.report.compare import Comparison, Differences, compare, correct
from asr_topdown.report.records import Experiment, Score, Training
from asr_topdown.report.systems import JOINT, SCRATCH, System
from asr_topdown.report.table import NOTHING, Table


def systems_table(
    experiment: Experiment,
    systems: Sequence[System],
    differences: Differences | None = None,
    *,
    name: str = "systems",
) -> Table:
    """One row per system: layers, seeds, dev and test errors, and the differences that matter.

    Args:
        experiment: where the numbers come from.
        systems: the rows.
        differences: what `compare_systems` gave, if it has been asked already.
        name: of the table.
    """
    differences = compare_systems(experiment, systems) if differences is None else differences
    others = _other_errors(experiment)
    header = ["system", "frozen", "seeds", experiment.dev_name, experiment.test_name]
    header += [f"{experiment.set_name} {name}" for name in others]
    words = experiment.test_name.removesuffix(" %")
    titles = {JOINT: f"Δ {words} to joint [95 % CI]", SCRATCH: "Δ to the equal-compute control [95 % CI]"}
    header += [titles[baseline] for baseline in differences]
    rows = []
    for system in systems:
        row = [system.name, *_system_cells(experiment, system, others)]
        row += [difference_cell(found.get(system.name)) for found in differences.values()]
        rows.append(row)
    return Table(name, header, rows, left=2)


def compare_systems(experiment: Experiment, systems: Sequence[System]) -> Differences:
    """Baseline (joint, the equal-compute control) -> system -> its difference; None to itself.

    The p-values are corrected for being so many, over both baselines.
    """
    by_name = {system.name: system for system in systems}
    scores = {system.name: scores_of(experiment, system) for system in systems}
    found: dict[str, dict[str, Comparison | None]] = {}
    for baseline in (JOINT, SCRATCH):
        if baseline in by_name:
            found[baseline] = {
                system.name: None
                if system.nodes == by_name[baseline].nodes
                else compare(scores[system.name], scores[baseline], experiment.kind)
                for system in systems
            }
    return correct(found)


def trainings_table(experiment: Experiment, roles: Mapping[str, str]) -> Table:
    """One row per training; `roles` says what a node was in a search."""
    header = ["node", "role", "what was trained", "epochs", "best", experiment.dev_name]
    header += [experiment.test_name, "minutes"]
    dev, test = experiment.dev(), experiment.test()
    known = [node_id for node_id in roles if node_id in experiment.trainings]
    rows = []
    for node_id in known + sorted(experiment.trainings.keys() - roles.keys()):
        training = experiment.trainings[node_id]
        outcome = training.outcome
        rows.append(
            [
                node_id,
                roles.get(node_id, NOTHING),
                training.node.describe(),
                str(outcome.epochs if outcome else len(training.curve.epochs)),
                str(outcome.best_epoch) if outcome else "not finished",
                number(dev.get(node_id)),
                number(test.get(node_id)),
                f"{outcome.seconds / 60:.1f}" if outcome else NOTHING,
            ]
        )
    return Table("trainings", header, rows, left=3, code=frozenset({0}))


def scores_of(experiment: Experiment, system: System) -> dict[int, Score]:
    """Base seed -> score, for the seeds that have one."""
    found = {seed: experiment.scores.get(node) for seed, node in system.nodes.items()}
    return {seed: score for seed, score in found.items() if score is not None}


def number(value: float | None) -> str:
    """Two digits after the point."""
    return NOTHING if value is None else f"{value:.2f}"


def mean_sd(values: Iterable[float]) -> str:
    """The mean and, of several, the sample standard deviation: "21.34 ± 0.52"."""
    values = list(values)
    if not values:
        return NOTHING
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def p_text(p_value: float) -> str:
    """As "p = 0.012", or "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def signed(value: float) -> str:
    """With its sign: "+0.50", "−6.00"."""
    return f"{value:+.2f}".replace("-", "−")


def difference_cell(comparison: Comparison | None) -> str:
    """A difference with its interval, p before and after the correction, and how many seeds agree."""
    if comparison is None:
        return NOTHING
    seeds = f"better in {comparison.better} of {comparison.seeds}"
    if comparison.interval is None:
        return f"{signed(comparison.difference)}, {seeds}"
    low, high = map(signed, comparison.interval)
    return f"{signed(comparison.difference)} [{low}, {high}], {p_values(comparison)}, {seeds}"


def p_values(comparison: Comparison) -> str:
    """Of a comparison that has one: p, and p corrected."""
    assert comparison.p_value is not None
    assert comparison.corrected is not None
    corrected = p_text(comparison.corrected).removeprefix("p ").removeprefix("= ")
    return f"{p_text(comparison.p_value)} (corrected {corrected})"


def _other_errors(experiment: Experiment) -> list[str]:
    return list(dict.fromkeys(name for score in experiment.scores.values() for name in score.others))


def _system_cells(experiment: Experiment, system: System, others: Sequence[str]) -> list[str]:
    trainings = [experiment.trainings[node] for node in system.nodes.values() if node in experiment.trainings]
    scores = list(scores_of(experiment, system).values())
    count = str(len(system.nodes))
    if system.rejected:
        count += f" ({len(system.rejected)} not taken)"
    if scores and len(scores) < len(system.nodes):
        count += f", {len(scores)} decoded"
    dev = experiment.dev()
    return [
        _frozen(trainings),
        count,
        mean_sd(dev[node] for node in system.nodes.values() if node in dev),
        mean_sd(experiment.kind.shown(score.rate) for score in scores),
        *(mean_sd(score.others[name] for score in scores if name in score.others) for name in others),
    ]


def _frozen(trainings: Sequence[Training]) -> str:
    """The frozen layers; where the seeds differ, each set with its number of seeds."""
    sets = [", ".join(training.node.frozen) or "none" for training in trainings]
    distinct = dict.fromkeys(sorted(sets))
    if len(distinct) <= 1:
        return "".join(distinct) or NOTHING
    return "; ".join(f"{names} ({sets.count(names)}×)" for names in distinct)
