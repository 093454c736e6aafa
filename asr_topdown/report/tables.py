"""From records to tables."""

import math
import re
from collections.abc import Mapping, Sequence

from asr_topdown.report.compare import Comparison, Differences, compare, correct
from asr_topdown.report.records import Experiment, Score, Training
from asr_topdown.report.systems import BASELINES, JOINT, System, baselines
from asr_topdown.report.table import Table, Value
from asr_topdown.report.words import NOTHING, deviation, mean, mean_sd, number, p_text, signed
from asr_topdown.schedule.searches import SEARCHES


def systems_table(
    experiment: Experiment,
    systems: Sequence[System],
    differences: Differences | None = None,
    *,
    name: str = "systems",
) -> Table:
    """One row per system: test and dev errors, the differences that matter, layers, seeds.

    The errors come first, where a phone shows them.

    Args:
        experiment: where the numbers come from.
        systems: the rows.
        differences: the result of `compare_systems`, if already computed.
        name: of the table.
    """
    differences = compare_systems(experiment, systems) if differences is None else differences
    columns = _errors(experiment)
    unit = experiment.test_name.removesuffix(" %")
    header = ["system", *columns, *(f"Δ {unit} to {BASELINES[one]}" for one in differences)]
    header += ["frozen", "seeds"]
    rows, values = [], []
    for system in systems:
        errors = {
            title: [known[n] for n in system.nodes.values() if n in known] for title, known in columns.items()
        }
        found = {baseline: compared.get(system.name) for baseline, compared in differences.items()}
        trainings = [experiment.trainings[n] for n in system.nodes.values() if n in experiment.trainings]
        rows.append(
            [
                system.name,
                *map(mean_sd, errors.values()),
                *map(difference_cell, found.values()),
                _frozen(trainings),
                _seeds(system, len(errors[experiment.test_name])),
            ]
        )
        row: dict[str, Value] = {"system": system.name, "search": system.search, "seeds": len(system.nodes)}
        row |= {"not_taken": len(system.rejected), "frozen": _frozen(trainings).replace(NOTHING, "")}
        values.append(row | error_values(errors, found))
    words = frozenset({0, len(header) - 2, len(header) - 1})
    return Table(name, header, rows, words, values=values)


def compare_systems(experiment: Experiment, systems: Sequence[System], unseen: int = 0) -> Differences:
    """Baseline (`systems.BASELINES`) -> system -> its difference; None from itself, or without baseline.

    The p-values are corrected for the number of comparisons over all baselines, and for those `unseen`.
    """
    scores = {system.name: scores_of(experiment, system) for system in systems}
    return correct(
        {
            baseline: {
                name: None if base is None else compare(scores[name], scores[base.name], experiment.kind)
                for name, base in compared.items()
            }
            for baseline, compared in _pairs(systems).items()
        },
        unseen,
    )


def count_comparisons(systems: Sequence[System]) -> int:
    """How many pairs `compare_systems` compares."""
    return sum(base is not None for compared in _pairs(systems).values() for base in compared.values())


def _pairs(systems: Sequence[System]) -> dict[str, dict[str, System | None]]:
    """As `baselines`, with None where it is the row itself."""
    nodes = {system.name: system.nodes for system in systems}
    return {
        baseline: {
            name: None if base is None or nodes[name] == base.nodes else base
            for name, base in compared.items()
        }
        for baseline, compared in baselines(systems).items()
    }


def calibration_table(experiment: Experiment, systems: Sequence[System], name: str) -> Table | None:
    """Calibration of the systems' CTC outputs on the reported set, seeds' means; None if not recorded."""
    columns = {
        f"{experiment.set_name} ECE %": ("expected_calibration_error", 100),
        "confidence %": ("confidence", 100),
        "accuracy %": ("accuracy", 100),
        "entropy of a frame (nats)": ("frame_entropy", 1),
        "of a frame with a unit (nats)": ("unit_entropy", 1),
    }
    rows, values = [], []
    for system in systems:
        kept = [score.calibration for score in scores_of(experiment, system).values() if score.calibration]
        if kept:
            found = {
                title: [scale * one[key] for one in kept if key in one]
                for title, (key, scale) in columns.items()
            }
            rows.append([system.name, *map(mean_sd, found.values()), str(len(kept))])
            values.append({"system": system.name, "seeds": len(kept), **error_values(found, {})})
    return Table(name, ["system", *columns, "seeds"], rows, values=values) if rows else None


def trainings_table(experiment: Experiment, roles: Mapping[str, str]) -> Table:
    """One row per training; `roles` has each node's role in a search.

    If studies of several kinds share the folder, each row says what its errors are.
    """
    several = len(experiment.kinds) > 1
    header = ["node", "role", "what was trained", *["errors"] * several, "epochs", "best"]
    header += [experiment.dev_name, "dev loss", experiment.test_name, "minutes"]
    dev, test, loss = experiment.dev, experiment.test, experiment.dev_loss
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
                *[experiment.kind_of(node_id).error] * several,
                str(outcome.epochs if outcome else len(training.curve.epochs)),
                str(outcome.best_epoch) if outcome else "not finished",
                number(dev.get(node_id)),
                number(loss.get(node_id)),
                number(test.get(node_id)),
                f"{outcome.seconds / 60:.1f}" if outcome else NOTHING,
            ]
        )
    return Table("trainings", header, rows, frozenset(range(3 + several)), frozenset({0}))


def scores_of(experiment: Experiment, system: System) -> dict[int, Score]:
    """Base seed -> score, for the seeds that have one."""
    found = {seed: experiment.scores.get(node) for seed, node in system.nodes.items()}
    return {seed: score for seed, score in found.items() if score is not None}


def first_search(experiment: Experiment) -> str:
    """The study's first search, which its controls follow: results are saved in the order of the settings."""
    return next((one.search for results in experiment.studies.values() for one in results), JOINT)


def main_row(experiment: Experiment, systems: Sequence[System]) -> System | None:
    """Where the study's first search ended; if it has rows for its trainings only, the best on dev.

    If the first search has no rows, the next one that has.
    """
    dev = experiment.dev
    own = [system for system in systems if system.search in SEARCHES and system.search != JOINT]
    own.sort(key=lambda system: system.search != first_search(experiment))
    first = [system for system in own if system.search == own[0].search]
    ends = [system for system in first if system.is_end]
    rows = ends or sorted(
        first, key=lambda row: mean(dev.get(n, math.inf) for n in row.nodes.values()) or 0.0
    )
    return rows[0] if rows else None


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
    """The p-value of a comparison that has one, and its corrected value."""
    assert comparison.p_value is not None
    assert comparison.corrected is not None
    corrected = p_text(comparison.corrected).removeprefix("p ").removeprefix("= ")
    return f"{p_text(comparison.p_value)} (corrected {corrected})"


def error_values(
    errors: Mapping[str, Sequence[float]], compared: Mapping[str, Comparison | None]
) -> dict[str, Value]:
    """The errors of a system by column, and its comparisons by baseline, one value per column."""
    values: dict[str, Value] = {}
    for title, known in errors.items():
        name = re.sub(r"\W+", "_", title).strip("_")
        values |= {f"{name}_mean": mean(known), f"{name}_sd": deviation(known)}
    names = ("difference", "low", "high", "p", "p_corrected", "better", "seeds")
    for baseline, one in compared.items():
        found: tuple[Value, ...] = (None,) * len(names)
        if one is not None:
            low, high = one.interval or (None, None)
            found = (one.difference, low, high, one.p_value, one.corrected, one.better, one.seeds)
        values |= {f"{name}_to_{baseline}": value for name, value in zip(names, found, strict=True)}
    return values


def _errors(experiment: Experiment) -> dict[str, dict[str, float]]:
    """Column -> node -> error: on the set, on dev, and the set's other errors."""
    columns = {experiment.test_name: dict(experiment.test), experiment.dev_name: dict(experiment.dev)}
    if experiment.criterion == "loss" and experiment.dev_name != "dev loss (nats)":
        columns["dev loss (nats)"] = dict(experiment.dev_loss)
    for node, score in experiment.scores.items():
        for name, value in score.others.items():
            columns.setdefault(f"{experiment.set_name} {name}", {})[node] = value
    return columns


def _seeds(system: System, decoded: int) -> str:
    text = str(len(system.nodes))
    if system.rejected:
        text += f" ({len(system.rejected)} not taken)"
    return f"{text}, {decoded} decoded" if 0 < decoded < len(system.nodes) else text


def _frozen(trainings: Sequence[Training]) -> str:
    """The frozen layers; if the seeds differ, each set with its number of seeds."""
    sets = [", ".join(training.node.frozen) or "none" for training in trainings]
    distinct = dict.fromkeys(sorted(sets))
    if len(distinct) <= 1:
        return "".join(distinct) or NOTHING
    return "; ".join(f"{names} ({sets.count(names)}×)" for names in distinct)
