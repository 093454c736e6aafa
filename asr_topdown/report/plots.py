"""From numbers to PNG files. matplotlib is imported when something is drawn.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; every line also has a dash pattern or
marker of its own, so that a grey print can be read.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown.files import written_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"
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


@dataclass(frozen=True)
class Line:
    """A search: for every seed the error (in percent) of its model after 0, 1, ... retrainings.

    `rejected` are (retrainings, error) of the trainings that the searches did not go on from.
    """

    name: str
    by_seed: Mapping[int, Sequence[float]]
    rejected: Sequence[tuple[int, float]] = ()


@dataclass(frozen=True)
class Point:
    """A control of one retraining: its error (in percent) for every seed."""

    name: str
    values: Sequence[float]


def plot_trainings(path: Path, panels: Sequence[TrainingPanel], *, error_name: str, loss_name: str) -> None:
    """Loss (logarithmic) and dev error over the epochs, two axes for each run, all on the same scales."""
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


def plot_cascade(
    path: Path, sides: Sequence[tuple[str, Sequence[Line], Sequence[Point]]], *, steps: Sequence[str]
) -> None:
    """Error by step of the top-down search against the controls, one axes per side (dev, test).

    Args:
        path: of the PNG.
        sides: (title of the y axis, searches, controls of one retraining).
        steps: what 0, 1, 2, ... retrainings are called under the x axis.
    """
    looks = [(BLUE, "o", "-"), (ORANGE, "s", "--"), (GREY, "^", ":")]
    point_looks = [(GREEN, "D"), (PINK, "v"), (GREY, "^")]
    with _drawing(
        path, 1, len(sides), width=4.6 * len(sides) + 0.6, height=4.6 if len(sides) == 1 else 4.0
    ) as (figure, axes):
        for axis, (title, lines, points) in zip(axes[0], sides, strict=True):
            for line, (colour, marker, dashes) in zip(lines, looks, strict=False):
                _draw_line(axis, line, colour, marker, dashes, len(steps))
            for number, (point, (colour, marker)) in enumerate(zip(points, point_looks, strict=False)):
                _draw_point(axis, point, 1.1 + 0.1 * number, colour, marker)
            axis.set_xticks(range(len(steps)), steps)
            axis.set_xlim(-0.25, max(len(steps) - 1, 1.2) + 0.25)
            axis.set_xlabel("retrainings; layer frozen in addition")
            axis.set_ylabel(title)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(sides))


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


def _draw_line(axis: "Axes", line: Line, colour: str, marker: str, dashes: str, count: int) -> None:
    carried = {
        seed: [*errors, *[errors[-1]] * (count - len(errors))] for seed, errors in line.by_seed.items()
    }
    if len(carried) > 1:
        for errors in line.by_seed.values():
            axis.plot(range(len(errors)), errors, color=colour, linestyle=dashes, linewidth=0.7, alpha=0.5)
    mean = [sum(column) / len(carried) for column in zip(*carried.values(), strict=True)]
    name = line.name if len(carried) == 1 else f"{line.name}: mean of {len(carried)} seeds"
    axis.plot(
        range(count),
        mean,
        color=colour,
        linestyle=dashes,
        marker=marker,
        markersize=5,
        linewidth=2.4,
        label=name,
    )
    if line.rejected:
        x, y = zip(*line.rejected, strict=True)
        axis.plot(x, y, "x", color=colour, markersize=4, alpha=0.6, label=f"{line.name}: not taken")


def _draw_point(axis: "Axes", point: Point, x: float, colour: str, marker: str) -> None:
    mean = sum(point.values) / len(point.values)
    axis.plot([x] * len(point.values), point.values, marker, color=colour, markersize=3, alpha=0.5)
    axis.plot([x], [mean], marker, color=colour, markersize=8, label=point.name)


@contextlib.contextmanager
def _drawing(
    path: Path, rows: int, columns: int, *, width: float, height: float
) -> Iterator[tuple["Figure", Any]]:
    """A figure (size in inches) with `rows` x `columns` axes; saved when the block ends well."""
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
    """One range for all, from the values that are drawn; the axes stay readable one by one."""
    limits = [axis.get_ylim() for axis in axes if axis.get_visible() and axis.lines]
    if limits:
        for axis in axes:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _plain_logarithms(axes: Sequence["Axes"]) -> None:
    """Write 20, 50, 100 on a logarithmic axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for axis in axes:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
