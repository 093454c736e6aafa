"""The depth sweep: error against the number of frozen blocks, by arm and amount of data, and cost per arm."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from asr_topdown.report.figures import Chart, Figure, Series
from asr_topdown.report.records import Experiment
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.protocol import Result

ValueOf = Callable[[str], float | None]

SCRATCH = "from scratch"
_MOST_CHARTS = 3
_LOOKS = (0, 1, 2, 3, 4, 6, 7, 5)
_ASIDE = 0.12  # between the bars of arms that have no depth, right of the deepest


@dataclass
class _Line:
    """An arm, or an amount of data: its trainings by their position on the x axis.

    Attributes:
        name: in the legend.
        nodes: place -> the seeds' nodes.
        level: whether it has one training per seed, whatever the depth: a horizontal line.
    """

    name: str
    nodes: dict[int, list[str]] = field(default_factory=dict)
    level: bool = False

    def add(self, place: int, node: str) -> None:
        if node not in self.nodes.setdefault(place, []):
            self.nodes[place].append(node)


@dataclass(frozen=True)
class _Sweep:
    """What a study's sweeps trained on one amount of data."""

    percent: float
    points: Sequence[tuple[DepthSweepPoint, str]]
    joint: Sequence[str]

    @property
    def deepest(self) -> int:
        return max((point.frozen for point, _ in self.points), default=0)

    def arms(self) -> list[_Line]:
        """One line per arm; fine-tuning all layers is depth 0 of the arms that fine-tune the others."""
        lines: dict[str, _Line] = {}
        kinds: dict[str, tuple[str, str, str]] = {}
        for point, node in self.points:
            if not point.renewed:
                name = point.arm()
                kinds[name] = (point.side, point.start, point.tuning)
                lines.setdefault(name, _Line(name, level=point.start == "lora")).add(point.frozen, node)
        for whole in [name for name, (side, *_) in kinds.items() if side == "none"]:
            same = [name for name, (_, *how) in kinds.items() if how == [*kinds[whole][1:]] and name != whole]
            for name in same:
                for node in lines[whole].nodes[0]:
                    lines[name].add(0, node)
            lines[whole].level = True
            if same:
                del lines[whole]
        return [*lines.values(), _Line(SCRATCH, {0: [*self.joint]}, level=True)]

    def renewed(self) -> _Line:
        """Error against the number of new upper blocks; the smallest number is plain fine-tuning."""
        line = _Line(f"{self.percent:.3g} % of the data")
        own = [(point, node) for point, node in self.points if point.renewed]
        for point, node in own:
            line.add(point.renewed, node)
        first = min(line.nodes, default=1) - 1
        for point, node in self.points if own else ():
            if (point.side, point.start, point.tuning, point.renewed) == ("none", "keep", "", 0):
                line.add(first, node)
        return line


def depth_figures(experiment: Experiment, results: Sequence[Result], name: str) -> list[Figure]:
    """The figures of a study's depth sweeps, the most important first; [] if it has none.

    Args:
        experiment: with the study's trainings.
        results: the study's.
        name: of the first figure, and prefix of the others' names.
    """
    sweeps = _sweeps(results)
    if not sweeps:
        return []
    whole = sweeps[0]
    sides: list[tuple[str, ValueOf]] = [
        (experiment.dev_name, experiment.dev.get),
        (experiment.test_name, experiment.test.get),
    ]
    sides = [(title, value_of) for title, value_of in sides if _any(whole, value_of)]
    if not sides:
        return []
    arms = whole.arms()
    charts = [_chart(title, title, arms, value_of, whole.deepest) for title, value_of in sides]
    caption = (
        f"The depth sweep{_origin(whole)}, by number of frozen blocks. Lines: means over seeds. "
        "Bands: one standard deviation. Horizontal lines have no depth; their deviation is at the right."
    )
    costs = [(cost, of) for cost, of in _costs(experiment, whole) if _any(whole, of)]
    dear = (
        "Cost of the depth sweep's arms: means over the seeds. An epoch includes evaluation; memory "
        "is the peak of the process or the GPU."
    )
    figures = [
        Figure(name, caption, charts),
        Figure(f"{name}-cost", dear, [_chart("", cost, arms, of, whole.deepest) for cost, of in costs]),
    ]
    title, value_of = sides[-1]
    figures += _over_data(sweeps, title, value_of, f"{name}-data")
    renewed = [line for line in (sweep.renewed() for sweep in sweeps) if line.nodes]
    most = max((place for line in renewed for place in line.nodes), default=0)
    charts = [_chart("", title, renewed, value_of, most, "new upper blocks")] if renewed else []
    caption = (
        "Nothing frozen, by number of new upper blocks; all layers are trained. Means and one deviation."
    )
    figures.append(Figure(f"{name}-renewed", caption, charts))
    return [one for one in figures if one.charts]


def _sweeps(results: Sequence[Result]) -> list[_Sweep]:
    """By amount of data, the full set first."""
    points: dict[float, list[tuple[DepthSweepPoint, str]]] = {}
    joint: dict[float, list[str]] = {}
    for result in results:
        if result.search != "depth_sweep":
            continue
        joint.setdefault(100.0, []).append(result.steps[0].node)
        for step in result.steps:
            if not isinstance(step.point, DepthSweepPoint):
                continue
            if step.point.start == "scratch":
                joint.setdefault(step.point.percent, []).append(step.node)
            else:
                points.setdefault(step.point.percent, []).append((step.point, step.node))
    return [_Sweep(percent, points[percent], joint[percent]) for percent in sorted(points, reverse=True)]


def _over_data(sweeps: Sequence[_Sweep], title: str, value_of: ValueOf, name: str) -> list[Figure]:
    """One chart per arm with depths, one line per amount of data."""
    if len(sweeps) < 2:
        return []
    by_arm: dict[str, list[_Line]] = {}
    for sweep in sweeps:
        scratch, *_ = [line for line in sweep.arms() if line.name == SCRATCH]
        for line in sweep.arms():
            if not line.level:
                data = f"{sweep.percent:.3g} % of the data"
                by_arm.setdefault(line.name, []).append(replace(line, name=data))
                by_arm[line.name].append(replace(scratch, name=f"{SCRATCH}, {data}"))
    charts = [
        _chart(arm, title, lines, value_of, sweeps[0].deepest)
        for arm, lines in list(by_arm.items())[:_MOST_CHARTS]
    ]
    caption = "The depth sweep by amount of data, arm by arm. Means over the seeds and one deviation."
    return [Figure(name, caption, charts)]


def _costs(experiment: Experiment, sweep: _Sweep) -> list[tuple[str, ValueOf]]:
    """Name and value of each cost of a training."""
    trainings = experiment.trainings
    outcomes = {key: one.outcome for key, one in trainings.items() if one.outcome is not None}

    def metric(name: str, unit: float) -> ValueOf:
        known = {key: one.metrics[name] / unit for key, one in outcomes.items() if name in one.metrics}
        return known.get

    nodes = [*(node for _, node in sweep.points), *sweep.joint]
    sizes = [outcomes[node].metrics.get("trainable_parameters", 0) for node in nodes if node in outcomes]
    large = max(sizes, default=0) >= 1e6
    return [
        (
            f"trainable parameters ({'millions' if large else 'thousands'})",
            metric("trainable_parameters", 1e6 if large else 1e3),
        ),
        ("seconds per epoch", {key: one.seconds_per_epoch for key, one in outcomes.items()}.get),
        ("peak memory (MiB)", metric("peak_memory", 2**20)),
    ]


def _any(sweep: _Sweep, value_of: ValueOf) -> bool:
    return any(value_of(node) is not None for _, node in sweep.points)


def _origin(sweep: _Sweep) -> str:
    """The source of the layers, which is the same for all."""
    point, _ = sweep.points[0]
    source = f", from {point.source}" if point.source else ""
    return source + (f", {' '.join(point.fresh)} new" if point.fresh else "")


def _chart(
    title: str,
    y_name: str,
    lines: Sequence[_Line],
    value_of: ValueOf,
    deepest: int,
    x_name: str = "frozen blocks",
) -> Chart:
    series: list[Series] = []
    levels = 0
    for number, line in enumerate(lines):
        found = _summary(line, value_of)
        look = _LOOKS[number % len(_LOOKS)]
        if line.level and found:
            levels += 1
            series += _level(line.name, next(iter(found.values())), look, deepest, levels)
        elif found:
            series.append(_curve(line.name, found, look))
    ticks = [(float(place), str(place)) for place in range(deepest + 1)]
    return Chart(title, x_name, y_name, series, ticks)


def _summary(line: _Line, value_of: ValueOf) -> dict[int, tuple[float, float]]:
    """Place -> mean and standard deviation over the seeds."""
    found = {}
    for place, nodes in sorted(line.nodes.items()):
        values = [value for node in nodes if (value := value_of(node)) is not None]
        if values:
            found[place] = (statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
    return found


def _curve(name: str, found: dict[int, tuple[float, float]], look: int) -> Series:
    band = [(float(place), mean - spread, mean + spread) for place, (mean, spread) in found.items()]
    wide = any(spread for _, spread in found.values())
    points = [(float(place), mean) for place, (mean, _) in found.items()]
    return Series(name, points, look, line=len(points) > 1, ranges=band if wide else ())


def _level(name: str, value: tuple[float, float], look: int, deepest: int, number: int) -> list[Series]:
    mean, spread = value
    place = deepest + _ASIDE * number
    bar = [(place, mean - spread, mean + spread)] if spread else []
    return [
        Series(name, [(0.0, mean), (place, mean)], look, markers=False),
        Series("", [(place, mean)], look, line=False, ranges=bar),
    ]
