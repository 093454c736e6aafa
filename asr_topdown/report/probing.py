"""What probes and comparisons of layers found: tables, JSON, CSV and figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_topdown.files import remove_leftovers, write_json, write_text
from asr_topdown.probing.cross_validation import Fold
from asr_topdown.report.figures import Chart, Figure, Series
from asr_topdown.report.plots import plot_figure, plot_heat_map
from asr_topdown.report.table import Table, Value
from asr_topdown.report.words import NOTHING, deviation, mean, number


@dataclass(frozen=True)
class Probed:
    """How well labels can be read from each layer.

    Attributes:
        settings: model, data, labels, folds …: plain values for the JSON file.
        title: of the chart.
        sizes: layer -> numbers in an utterance's vector, input first.
        folds: layer -> what was found, fold by fold.
        chance: of always saying the most frequent label, fold by fold.
    """

    settings: Mapping[str, Any]
    title: str
    sizes: Mapping[str, int]
    folds: Mapping[str, Sequence[Fold]]
    chance: Sequence[float]


def probe_table(probed: Probed) -> Table:
    """A row for each layer: mean accuracy, its deviation over the folds, chance."""
    guess = _percent(probed.chance)
    rows, values = [], []
    for layer, folds in probed.folds.items():
        accuracy = [100 * one.accuracy for one in folds]
        spread = deviation(accuracy)
        penalties = [one.penalty for one in folds]
        between = f"{max(penalties):g}" + (f" … {min(penalties):g}" if len({*penalties}) > 1 else "")
        size = probed.sizes[layer]
        rows.append([layer, str(size), number(mean(accuracy)), number(spread), number(guess), between])
        row: dict[str, Value] = {"layer": layer, "size": size, "accuracy": mean(accuracy)}
        row |= {"deviation": spread, "chance": guess}
        values.append(row | {f"fold{place}": value for place, value in enumerate(accuracy)})
    header = ("layer", "size", "accuracy %", "± over folds", "chance %", "penalty")
    return Table("probe", header, rows, values=values)


def write_probe(probed: Probed, folder: Path) -> Table:
    """Write probe.json, probe.csv and probe.png to `folder`; returns the table."""
    table = probe_table(probed)
    layers = [
        {"layer": name, "size": probed.sizes[name], "folds": [one._asdict() for one in folds]}
        for name, folds in probed.folds.items()
    ]
    remove_leftovers(folder)
    write_json(folder / "probe.json", {**probed.settings, "chance": list(probed.chance), "layers": layers})
    write_text(folder / "probe.csv", table.csv(), readers=True)
    plot_figure(folder / "probe.png", _figure(probed))
    return table


def _figure(probed: Probed) -> Figure:
    names = list(probed.folds)
    accuracy = [[100 * one.accuracy for one in probed.folds[name]] for name in names]
    means = [mean(own) or 0.0 for own in accuracy]
    spreads = [deviation(own) or 0.0 for own in accuracy]
    places = range(len(names))
    ranges = [(x, y - sd, y + sd) for x, y, sd in zip(places, means, spreads, strict=True)]
    guess = _percent(probed.chance)
    series = [
        Series("chance", [(-0.3, guess), (len(names) - 0.7, guess)], look=4, markers=False),
        Series("logistic regression", list(zip(places, means, strict=True)), look=0, ranges=ranges),
    ]
    chart = Chart(probed.title, "layer", "accuracy %", series, x_ticks=list(enumerate(names)))
    return Figure("probe", "Accuracy by layer: means over the folds, bands of one deviation.", [chart])


def cka_table(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]]) -> Table:
    """A row for each layer of the first network, a column for each of the second."""
    cells = [[name, *map(_cka, own)] for name, own in zip(rows, values, strict=True)]
    plain: list[dict[str, Value]] = [
        {"layer": name, **{other: _finite(value) for other, value in zip(columns, own, strict=True)}}
        for name, own in zip(rows, values, strict=True)
    ]
    return Table("cka", ("", *columns), cells, values=plain)


def write_cka(
    settings: Mapping[str, Any],
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    folder: Path,
    names: tuple[str, str],
) -> Table:
    """Write cka.json, cka.csv and cka.png to `folder`; `names` are the networks'. Returns the table."""
    table = cka_table(rows, columns, values)
    plain = [[_finite(value) for value in own] for own in values]
    remove_leftovers(folder)
    write_json(folder / "cka.json", {**settings, "rows": [*rows], "columns": [*columns], "cka": plain})
    write_text(folder / "cka.csv", table.csv(), readers=True)
    plot_heat_map(folder / "cka.png", rows, columns, values, x_name=names[1], y_name=names[0])
    return table


def _cka(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else NOTHING


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(values: Sequence[float]) -> float:
    return 100 * sum(values) / len(values)
