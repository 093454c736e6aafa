"""Section 3 of the paper: Table 1, Figure 1 and Figure 2, and the depth sweep, from the points of searches.

What a step's `point` holds is listed in `topdown/store.py`.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence

from asr_topdown.report.figures import Chart, Figure, Series
from asr_topdown.report.records import Experiment
from asr_topdown.report.table import NOTHING, Table
from asr_topdown.report.tables import mean_sd
from asr_topdown.schedule.search import Result, Step

# Zhang et al. 2021, Table 1: CER dev93/eval92 of the joint models, by percent of si284.
_TABLE_1 = {5: "34.4/32.9", 10: "28.3/26.1", 20: "22.5/19.9", 40: "17.5/14.7", 80: "13.2/10.6"}
_LOOKS = 5
# Of a scan: the key in a step's point that says where it lies, and what that is.
_PLACES = {
    "subset_scan": ("percent", "classifier's data (%)"),
    "epoch_scan": ("p", "classifier's epoch"),
}


def table_1(experiment: Experiment, results: Sequence[Result], name: str) -> Table | None:
    """The joint trainings on the subsets, the seeds' mean; beside them the paper's, on its corpus."""
    by_percent: dict[float, list[Step]] = {}
    for step in _steps(results, "subset_scan"):
        if "repeat" not in step.point:
            by_percent.setdefault(float(step.point["percent"]), []).append(step)
    if not by_percent:
        return None
    on_paper = experiment.corpus == "wsj"
    header = ["percent", "data", "utterances", "seeds", experiment.dev_name, experiment.test_name]
    header += ["paper, CER dev93/eval92"] if on_paper else []
    dev, test = experiment.dev(), experiment.test()
    rows = []
    for percent, steps in sorted(by_percent.items()):
        point, nodes = steps[0].point, [step.node for step in steps]
        row = [_short(percent), str(point["subset"]), str(point["utterances"]), str(len(nodes))]
        row += [mean_sd(known[node] for node in nodes if node in known) for known in (dev, test)]
        rows.append(row + ([_TABLE_1.get(round(percent), NOTHING)] if on_paper else []))
    return Table(name, header, rows, left=2)


def figure_1(experiment: Experiment, results: Sequence[Result], name: str) -> Figure | None:
    """New extractors on unseen data under classifiers that were trained on more and more."""
    charts = _by_point(experiment, results, "subset_scan")
    caption = (
        "Figure 1 of the paper: the classifier of each subset's joint training is frozen, extractors are "
        "trained below it on unseen data. Small marks: single trainings; line: their mean."
    )
    labelled = []
    for one in charts:
        ticks = sorted({x for series in one.series for x, _ in series.points})
        named = [(tick, _short(tick)) for tick in ticks]
        labelled.append(Chart(one.title, one.x_name, one.y_name, one.series, named, log_x=True))
    return Figure(name, caption, labelled) if charts else None


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
    return Figure(name, caption, first + [_titled(chart, "(b) ") for chart in charts])


def extractors_table(
    experiment: Experiment, results: Sequence[Result], search: str, name: str
) -> Table | None:
    """What Figure 1 ("subset_scan") or Figure 2 ("epoch_scan") shows, in numbers: all repeats and seeds."""
    key, title = _PLACES[search]
    steps = _extractors(results, search)
    if not steps:
        return None
    sides = _sides(experiment)
    header = [title, "trainings", *(side for side, _ in sides)]
    rows = []
    for place in sorted({float(step.point[key]) for step in steps}):
        own = [step for step in steps if float(step.point[key]) == place]
        errors = [[error for step in own if (error := error_of(step)) is not None] for _, error_of in sides]
        rows.append([_short(place), str(len(own)), *map(mean_sd, errors)])
    return Table(name, header, rows, left=0)


def depth_figure(experiment: Experiment, results: Sequence[Result], name: str) -> Figure | None:
    """Error by the number of frozen blocks, a line for each end and start."""
    steps = [step for step in _steps(results, "depth_sweep") if "frozen" in step.point]
    arms: dict[str, list[Step]] = {}
    for step in steps:
        point = step.point
        source = f", from {point['source']}" if point.get("source") else ""
        arms.setdefault(f"{point['side']} frozen, {point['start']}{source}", []).append(step)
    charts = []
    for title, error_of in _sides(experiment):
        series = []
        for number, (arm, own) in enumerate(arms.items()):
            series += _spread(own, lambda step: float(step.point["frozen"]), error_of, arm, number % _LOOKS)
        if series:
            charts.append(Chart(title, "frozen blocks", title, series))
    caption = "The depth sweep: so many blocks of one end are frozen. Small marks: single trainings."
    return Figure(name, caption, charts) if charts else None


def _short(place: float) -> str:
    """As 5 for 4.98: the utterances stand beside it."""
    return f"{place:.0f}" if place >= 1 else f"{place:.2g}"


def _steps(results: Sequence[Result], search: str) -> list[Step]:
    return [step for result in results if result.search == search for step in result.steps if step.point]


def _extractors(results: Sequence[Result], search: str) -> list[Step]:
    """The steps of a scan that were trained below a frozen classifier."""
    return [step for step in _steps(results, search) if "repeat" in step.point]


def _by_point(experiment: Experiment, results: Sequence[Result], search: str) -> list[Chart]:
    """One chart for the dev error of the extractors and, if something is scored, one for the set's."""
    charts = []
    key, x_name = _PLACES[search]
    steps = _extractors(results, search)

    def place(step: Step) -> float:
        return float(step.point[key])

    for look, (title, error_of) in enumerate(_sides(experiment)):
        series = _spread(steps, place, error_of, "mean of the extractors", look)
        if series:
            charts.append(Chart(title, x_name, title, [_renamed(one, title) for one in series]))
    return charts


def _spread(
    steps: Iterable[Step],
    place: Callable[[Step], float],
    error_of: Callable[[Step], float | None],
    name: str,
    look: int,
) -> list[Series]:
    """Single trainings, faint, and the line of their means."""
    found: dict[float, list[float]] = {}
    for step in steps:
        error = error_of(step)
        if error is not None:
            found.setdefault(place(step), []).append(error)
    if not found:
        return []
    means = [(x, statistics.fmean(values)) for x, values in sorted(found.items())]
    single = [(x, value) for x, values in sorted(found.items()) for value in values]
    faint = [Series("", single, look, line=False, faint=True)] if len(single) > len(means) else []
    return [*faint, Series(name, means, look)]


def _renamed(series: Series, title: str) -> Series:
    name = f"{series.name}, {title}" if series.name else ""
    return Series(name, series.points, series.look, series.line, series.markers, series.faint)


def _titled(chart: Chart, before: str) -> Chart:
    return Chart(before + chart.title, chart.x_name, chart.y_name, chart.series, chart.x_ticks, chart.log_x)


def _sides(experiment: Experiment) -> list[tuple[str, Callable[[Step], float | None]]]:
    """Name and value of a step's error, on the dev set and on the scored one."""
    tested = experiment.test()
    return [
        (experiment.dev_name, lambda step: experiment.shown_dev(step.error)),
        (experiment.test_name, lambda step: tested.get(step.node)),
    ]
