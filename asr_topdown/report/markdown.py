"""The report as Markdown with PNG plots, and its tables as CSV; every text is escaped."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from asr_topdown.files import read_text, write_text
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
from asr_topdown.report.plots import (
    TrainingPanel,
    plot_figure,
    plot_intervals,
    plot_trainings,
    plot_tree,
)
from asr_topdown.report.records import Experiment
from asr_topdown.report.table import Table
from asr_topdown.runs.journal import Command

# More than these take minutes to draw and are unreadable; the page has them all.
_MOST_PANELS, _MOST_LINES = 12, 40
_LINKED = re.compile(r"^!?\[.*\]\(([^/()]+\.(?:png|csv))\)$", re.MULTILINE)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$#])")


def write(experiment: Experiment, parts: Sequence[Part], folder: Path) -> None:
    """Write report.md, its plots and its tables to `folder`; those of an earlier report.md alone go."""
    text = "\n".join(one for part in parts if (one := _part(experiment, part, folder)))
    page = folder / "report.md"
    with contextlib.suppress(FileNotFoundError, ValueError):  # none, or edited
        for name in set(_LINKED.findall(read_text(page))).difference(_LINKED.findall(text)):
            (folder / name).unlink(missing_ok=True)
    write_text(page, text, readers=True)


def table(one: Table) -> str:
    """A table in GitHub's Markdown."""
    rules = [":--" if column in one.words else "--:" for column in range(len(one.header))]
    rows = [[_cell(one, column, cell) for column, cell in enumerate(row)] for row in one.rows]
    lines = [[literal(name) for name in one.header], rules, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def literal(text: str) -> str:
    """Escape `text` for Markdown, in one line."""
    return _escaped(text).strip()


def _cell(one: Table, column: int, cell: str) -> str:
    return f"`{cell}`" if column in one.code else literal(cell)


def _inline(text: str) -> str:
    """Escape text, except the marks of `names` and *words*."""
    pieces = re.split(r"(`[^`]*`|(?<![\w*])\*[^*\s][^*]*\*(?![\w*]))", text)
    return "".join(piece if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def _part(experiment: Experiment, part: Part, folder: Path) -> str:
    match part:
        case Heading(level, text, _):
            return f"{'#' * level} {_inline(text)}\n"
        case Text(text):
            return f"{_inline(text)}\n"
        case Notes(title, lines):
            return f"**{literal(title)}:**\n\n" + "".join(f"- {_inline(line)}\n" for line in lines)
        case Terms() | Examples():
            return _definitions(part)
        case Table():
            path = folder / f"{part.name}.csv"
            write_text(path, part.csv(), readers=True)
            return f"{table(part)}\n[`{path.name}`]({path.name})\n"
        case Figure() | Intervals():
            return _figure(part, folder)
        case Tree():
            return _tree(part, folder)
        case Curves():
            return _curves(experiment, part, folder)
        case Commands() | Code():
            return _commands(part.commands) if isinstance(part, Commands) else ""  # nodes/*/config.yaml


def _definitions(part: Terms | Examples) -> str:
    if isinstance(part, Examples):
        return "".join(map(_example, part.examples))
    return "".join(f"- **{literal(term)}**: {_inline(meaning)}\n" for term, meaning in part.terms)


def _example(one: Example) -> str:
    lines = [f"- `{one.utterance}`"]
    for title, words in one.lines:
        said = " ".join(literal(word) if right else f"**{literal(word)}**" for word, right in words)
        lines.append(f"  - {literal(title)}: {said}")
    return "\n".join(lines) + "\n"


def _figure(part: Figure | Intervals, folder: Path) -> str:
    path = folder / f"{part.name}.png"
    if isinstance(part, Figure):
        plot_figure(path, part)
    else:
        plot_intervals(path, part)
    return f"![{literal(part.caption)}]({path.name})\n"


def _commands(commands: Sequence[Command]) -> str:
    lines = "".join(f"{command.line()}\n" for command in commands)
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", lines))])
    return f"{fence}sh\n{lines}{fence}\n" if lines else "None was recorded.\n"


def _tree(part: Tree, folder: Path) -> str:
    lines = sum(1 for root in part.roots for _ in root.walk())
    if not 0 < lines <= _MOST_LINES:
        return f"{lines} trainings: their tree is in `report.html`.\n" if lines else ""
    path = folder / f"{part.name}.png"
    plot_tree(path, part.roots, dev_name=part.dev_name, test_name=part.test_name)
    return f"![tree of trainings; filled layers were frozen]({path.name})\n"


def _curves(experiment: Experiment, part: Curves, folder: Path) -> str:
    """Plot the trainings that have run at least an epoch."""
    begun = {key for key, one in experiment.trainings.items() if one.curve.epochs}
    panels = [_panel(experiment, key, title or key) for key, title in part.nodes if key in begun]
    if not panels:
        return "No epoch has been finished yet.\n"
    if len(panels) > _MOST_PANELS:
        return f"The learning curves of {len(panels)} trainings are in `report.html`.\n"
    path = folder / f"{part.name}.png"
    error_name, loss_name = experiment.curve_names(key for key, _ in part.nodes if key in begun)
    plot_trainings(path, panels, error_name=error_name, loss_name=loss_name)
    return f"![loss and error over the epochs]({path.name})\n"


def _panel(experiment: Experiment, key: str, title: str) -> TrainingPanel:
    training = experiment.trainings[key]
    curve, kind = training.curve, training.kind
    return TrainingPanel(
        title=title,
        epochs=curve.epochs,
        train_loss=curve.train_loss,
        dev_loss=curve.dev.get("loss", ()),
        dev_error=[kind.shown_metric(value) for value in curve.dev.get(kind.curve_metric, ())],
        best_epoch=training.outcome.best_epoch if training.outcome else None,
    )
