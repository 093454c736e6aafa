"""The start of a report: whether it helped, on what data, with what model, and where."""

from collections.abc import Container, Sequence

from asr_topdown.report.compare import Comparison, Differences
from asr_topdown.report.records import LANGUAGE, Experiment
from asr_topdown.report.systems import BASELINES, JOINT, System
from asr_topdown.report.tables import first_search, main_row, p_values
from asr_topdown.report.words import count, mean, number, signed
from asr_topdown.runs.about import DataSize
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.score.seeds import MIN_SEEDS


def verdict(experiment: Experiment, rows: Sequence[System], differences: Differences) -> str:
    """Whether the study's first search helped, in one sentence; "" if there is no search to judge."""
    main = main_row(experiment, rows)
    joint = next((row for row in rows if row.search == JOINT), None)
    if main is None or joint is None:
        return ""
    name = main.name[:1].upper() + main.name[1:]
    if main.nodes == joint.nodes:
        return f"{name}: no retraining was better than joint training on dev."
    text = f"{name}: {_rates(experiment, main, joint)}"
    # The controls have the compute of the first search. If that has no row, they do not match this one.
    own = main.search == first_search(experiment)
    told = [
        f"against {_BASELINE[base]}, {_difference(experiment, one)}"
        for base, found in differences.items()
        if (own or base == JOINT) and (one := found.get(main.name)) is not None
    ]
    return f"{'; '.join([text, *told])}.{_by_depth(experiment, rows)}"


def _by_depth(experiment: Experiment, rows: Sequence[System]) -> str:
    """For a sweep over another corpus's network: the error for each number of frozen blocks.

    Means are over the seeds that all of these have.
    """
    errors = experiment.test or experiment.dev
    found: dict[int, dict[int, float]] = {}
    source = ""
    for row in rows:
        point = row.point
        if not isinstance(point, DepthSweepPoint) or not point.source or point.start != "keep":
            continue
        if not (point.side == "top" or point.renewed or point.tuning or point.part):
            source = point.source
            known = {seed: errors[node] for seed, node in row.nodes.items() if node in errors}
            found |= {point.frozen: known} if known else {}
    seeds = set.intersection(*map(set, found.values())) if found else set()
    if len(found) < 2 or not seeds:
        return ""
    means = {depth: mean(known[seed] for seed in seeds) for depth, known in sorted(found.items())}
    told = ", ".join(f"{depth or 'none'}: {number(error)}" for depth, error in means.items())
    return f" From {source}, by number of frozen lowest blocks, the others trained further: {told}."


_BASELINE = {**BASELINES, JOINT: "joint training"}


def _rates(experiment: Experiment, main: System, joint: System) -> str:
    """As "test CER 15.00 %, joint training 21.00 %", of the seeds that both have; on dev if there is none."""
    known, name, note = experiment.test, experiment.test_name, ""
    if not (seeds := _shared(main, joint, known)):
        known, name, note = experiment.dev, experiment.dev_name, " (the set is not decoded yet)"
        seeds = _shared(main, joint, known)
    unit = " %" if "%" in name else ""
    errors = [mean(known[row.nodes[seed]] for seed in seeds) for row in (main, joint)]
    first, second = (f"{number(error)}{unit}" for error in errors)
    return f"{' '.join(name.replace('%', '').split())} {first}, joint training {second}{note}"


def _shared(main: System, joint: System, known: Container[str]) -> list[int]:
    """The seeds of which both networks' errors are known."""
    both = main.nodes.keys() & joint.nodes.keys()
    return sorted(seed for seed in both if main.nodes[seed] in known and joint.nodes[seed] in known)


def _difference(experiment: Experiment, one: Comparison) -> str:
    kind = "more errors" if one.difference > 0 else "fewer errors"
    if experiment.kind is LANGUAGE:
        kind = "a higher perplexity" if one.difference > 0 else "a lower perplexity"
    size = f"{signed(one.difference)} {experiment.kind.difference}".rstrip()
    seeds = f"better in {one.better} of {count(one.seeds, 'seed')}"
    if one.interval is None:
        too_few = one.seeds < MIN_SEEDS
        why = f"of which fewer than {MIN_SEEDS} allow no test" if too_few else "on a set too small for a test"
        return f"{size}, {seeds}, {why}"
    how = f"{kind}, beyond chance" if one.beyond_chance else "no difference beyond chance"
    low, high = map(signed, one.interval)
    return f"{how} ({size}, 95 % interval {low} to {high}, {p_values(one)}, {seeds})"


_METRICS = {"cer": "greedy CER", "label_error": "label error"}


def sizes(experiment: Experiment) -> str:
    """The data, the model and the machine, as recorded in the trainings' folders."""
    known = [training.about for training in experiment.trainings.values() if training.about is not None]
    if not known:
        return ""
    layers = dict.fromkeys(tuple(about.layers.items()) for about in known)
    largest = max(layers, key=lambda one: sum(size for _, size in one))
    listed = ", ".join(f"{name} {size:,}" for name, size in largest)
    data = "; ".join(f"`{one.name}` ({_data(one)})" for one in dict.fromkeys(about.train for about in known))
    dev = "; ".join(f"`{one.name}` ({_data(one)})" for one in dict.fromkeys(about.dev for about in known))
    total = sum(size for _, size in largest)
    machines = "; ".join(dict.fromkeys(about.machine for about in known))
    metrics = dict.fromkeys(one.metric for one in experiment.trainings.values() if one.metric)
    by = f"by the {' or '.join(_METRICS.get(one, one) for one in metrics)} " if metrics else ""
    return (
        f"Trained on {data}; epochs chosen {by}on {dev}. {total:,} parameters by layer, input to output: "
        f"{listed}. Machine: {machines}."
    )


def _data(one: DataSize) -> str:
    if not one.utterances:
        return f"{one.words:,} words"
    unused = f", {count(one.left_out, 'utterance')} left out" if one.left_out else ""
    return f"{count(one.utterances, 'utterance')}, {one.words:,} words, {one.hours:.2f} hours{unused}"
