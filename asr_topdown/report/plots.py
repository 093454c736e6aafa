"""From numbers to PNG files. matplotlib is imported when something is drawn.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; every line also has its own dash
pattern or marker, so that greyscale prints are readable.
"""

import contextlib
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown.files import written_aside
from asr_topdown.report.figures import Figure as Charts
from asr_topdown.report.figures import Intervals, Series
from asr_topdown.report.tree import FROZEN, KEPT, Branch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"
# Colour, marker and dashes of a `figures.Series` by its look, as in `svg`.
LOOKS = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "--"),
    (GREEN, "D", ":"),
    (PINK, "v", "-."),
    (GREY, "^", "--"),
    ("#000000", "x", "-"),
    ("#56B4E9", "P", "-."),
    ("#E69F00", "p", ":"),
)
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
_COLUMNS = 4


@dataclass(frozen=True)
class TrainingPanel:
    """One training run: values by epoch, `best_epoch` marked (None while the run is not finished)."""

    title: str
    epochs: Sequence[int]
    train_loss: Sequence[float]
    dev_loss: Sequence[float]
    dev_error: Sequence[float]
    best_epoch: int | None


def plot_trainings(path: Path, panels: Sequence[TrainingPanel], *, error_name: str, loss_name: str) -> None:
    """Loss (logarithmic) and dev error over the epochs, two axes per run, all on the same scales."""
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with _drawing(path, 2 * rows, columns, width=2.4 * columns + 0.8, height=3.6 * rows + 0.5) as (
        figure,
        axes,
    ):
        for index in range(rows * columns):
            row, column = divmod(index, columns)
            loss, error = axes[2 * row][column], axes[2 * row + 1][column]
            if index >= len(panels):
                loss.set_visible(False)
                error.set_visible(False)
                continue
            panel = panels[index]
            loss.set_title(panel.title)
            loss.set_yscale("log")
            _draw(
                loss, panel, [("training", panel.train_loss, GREY, "--"), ("dev", panel.dev_loss, BLUE, "-")]
            )
            _draw(error, panel, [("", panel.dev_error, ORANGE, "-")])
            error.set_xlabel("epoch")
            if column == 0:
                loss.set_ylabel(loss_name)
                error.set_ylabel(error_name)
            for axis in (loss, error):
                axis.set_xlim(0, 1 + max(max(one.epochs, default=0) for one in panels))
        _same_scale([axis for row in axes[0::2] for axis in row])
        _same_scale([axis for row in axes[1::2] for axis in row])
        _plain_logarithms([axis for row in axes[0::2] for axis in row])
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


def plot_figure(path: Path, figure: Charts) -> None:
    """The charts of a figure, side by side, with one legend."""
    count = len(figure.charts)
    with _drawing(path, 1, count, width=4.6 * count + 0.6, height=4.6 if count == 1 else 4.0) as (
        drawing,
        axes,
    ):
        known = {}
        for axis, chart in zip(axes[0], figure.charts, strict=True):
            for series in chart.series:
                _draw_series(axis, series)
            if chart.log_x:
                axis.set_xscale("log")
                axis.minorticks_off()
            if chart.x_ticks:
                axis.set_xticks([place for place, _ in chart.x_ticks], [label for _, label in chart.x_ticks])
            if chart.title != chart.y_name:
                axis.set_title(chart.title)
            axis.set_xlabel(chart.x_name)
            axis.set_ylabel(chart.y_name)
            handles, labels = axis.get_legend_handles_labels()
            known.update(dict(zip(labels, handles, strict=True)))
        if known:
            drawing.legend(list(known.values()), list(known), loc="outside upper center", ncols=count)


def plot_intervals(path: Path, intervals: Intervals) -> None:
    """Differences with their intervals around a line at zero, one axes per baseline."""
    rows = max(len(found) for found in intervals.groups.values())
    count = len(intervals.groups)
    with _drawing(path, 1, count, width=4.8 * count + 1.2, height=0.28 * rows + 1.4) as (_, axes):
        for axis, (title, found) in zip(axes[0], intervals.groups.items(), strict=True):
            for place, (_, one) in enumerate(found):
                if one.interval is not None:
                    axis.plot(one.interval, [place, place], "-|", color=BLUE, linewidth=1.5)
                face = BLUE if one.beyond_chance else "white"
                axis.plot([one.difference], [place], "o", color=BLUE, markerfacecolor=face, markersize=6)
            axis.axvline(0, color="black", linewidth=1)
            axis.set_xlim(-1.08 * intervals.reach(), 1.08 * intervals.reach())
            axis.set_yticks(range(len(found)), [textwrap.fill(system, 28) for system, _ in found])
            axis.set_ylim(len(found) - 0.5, -0.5)
            axis.set_title(title)
            axis.set_xlabel(intervals.x_name)


def plot_tree(path: Path, roots: Sequence[Branch], *, dev_name: str, test_name: str) -> None:
    """One line per training: its place in the tree, its layers (filled = frozen), its errors."""
    lines = [(depth, branch, _branch_label(depth, branch)) for root in roots for depth, branch in root.walk()]
    layers = max((len(branch.cells) for _, branch, _ in lines), default=0)
    # Where the cells begin, in the axis' units of some 0.4 inches, in which a letter takes 0.19.
    left = max([14.0, *(depth + 0.19 * len(label) + 0.5 for depth, _, label in lines)])
    right = left + max(0.5 * layers, 2.2)  # of them, or of their heading
    dev, test = right + 1.5, right + 4
    width = 0.4 * (test + 0.6)
    with _drawing(path, 1, 1, width=width, height=0.26 * len(lines) + 0.7) as (_, axes):
        axis = axes[0][0]
        last: dict[int, int] = {}
        for place, (depth, branch, label) in enumerate(lines):
            if depth:
                across, down = [depth - 0.8] * 2 + [depth - 0.15], [last[depth - 1] + 0.3, place, place]
                axis.plot(across, down, color=GREY, linewidth=0.8)
            last[depth] = place
            axis.text(depth, place, label, va="center", parse_math=False)
            for number, (_, done) in enumerate(branch.cells):
                _draw_cell(axis, left + 0.5 * number, place, done)
            for x, value in ((dev, branch.dev), (test, branch.test)):
                axis.text(x, place, "–" if value is None else f"{value:.2f}", va="center", ha="right")
        for x, name in ((dev, dev_name), (test, test_name)):
            axis.text(x, -1, name, va="center", ha="right", parse_math=False)
        axis.text(left - 0.25, -1, "input … output", va="center", fontsize=7)
        axis.set_xlim(-0.3, test + 0.3)
        axis.set_ylim(len(lines) - 0.4, -1.6)
        axis.set_axis_off()


def _branch_label(depth: int, branch: Branch) -> str:
    """What a training was for, and the cascade that led to it; in words only if nothing else says it."""
    role = branch.role.partition("; ")[0]
    label = role or branch.id
    if not depth:
        label += f", seed {branch.seed}"
    if branch.is_cascade or not role:
        label += f": {textwrap.shorten(branch.schedule, 60 - 4 * depth)}"
    return label + {"final": " ★", "not taken": " ×"}.get(branch.taken, "")


def plot_heat_map(
    path: Path,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    x_name: str,
    y_name: str,
) -> None:
    """Values from 0 to 1, the higher the darker, each written in its cell; the first row is the lowest."""
    width, height = 0.62 * len(columns) + 2.0, 0.42 * len(rows) + 1.6
    with _drawing(path, 1, 1, width=width, height=height) as (_, axes):
        axis = axes[0][0]
        axis.imshow(values, origin="lower", aspect="auto", cmap="Blues", vmin=0, vmax=1)
        for row, own in enumerate(values):
            for column, value in enumerate(own):
                shown = f"{value:.2f}" if math.isfinite(value) else "–"
                colour = "white" if value > 0.6 else "black"
                axis.text(column, row, shown, ha="center", va="center", color=colour, fontsize=7)
        axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axis.set_yticks(range(len(rows)), rows)
        axis.grid(visible=False)
        axis.set_xlabel(x_name, parse_math=False)
        axis.set_ylabel(y_name, parse_math=False)


def _draw_cell(axis: "Axes", x: float, y: float, done: str) -> None:
    from matplotlib.patches import Rectangle

    face = BLUE if done == FROZEN else "none"
    axis.add_patch(
        Rectangle((x - 0.22, y - 0.34), 0.44, 0.68, facecolor=face, edgecolor="black", linewidth=0.7)
    )
    if done == KEPT:
        axis.plot([x], [y], ".", color="black", markersize=4)


def _draw_series(axis: "Axes", series: Series) -> None:
    colour, marker, dashes = LOOKS[series.look]
    if series.ranges:
        places, low, high = (list(column) for column in zip(*series.ranges, strict=True))
        if series.line:
            axis.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
        else:
            for place, *ends in series.ranges:
                axis.plot([place, place], ends, color=colour, marker="_", linewidth=1.5)
    x, y = zip(*series.points, strict=True)
    axis.plot(
        x,
        y,
        color=colour,
        linestyle=dashes if series.line else "none",
        marker=marker if series.markers else "none",
        markersize=3 if series.faint else 5.5,
        linewidth=0.7 if series.faint else 2.2,
        alpha=0.5 if series.faint else 1.0,
        label=series.name or None,
    )


def _draw(
    axis: "Axes", panel: TrainingPanel, curves: Sequence[tuple[str, Sequence[float], str, str]]
) -> None:
    for name, values, colour, dashes in curves:
        if len(values) != len(panel.epochs):
            continue  # not measured by this run
        axis.plot(panel.epochs, values, color=colour, linestyle=dashes, linewidth=1.3, label=name or None)
        if panel.best_epoch is not None and panel.best_epoch in panel.epochs:
            best = values[list(panel.epochs).index(panel.best_epoch)]
            axis.plot([panel.best_epoch], [best], "o", color=colour, markersize=4)
    if panel.best_epoch is not None:
        axis.axvline(panel.best_epoch, color="black", linestyle=":", linewidth=1, label="best epoch")


@contextlib.contextmanager
def _drawing(
    path: Path, rows: int, columns: int, *, width: float, height: float
) -> Iterator[tuple["Figure", Any]]:
    """A figure (size in inches) with `rows` x `columns` axes, saved if the block ends without an error."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False)
        with written_aside(path) as aside:
            figure.savefig(aside, format="png")


def _same_scale(axes: Sequence["Axes"]) -> None:
    """One range for all, from the values drawn, so that each of the axes stays readable."""
    limits = [axis.get_ylim() for axis in axes if axis.get_visible() and axis.lines]
    if limits:
        for axis in axes:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _plain_logarithms(axes: Sequence["Axes"]) -> None:
    """Label a logarithmic axis 20, 50, 100 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis in axes:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
