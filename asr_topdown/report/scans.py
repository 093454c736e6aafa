"""Section 3 of the paper (Table 1, Figures 1 and 2), from the points of searches."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from asr_topdown.report.figures import Chart, Figure, Series
from asr_topdown.report.records import Experiment
from asr_topdown.report.table import Table, Value
from asr_topdown.report.tables import error_values
from asr_topdown.report.words import NOTHING, mean_sd
from asr_topdown.schedule.epoch_scan import EpochScanPoint
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.subset_scan import SubsetScanPoint

# Zhang et al. 2021, Table 1: CER dev93/eval92 of the joint models, by percent of si284.
_TABLE_1 = {5: "34.4/32.9", 10: "28.3/26.1", 20: "22.5/19.9", 40: "17.5/14.7", 80: "13.2/10.6"}
_CLASSIFIER = {"subset_scan": "classifier's data (%)", "epoch_scan": "classifier's epoch"}
_PLACE = {"subset_scan": "percent", "epoch_scan": "epoch"}
P = TypeVar("P", EpochScanPoint, SubsetScanPoint)
ErrorOf = Callable[[str], float | None]


def table_1(experiment: Experiment, results: Sequence[Result], name: str) -> Table | None:
    """The joint trainings on the subsets, averaged over seeds, next to the paper's on its corpus."""
    by_percent: dict[float, list[tuple[SubsetScanPoint, str]]] = {}
    for point, node in _points(results, SubsetScanPoint):
        if not point.repeat:
            by_percent.setdefault(point.percent, []).append((point, node))
    if not by_percent:
        return None
    on_paper = experiment.corpus == "wsj"
    header = ["percent", "data", "utterances", "seeds", experiment.dev_name, experiment.test_name]
    header += ["paper, CER dev93/eval92"] if on_paper else []
    rows, values = [], []
    for percent, own in sorted(by_percent.items()):
        (point, _), nodes = own[0], [node for _, node in own]
        errors = _errors(experiment, nodes)
        paper = _TABLE_1.get(round(percent), "")
        row = [_short(percent), point.subset, str(point.utterances), str(len(nodes))]
        rows.append([*row, *(mean_sd(known) for _, known in errors)])
        size: dict[str, Value] = {"percent": percent, "data": point.subset, "utterances": point.utterances}
        size |= {"seeds": len(nodes), **error_values(dict(errors), {})}
        if on_paper:
            rows[-1].append(paper or NOTHING)
            size["paper"] = paper
        values.append(size)
    return Table(name, header, rows, frozenset({0, 1}), values=values)


def figure_1(experiment: Experiment, results: Sequence[Result], name: str) -> Figure | None:
    """New extractors on unseen data under classifiers trained on increasing amounts of data."""
    charts = _by_point(experiment, results, "subset_scan")
    caption = (
        "Figure 1 of the paper: the classifier of each subset's joint training is frozen and extractors are "
        "trained below it on unseen data. Small marks: single trainings; line: their mean."
    )
    return Figure(name, caption, [replace(one, log_x=True) for one in charts]) if charts else None


def figure_2(experiment: Experiment, results: Sequence[Result], name: str) -> Figure | None:
    """(a) the joint training's losses over the epochs, (b) extractors under each epoch's classifier."""
    charts = _by_point(experiment, results, "epoch_scan")
    if not charts:
        return None
    losses: list[Series] = []
    for result in results:
        training = experiment.trainings.get(result.steps[0].node)
        if result.search == "epoch_scan" and training is not None and training.curve.epochs:
            curve = training.curve
            pairs = (("training", curve.train_loss, 4), ("dev", curve.dev.get("loss", ()), 0))
            for which, values, look in pairs:
                points = [(float(epoch), value) for epoch, value in zip(curve.epochs, values, strict=False)]
                label = "" if any(one.name == f"{which} loss" for one in losses) else f"{which} loss"
                losses += [Series(label, points, look, markers=False)] if points else []
    caption = (
        "Figure 2 of the paper: (a) losses of the joint training; (b) the classifier of each of its epochs "
        "is frozen, extractors are trained below it. Small marks: single trainings; line: their mean."
    )
    first = [Chart("(a) joint training", "epoch", f"loss ({experiment.kind.loss})", losses)] if losses else []
    return Figure(name, caption, first + [replace(one, title=f"(b) {one.title}") for one in charts])


def extractors_table(
    experiment: Experiment, results: Sequence[Result], search: str, name: str
) -> Table | None:
    """The numbers of Figure 1 ("subset_scan") or Figure 2 ("epoch_scan"): all repeats and seeds."""
    own = _extractors(results, search)
    if not own:
        return None
    header = [_CLASSIFIER[search], "trainings", experiment.dev_name, experiment.test_name]
    rows, values = [], []
    for place in sorted({place for place, _ in own}):
        nodes = [node for at, node in own if at == place]
        errors = _errors(experiment, nodes)
        rows.append([_short(place), str(len(nodes)), *(mean_sd(known) for _, known in errors)])
        size: dict[str, Value] = {_PLACE[search]: place, "trainings": len(nodes)}
        values.append(size | error_values(dict(errors), {}))
    return Table(name, header, rows, frozenset(), values=values)


def _errors(experiment: Experiment, nodes: Sequence[str]) -> list[tuple[str, list[float]]]:
    """The name of each error, and that of the nodes for which it is known."""
    return [
        (name, [error for node in nodes if (error := error_of(node)) is not None])
        for name, error_of in _sides(experiment)
    ]


def _short(place: float) -> str:
    """Rounded, as 5 for 4.98, but 2.5 stays: the number of utterances is shown too."""
    return f"{place:.0f}" if place >= 10 else f"{place:.2g}"


def _points(results: Sequence[Result], kind: type[P]) -> list[tuple[P, str]]:
    """What a search records of its trainings, and their nodes."""
    steps: list[Step] = [step for result in results for step in result.steps]
    return [(step.point, step.node) for step in steps if isinstance(step.point, kind)]


def _extractors(results: Sequence[Result], search: str) -> list[tuple[float, str]]:
    """The trainings below a frozen classifier: the classifier's place in its scan, and the node."""
    if search == "epoch_scan":
        return [(float(point.epoch), node) for point, node in _points(results, EpochScanPoint)]
    return [(point.percent, node) for point, node in _points(results, SubsetScanPoint) if point.repeat]


def _by_point(experiment: Experiment, results: Sequence[Result], search: str) -> list[Chart]:
    """One chart for the dev error of the extractors and, if any are scored, one for the set's error."""
    charts = []
    own, x_name = _extractors(results, search), _CLASSIFIER[search]
    for look, (title, error_of) in enumerate(_sides(experiment)):
        series = _spread(own, error_of, "mean of the extractors", look)
        if series:
            ticks = [(place, _short(place)) for place in _thinned(sorted({place for place, _ in own}))]
            charts.append(Chart(title, x_name, title, [_renamed(one, title) for one in series], ticks))
    return charts


def _spread(own: Sequence[tuple[float, str]], error_of: ErrorOf, name: str, look: int) -> list[Series]:
    """Single trainings (place, node), faint, and the line of their means."""
    found: dict[float, list[float]] = {}
    for place, node in own:
        error = error_of(node)
        if error is not None:
            found.setdefault(place, []).append(error)
    if not found:
        return []
    means = [(x, statistics.fmean(values)) for x, values in sorted(found.items())]
    single = [(x, value) for x, values in sorted(found.items()) for value in values]
    faint = [Series("", single, look, line=False, faint=True)] if len(single) > len(means) else []
    return [*faint, Series(name, means, look)]


def _renamed(series: Series, title: str) -> Series:
    return replace(series, name=f"{series.name}, {title}" if series.name else "")


def _thinned(places: Sequence[float]) -> Sequence[float]:
    """At most ten of them, evenly spaced."""
    return places[:: -(-len(places) // 10) or 1]


def _sides(experiment: Experiment) -> list[tuple[str, ErrorOf]]:
    """Name and value of a node's error on the dev set and on the scored set."""
    return [(experiment.dev_name, experiment.dev.get), (experiment.test_name, experiment.test.get)]
