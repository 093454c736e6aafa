"""From records to Markdown tables."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from asr_topdown.report.collect import Decoding, Experiment, Training
from asr_topdown.report.compare import Comparison, compare
from asr_topdown.report.systems import JOINT, SCRATCH, System

_NOTHING = "–"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table; the first `left` columns are flush left, the others (numbers) flush right."""
    rules = [":--" if column < left else "--:" for column in range(len(header))]
    lines = [header, rules, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def systems_table(experiment: Experiment, systems: Sequence[System]) -> str:
    """One row per system: layers, seeds, dev error, test error rates, and the differences that matter."""
    by_name = {system.name: system for system in systems}
    baselines = {name: by_name[name] for name in (JOINT, SCRATCH) if name in by_name}
    name = experiment.set_name
    header = ["system", "frozen", "seeds", dev_error_name(experiment)]
    header += [f"{name} CER %", f"{name} WER %", f"Δ {name} CER to joint [95 % CI]"]
    if SCRATCH in baselines:
        header.append("Δ to the equal-compute control [95 % CI]")
    rows = []
    for system in systems:
        row = [system.name, *_system_cells(experiment, system)]
        for baseline in baselines.values():
            same = system.nodes == baseline.nodes
            row.append(_NOTHING if same else difference_cell(_compare(experiment, system, baseline)))
        rows.append(row)
    return markdown_table(header, rows, left=2)


def trainings_table(experiment: Experiment, roles: Mapping[str, str]) -> str:
    """One row per training; `roles` says what a node was in a search."""
    name = experiment.set_name
    header = [
        "node",
        "role",
        "what was trained",
        "epochs",
        "best",
        dev_error_name(experiment),
        f"{name} CER %",
        "minutes",
    ]
    rows = []
    known = [node_id for node_id in roles if node_id in experiment.trainings]
    for node_id in known + sorted(experiment.trainings.keys() - roles.keys()):
        training, decoding = experiment.trainings[node_id], experiment.decodings.get(node_id)
        outcome = training.outcome
        rows.append(
            [
                f"`{node_id}`",
                roles.get(node_id, _NOTHING),
                training.node.describe(),
                str(outcome.epochs if outcome else len(training.curve.epochs)),
                str(outcome.best_epoch) if outcome else "not finished",
                _error(training),
                f"{100 * decoding.cer:.2f}" if decoding else _NOTHING,
                f"{outcome.seconds / 60:.1f}" if outcome else _NOTHING,
            ]
        )
    return markdown_table(header, rows, left=3)


def dev_error_name(experiment: Experiment) -> str:
    """What chose the best epochs, with its unit; just "dev error" where the trainings differ in it."""
    metrics = {training.metric for training in experiment.trainings.values()}
    names = {"cer": "dev CER %", "loss": "dev loss (nats)", "accuracy": "dev label error %"}
    return names.get(metrics.pop(), "dev error") if len(metrics) == 1 else "dev error"


def dev_error(training: Training) -> float:
    """The dev error as it is shown: an error rate in percent, a loss as it is."""
    assert training.outcome is not None
    return training.outcome.error * (1 if training.metric == "loss" else 100)


def mean_sd(values: Sequence[float]) -> str:
    """The mean and, of several, the sample standard deviation: "21.34 ± 0.52"."""
    if not values:
        return _NOTHING
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def p_text(p_value: float) -> str:
    """As "p = 0.012", or "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _system_cells(experiment: Experiment, system: System) -> list[str]:
    trainings = [experiment.trainings[node] for node in system.nodes.values() if node in experiment.trainings]
    decodings = list(decodings_of(experiment, system).values())
    count = str(len(system.nodes))
    if system.rejected:
        count += f" ({len(system.rejected)} not taken)"
    if decodings and len(decodings) < len(system.nodes):
        count += f", {len(decodings)} decoded"
    return [
        _frozen(trainings),
        count,
        mean_sd([dev_error(training) for training in trainings if training.outcome]),
        mean_sd([100 * decoding.cer for decoding in decodings]),
        mean_sd([100 * decoding.wer for decoding in decodings]),
    ]


def decodings_of(experiment: Experiment, system: System) -> dict[int, Decoding]:
    """Base seed -> decoding, for the seeds that have one."""
    found = {seed: experiment.decodings.get(node) for seed, node in system.nodes.items()}
    return {seed: decoding for seed, decoding in found.items() if decoding is not None}


def _compare(experiment: Experiment, system: System, baseline: System) -> Comparison | None:
    return compare(decodings_of(experiment, system), decodings_of(experiment, baseline))


def difference_cell(comparison: Comparison | None) -> str:
    """A difference in points with its interval, p, and in how many seeds the system was better."""
    if comparison is None:
        return _NOTHING
    points = [100 * value for value in (comparison.difference, comparison.low, comparison.high)]
    difference, low, high = (f"{value:+.2f}".replace("-", "−") for value in points)
    seeds = f"better in {comparison.better} of {comparison.seeds}"
    return f"{difference} [{low}, {high}], {p_text(comparison.p_value)}, {seeds}"


def _frozen(trainings: Sequence[Training]) -> str:
    """The frozen layers; where the seeds differ, each set with its number of seeds."""
    sets = [", ".join(training.node.frozen) or "none" for training in trainings]
    distinct = dict.fromkeys(sorted(sets))
    if len(distinct) <= 1:
        return "".join(distinct) or _NOTHING
    return "; ".join(f"{names} ({sets.count(names)}×)" for names in distinct)


def _error(training: Training) -> str:
    if training.outcome is None:
        return _NOTHING
    return f"{dev_error(training):.2f}"
