"""Figures as SVG for the page. Colours, light and dark, are the style sheet's (`assets/report.css`): a series
has a class c0 ... c7. Each also has its own marker and dash pattern, for readers who do not see colours.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from asr_topdown.report.compare import Comparison
from asr_topdown.report.figures import Chart, Figure, Intervals, Series

DASHES = ("", "7 4", "2 3", "8 3 2 3", "4 2", "", "8 3 2 3", "2 3")
_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 26, 66
_LINE, _PAIR, _NARROW = 13, 32, 360
# Corners of the markers, by look; a circle and a cross are none of these.
_SHAPES = {
    1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    2: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    3: ((-1.2, -1), (1.2, -1), (0, 1.2)),
    4: ((-1.2, 1), (1.2, 1), (0, -1.2)),
    6: (
        *((-0.4, -1.3), (0.4, -1.3), (0.4, -0.4), (1.3, -0.4), (1.3, 0.4), (0.4, 0.4)),
        *((0.4, 1.3), (-0.4, 1.3), (-0.4, 0.4), (-1.3, 0.4), (-1.3, -0.4), (-0.4, -0.4)),
    ),
    7: ((0, -1.3), (1.2, -0.4), (0.8, 1.1), (-0.8, 1.1), (-1.2, -0.4)),
}


def tag(name: str, content: str = "", **attributes: object) -> str:
    """An element; `content` is already markup, the attributes' values are not. `class_` is "class"."""
    pairs = ((key.strip("_").replace("_", "-"), value) for key, value in attributes.items())
    inside = "".join(f' {key}="{escape(_number(value))}"' for key, value in pairs if value != "")
    return f"<{name}{inside}>{content}</{name}>"


def figure(one: Figure) -> str:
    """The charts of a figure, each a separate SVG, with the shared legend below."""
    charts = "".join(_chart(chart, f"{one.name}-{number}") for number, chart in enumerate(one.charts))
    series = {each.name: each for chart in one.charts for each in chart.series if each.name}
    items = [tag("li", _key(each) + escape(each.name)) for each in series.values()]
    return tag("div", charts, class_="charts") + (tag("ul", "".join(items), class_="legend") if items else "")


def intervals(one: Intervals) -> str:
    """One chart per baseline: differences around a line at zero, below the systems' names."""
    charts = (
        _forest(one, title, found, f"{one.name}-{number}")
        for number, (title, found) in enumerate(one.groups.items())
    )
    return tag("div", "".join(charts), class_="charts")


def _forest(one: Intervals, title: str, found: Sequence[tuple[str, Comparison]], name: str) -> str:
    bottom = 22 + _PAIR * len(found)
    reach = one.reach() * 1.08
    x = _linear(-reach, reach, 8, _NARROW - 8)
    parts = [_line("zero", (x(0), 20), (x(0), bottom)), _text(title, 0, 14, "strong")]
    y = 16.0
    for system, difference in found:
        y += _PAIR
        parts.append(_text(_shortened(system), 0, y - 16, "halo"))
        parts.append(_interval(difference, x, y - 7))
    parts.append(_x_axis([(tick, _plain(tick)) for tick in ticks(-reach, reach, 5)], x, bottom))
    parts.append(_text(one.x_name, _NARROW / 2, bottom + 34, "middle"))
    return _svg(name, f"{one.x_name} {title}", _NARROW, bottom + 40, "".join(parts))


def _interval(one: Comparison, x: Callable[[float], float], y: float) -> str:
    filled = "filled" if one.beyond_chance else "open"
    mark = tag("circle", class_=f"m c0 {filled}", cx=x(one.difference), cy=y, r=4.5)
    if one.interval is None:
        return mark
    low, high = map(x, one.interval)
    ends = "".join(_line("s c0", (end, y - 4), (end, y + 4)) for end in (low, high))
    return _line("s c0", (low, y), (high, y)) + ends + mark


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them."""
    raw = (high - low) / max(count, 1)
    if not raw > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _chart(chart: Chart, name: str) -> str:
    points = chart.points()
    x_low, x_high = _x_range(chart, [x for x, _ in points])
    y_low, y_high = _padded([y for _, y in points], 0.06)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    x = (_logarithmic if chart.log_x else _linear)(x_low, x_high, _LEFT, right)
    y = _linear(y_low, y_high, bottom, _TOP)
    parts = [_text(chart.title, _LEFT, 15, "strong")]
    for tick in ticks(y_low, y_high):
        parts.append(_line("grid", (_LEFT, y(tick)), (right, y(tick))))
        parts.append(_text(_plain(tick), _LEFT - 6, y(tick) + 4, "end"))
    parts.append(
        _x_axis(chart.x_ticks or [(tick, _plain(tick)) for tick in ticks(x_low, x_high, 7)], x, bottom)
    )
    parts += [_series(series, x, y) for series in chart.series]
    upright = f"translate(12 {(_TOP + bottom) / 2:.0f}) rotate(-90)"
    parts.append(tag("text", escape(chart.y_name), class_="middle", transform=upright))
    parts.append(_text(chart.x_name, (_LEFT + right) / 2, _HEIGHT - 4, "middle"))
    return _svg(name, f"{chart.y_name} by {chart.x_name}", _WIDTH, _HEIGHT, "".join(parts))


def _x_axis(labels: Sequence[tuple[float, str]], x: Callable[[float], float], bottom: float) -> str:
    parts = []
    for place, label in labels:
        parts.append(_line("axis", (x(place), bottom), (x(place), bottom + 4)))
        for number, line in enumerate(label.split("\n")):
            parts.append(_text(line, x(place), bottom + 16 + _LINE * number, "middle"))
    return "".join(parts)


def _series(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    pale = " faint" if series.faint else ""
    places = [(x(a), y(b)) for a, b in series.points]
    parts = _ranges(series, x, y)
    if series.line and len(places) > 1:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        dashes = DASHES[series.look]
        parts.append(tag("polyline", class_=f"s c{series.look}{pale}", points=path, stroke_dasharray=dashes))
    if series.markers:
        parts += [_marker(series.look, a, b, 2.8 if series.faint else 4.2, pale) for a, b in places]
    return "".join(parts)


def _ranges(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """A band along a line, or an error bar for each point."""
    spans = [(x(place), y(low), y(high)) for place, low, high in series.ranges]
    if series.line and spans:
        edge = [(a, low) for a, low, _ in spans] + [(a, high) for a, _, high in reversed(spans)]
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in edge)
        return [tag("polygon", class_=f"m c{series.look} band", points=corners)]
    kind = f"s c{series.look}"
    bars = [_line(kind, (a, low), (a, high)) for a, low, high in spans]
    return bars + [_line(kind, (a - 4, end), (a + 4, end)) for a, *ends in spans for end in ends]


def _key(series: Series) -> str:
    line = _line(f"s c{series.look}", (1, 6), (35, 6), stroke_dasharray=DASHES[series.look])
    marker = _marker(series.look, 18, 6, 4, "") if series.markers else ""
    shown = (line if series.line else "") + marker
    return tag("svg", shown, viewBox="0 0 36 12", class_="key", aria_hidden="true")


def _marker(look: int, x: float, y: float, r: float, pale: str) -> str:
    if look == 0:
        return tag("circle", class_=f"m c0{pale}", cx=x, cy=y, r=r)
    if look in _SHAPES:
        corners = " ".join(f"{x + r * a:.1f},{y + r * b:.1f}" for a, b in _SHAPES[look])
        return tag("polygon", class_=f"m c{look}{pale}", points=corners)
    ends = [(x - r, y - r, x + r, y + r), (x - r, y + r, x + r, y - r)]
    path = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for a, b, c, d in ends)
    return tag("path", class_=f"s c{look}{pale}", d=path)


def _text(text: str, x: float, y: float, kind: str = "") -> str:
    return tag("text", escape(text), class_=kind, x=x, y=y)


def _line(kind: str, start: tuple[float, float], end: tuple[float, float], **attributes: str) -> str:
    return tag("line", class_=kind, x1=start[0], y1=start[1], x2=end[0], y2=end[1], **attributes)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def _svg(name: str, title: str, width: float, height: float, content: str) -> str:
    label = f"svg-{name}"
    inside = tag("title", escape(title), id=label) + content
    box = f"0 0 {width:.0f} {height:.0f}"
    return tag("svg", inside, class_="chart", viewBox=box, role="img", aria_labelledby=label)


def _x_range(chart: Chart, values: Sequence[float]) -> tuple[float, float]:
    values = [*values, *(place for place, _ in chart.x_ticks or ())]
    if chart.log_x:
        return min(values) / 1.15, max(values) * 1.15
    return _padded(values, 0.05)


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = share * (high - low) or abs(high) * share or 1.0
    return low - room, high + room


def _linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    along = _linear(math.log(low), math.log(high), start, end)
    return lambda value: along(math.log(value))


def _plain(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def _shortened(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
