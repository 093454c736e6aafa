"""The figures as data, before they become PNG or SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_topdown.report.compare import Comparison
from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import BASELINES, TOP_DOWN, errors_so_far
from asr_topdown.schedule.protocol import Result

# Values of `Series.look`: for joint training, and for the other series, in this order.
JOINT_LOOK = 4
LOOKS = (0, 1, 2, 3, 6, 7, 5)


@dataclass(frozen=True)
class Series:
    """One series of points.

    Attributes:
        name: in the legend; "" = omitted.
        points: (x, y).
        look: its colour, marker and dashes, by number (`svg.LOOKS`).
        line: whether to join the points.
        markers: whether to mark them.
        faint: thin and pale, for single seeds next to the mean.
        ranges: (x, low, high) around the points: a band along a line, else bars.
    """

    name: str
    points: Sequence[tuple[float, float]]
    look: int
    line: bool = True
    markers: bool = True
    faint: bool = False
    ranges: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Chart:
    """One pair of axes.

    Attributes:
        title: above it; "" = none.
        x_name: of the x axis.
        y_name: of the y axis.
        series: to draw, the last on top.
        x_ticks: (place, label), with newlines between the label's lines; None = numbers.
        log_x: whether the x axis is logarithmic.
    """

    title: str
    x_name: str
    y_name: str
    series: Sequence[Series]
    x_ticks: Sequence[tuple[float, str]] | None = None
    log_x: bool = False

    def points(self) -> list[tuple[float, float]]:
        """All values drawn, including the ends of ranges."""
        ends = [(x, y) for series in self.series for x, *both in series.ranges for y in both]
        return [point for series in self.series for point in series.points] + ends


@dataclass(frozen=True)
class Figure:
    """Charts side by side.

    Attributes:
        name: of the PNG, and anchor in the page.
        caption: what it shows.
        charts: left to right.
    """

    name: str
    caption: str
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Intervals:
    """Differences with their confidence intervals, one row each: a "forest plot".

    Attributes:
        name: of the PNG, and anchor in the page.
        caption: what it shows.
        x_name: the compared quantity, with its unit.
        groups: baseline -> (system, difference).
    """

    name: str
    caption: str
    x_name: str
    groups: Mapping[str, Sequence[tuple[str, Comparison]]]

    def reach(self) -> float:
        """The largest distance from zero, for an axis that has zero in its middle."""
        shown = [one for rows in self.groups.values() for _, one in rows]
        return max((abs(end) for one in shown for end in one.interval or [one.difference]), default=0) or 1.0


def intervals(
    experiment: Experiment,
    differences: Mapping[str, Mapping[str, Comparison | None]],
    name: str,
) -> Intervals | None:
    """The results of `tables.compare_systems` as a figure, or None if there are none."""
    groups = {
        f"against {BASELINES[baseline]}": [(system, one) for system, one in found.items() if one is not None]
        for baseline, found in differences.items()
    }
    groups = {title: rows for title, rows in groups.items() if rows}
    if not groups:
        return None
    words = experiment.test_name.removesuffix(" %")
    return Intervals(
        name,
        "Differences with 95 % intervals (none with too few seeds). Left of the line: better than the "
        "baseline. Filled marks: the corrected p is below 0.05.",
        f"Δ {words} ({experiment.kind.difference})" if experiment.kind.difference else f"Δ {words}",
        groups,
    )


def cascade(experiment: Experiment, results: Sequence[Result], name: str) -> Figure:
    """Error by step of the top-down search against the controls, on dev and, if decoded, on the set."""
    on_dev = experiment.dev
    on_test = experiment.test
    sides = [(experiment.dev_name, on_dev)]
    if any(result.search == "greedy" and _is_covered(result, on_test) for result in results):
        sides.append((experiment.test_name, on_test))
    ticks = list(enumerate(_step_labels(experiment, results)))
    charts = [
        Chart(
            title, "retrainings; layer frozen in addition", title, _side(results, error_of, len(ticks)), ticks
        )
        for title, error_of in sides
    ]
    caption = "Error by step of the top-down search; × marks steps not taken."
    return Figure(name, caption, charts)


def _side(results: Sequence[Result], error_of: Mapping[str, float], count: int) -> list[Series]:
    series = []
    for look, (search, name) in enumerate([("greedy", TOP_DOWN), ("scratch", "from scratch, best so far")]):
        found = [result for result in results if result.search == search and _is_covered(result, error_of)]
        series += _search_series(found, name, look, error_of, count)
    one_retraining = [
        ("freeze_lowest", "lowest layer frozen, 1 retraining"),
        ("keep", "nothing frozen, 1 retraining"),
    ]
    for number, (search, name) in enumerate(one_retraining):
        values = [error_of[one.final] for one in results if one.search == search and one.final in error_of]
        x = 1.1 + 0.1 * number
        if values:
            points = [(x, value) for value in values]
            series.append(Series("", points, 2 + number, line=False, faint=True))
            series.append(Series(name, [(x, sum(values) / len(values))], 2 + number, line=False))
    return series


def _search_series(
    found: Sequence[Result], name: str, look: int, error_of: Mapping[str, float], count: int
) -> list[Series]:
    """The seeds' lines, faint; their mean; the steps not taken."""
    if not found:
        return []
    # No further than the top-down search: trainings from scratch may follow a longer one.
    by_seed = [errors_so_far(result, error_of)[:count] for result in found]
    carried = [[*errors, *[errors[-1]] * (count - len(errors))] for errors in by_seed]
    mean = [sum(column) / len(carried) for column in zip(*carried, strict=True)]
    series = []
    if len(by_seed) > 1:
        series = [Series("", list(enumerate(one)), look, markers=False, faint=True) for one in by_seed]
        name = f"{name}: mean of {len(by_seed)} seeds"
    series.append(Series(name, list(enumerate(mean)), look))
    rejected = [
        (float(number), error_of[step.node])
        for result in found
        for number, step in enumerate(result.steps)
        if not step.accepted and step.node in error_of and result.search == "greedy"
    ]
    return [*series, Series("step not taken", rejected, 5, line=False)] if rejected else series


def _is_covered(result: Result, error_of: Mapping[str, float]) -> bool:
    return all(step.node in error_of for step in result.steps if step.accepted)


def _step_labels(experiment: Experiment, results: Sequence[Result]) -> list[str]:
    """The block that each step froze additionally: "0 joint", "1 softmax", "2 blstm.3", ..."""
    longest = max((one for one in results if one.search == "greedy"), key=lambda one: len(one.steps))
    labels = ["0\njoint"]
    before: set[str] = set()
    for number, step in enumerate(longest.steps[1:], 1):
        training = experiment.trainings.get(step.node)
        frozen = set(training.node.frozen) if training else before
        labels.append("\n".join([str(number), *sorted(frozen - before)]))
        before = frozen
    return labels
