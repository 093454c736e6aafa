"""The report as one self-contained page, with its styles, script and data.

Its script (`assets/report.js`) draws the learning curves of a training on click, from the epochs'
records, which are in the page as JSON. Everything else works without it. Every text is escaped.
"""

import importlib.resources
import json
import re
import string
from collections.abc import Collection, Sequence
from html import escape
from typing import Any

from asr_topdown.progress import duration
from asr_topdown.report import svg
from asr_topdown.report.document import (
    Code,
    Commands,
    Curves,
    Example,
    Examples,
    Heading,
    Notes,
    Part,
    Terms,
    Text,
    Tree,
)
from asr_topdown.report.figures import Figure, Intervals
from asr_topdown.report.records import Experiment
from asr_topdown.report.table import Table
from asr_topdown.report.tree import FRESH, FROZEN, KEPT, Branch
from asr_topdown.report.words import number

_MARKS = {"final": "★ chosen", "taken": "taken", "not taken": "× not taken"}
_LEGEND = f"""<p class="legend-of-strips">Layers, input to output:
<svg class="strip" viewBox="0 0 14 18" aria-hidden="true"><rect class="cell frozen" x="1" y="1" width="12" height="16"/></svg> {FROZEN}
<svg class="strip" viewBox="0 0 14 18" aria-hidden="true"><rect class="cell" x="1" y="1" width="12" height="16"/></svg> {FRESH}
<svg class="strip" viewBox="0 0 14 18" aria-hidden="true"><rect class="cell" x="1" y="1" width="12" height="16"/><circle class="dot" cx="7" cy="9" r="2.5"/></svg> {KEPT} from the parent's
<button type="button" class="all" hidden>show all learning curves</button></p>"""  # fmt: skip  # noqa: E501


def page(experiment: Experiment, parts: Sequence[Part]) -> str:
    """The whole page."""
    sections = [part for part in parts if isinstance(part, Heading) and part.level == 2]
    contents = "".join(
        f'<li><a href="#{escape(one.anchor)}">{_inline(one.text)}</a></li>' for one in sections
    )
    shown: set[str] = set()
    body = "\n".join(_part(experiment, part, shown) for part in parts)
    return string.Template(_asset("report.html")).substitute(
        title=escape(f"{experiment.name}: report"),
        style=_asset("report.css"),
        contents=contents,
        body=body,
        data=_embedded(_data(experiment, shown)),
        script=_asset("report.js"),
    )


def _asset(name: str) -> str:
    return importlib.resources.files("asr_topdown.report").joinpath("assets", name).read_text("utf-8")


def _part(experiment: Experiment, part: Part, shown: set[str]) -> str:
    match part:
        case Heading(level, text, anchor):
            return f'<h{level} id="{escape(anchor)}">{_inline(text)}</h{level}>'
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Notes(title, lines):
            items = "".join(f"<li>{_inline(line)}</li>" for line in lines)
            return f'<aside class="notes"><h2>{escape(title)}</h2><ul>{items}</ul></aside>'
        case Terms() | Examples():
            return _definitions(part)
        case Table():
            return _table(part)
        case Figure() | Intervals():
            return _figure(part)
        case Tree():
            return _tree(part, shown)
        case Commands() | Code():
            return _verbatim(part)
        case Curves():
            return ""  # in the tree, on click


def _verbatim(part: Commands | Code) -> str:
    if isinstance(part, Code):
        text = f"<pre><code>{escape(part.text)}</code></pre>"
        return f"<details><summary>{escape(part.title)}</summary>{text}</details>"
    lines = "\n".join(command.line() for command in part.commands)
    return f"<pre><code>{escape(lines)}</code></pre>" if lines else "<p>None was recorded.</p>"


def _definitions(part: Terms | Examples) -> str:
    if isinstance(part, Examples):
        return "".join(map(_example, part.examples))
    items = "".join(f"<dt>{escape(term)}</dt><dd>{_inline(meaning)}</dd>" for term, meaning in part.terms)
    return f'<dl class="terms">{items}</dl>'


def _example(one: Example) -> str:
    lines = []
    for title, words in one.lines:
        said = " ".join(escape(word) if right else f"<mark>{escape(word)}</mark>" for word, right in words)
        lines.append(f"<dt>{escape(title)}</dt><dd>{said}</dd>")
    name = f"<figcaption><code>{escape(one.utterance)}</code></figcaption>"
    return f'<figure class="example">{name}<dl>{"".join(lines)}</dl></figure>'


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_flush(table, column)}>{escape(name)}</th>'
        for column, name in enumerate(table.header)
    )
    rows = []
    for row in table.rows:
        cells = []
        for column, cell in enumerate(row):
            # A difference is long: its interval, p and seeds may be below each other.
            text = escape(cell).replace("], ", "],<br>").replace("), better", "),<br>better")
            text = f"<code>{text}</code>" if column in table.code else text
            tag = 'th scope="row"' if column == 0 else "td"
            cells.append(f"<{tag}{_flush(table, column)}>{text}</{tag.split()[0]}>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    name = escape(table.name)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="table {name}"><table id="table-{name}">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _flush(table: Table, column: int) -> str:
    return ' class="words"' if column in table.words else ""


def _figure(part: Figure | Intervals) -> str:
    drawn = svg.figure(part) if isinstance(part, Figure) else svg.intervals(part)
    caption = f"<figcaption>{escape(part.caption)}</figcaption>"
    return f'<figure id="figure-{escape(part.name)}">{drawn}{caption}</figure>'


def _tree(part: Tree, shown: set[str]) -> str:
    """The trees as nested lists; a node already in an earlier tree is shown only there."""
    items = "".join(_branch(part, root, shown, root=True) for root in part.roots)
    return f'{_LEGEND}<ul class="tree" id="{escape(part.name)}">{items}</ul>' if items else ""


def _branch(tree: Tree, branch: Branch, shown: set[str], *, root: bool = False) -> str:
    children = "".join(_branch(tree, child, shown) for child in branch.children)
    below = f'<ul class="below">{children}</ul>' if children else ""
    title = branch.role or f"training {branch.id}"
    title += f", seed {branch.seed}" if root else ""
    if branch.id in shown:
        return f'<li><p class="row">{escape(title)}: <a href="#n-{branch.id}">see above</a></p>{below}</li>'
    shown.add(branch.id)
    outcome = branch.training.outcome
    mark = f'<span class="mark {branch.taken.replace(" ", "-")}">{_MARKS[branch.taken]}</span>' if branch.taken else ""  # fmt: skip  # noqa: E501
    time = duration(outcome.seconds) if outcome else "not finished"
    epochs = (
        f"{outcome.best_epoch} of {outcome.epochs}" if outcome else str(len(branch.training.curve.epochs))
    )
    numbers = [
        (tree.dev_name, number(branch.dev)),
        (tree.test_name, number(branch.test)),
        ("best epoch" if outcome else "epochs", epochs),
        ("time", time),
    ]
    values = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in numbers)
    return (
        f'<li id="n-{branch.id}" data-node="{branch.id}"><div class="row">'
        f'<button type="button" class="node" aria-expanded="false" aria-controls="c-{branch.id}">'
        f'<span class="title">{escape(title)}</span> <span class="schedule">{escape(branch.schedule)}</span>'
        f"</button>{mark}{_strip(branch)}<dl>{values}</dl></div>"
        f'<div class="curves" id="c-{branch.id}" hidden></div>{below}</li>'
    )


def _strip(branch: Branch) -> str:
    """One cell per layer: filled = frozen, empty = new weights, dotted = trained on from the parent's."""
    if not branch.cells:
        return ""
    cells = []
    for place, (name, done) in enumerate(branch.cells):
        x = 1 + 14 * place
        frozen = " frozen" if done == FROZEN else ""
        dot = f'<circle class="dot" cx="{x + 6}" cy="9" r="2.5"/>' if done == KEPT else ""
        title = f"<title>{escape(name)}: {done}</title>"
        cells.append(f'<g>{title}<rect class="cell{frozen}" x="{x}" y="1" width="12" height="16"/>{dot}</g>')
    width = 14 * len(branch.cells)
    label = "; ".join(f"{name} {done}" for name, done in branch.cells)
    return (
        f'<svg class="strip" viewBox="0 0 {width} 18" style="width:{width}px" role="img" '
        f'aria-label="{escape(label)}">{"".join(cells)}</svg>'
    )


def _data(experiment: Experiment, shown: Collection[str]) -> dict[str, Any]:
    """The data that the page's script draws: the epochs of each training in the trees."""
    nodes = {}
    for key in sorted(shown):
        curve, outcome = experiment.trainings[key].curve, experiment.trainings[key].outcome
        kind = experiment.kind_of(key)
        error = [kind.shown_metric(value) for value in curve.dev.get(kind.curve_metric, ())]
        nodes[key] = {
            "epochs": curve.epochs,
            "train": _rounded(curve.train_loss),
            "loss": _rounded(curve.dev.get("loss", ())),
            "error": _rounded(error),
            "best": outcome.best_epoch if outcome else None,
        }
    error_name, loss_name = experiment.curve_names(nodes)
    return {"loss": loss_name, "error": error_name, "nodes": nodes}


def _rounded(values: Sequence[float]) -> list[float | None]:
    """Five digits suffice for a curve; a non-finite value leaves a gap."""
    return [float(f"{value:.5g}") if abs(value) < 1e300 else None for value in values]


def _embedded(data: Any) -> str:
    """JSON that cannot end the script element around it."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _inline(text: str) -> str:
    """Escape text, with `names` as code and *words* emphasised."""
    marked = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
    return re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<em>\1</em>", marked)
