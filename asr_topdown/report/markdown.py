"""The report as Markdown with PNG plots, and its tables as CSV beside it."""

from collections.abc import Sequence
from pathlib import Path

from asr_topdown.files import write_text
from asr_topdown.report.document import Code, Commands, Curves, Heading, Notes, Part, Text, Tree
from asr_topdown.report.figures import Figure, Intervals
from asr_topdown.report.plots import (
    TrainingPanel,
    plot_figure,
    plot_intervals,
    plot_trainings,
    plot_tree,
)
from asr_topdown.report.records import LANGUAGE, Experiment
from asr_topdown.report.table import Table
from asr_topdown.runs.journal import Command

# Beyond these a plot takes minutes to draw and cannot be read; the page has them all.
_MOST_PANELS, _MOST_LINES = 12, 40


def write(experiment: Experiment, parts: Sequence[Part], folder: Path) -> None:
    """Write report.md, its plots and its tables to `folder`."""
    texts = [text for part in parts if (text := _part(experiment, part, folder))]
    write_text(folder / "report.md", "\n".join(texts))


def _part(experiment: Experiment, part: Part, folder: Path) -> str:
    match part:
        case Heading(level, text, _):
            return f"{'#' * level} {text}\n"
        case Text(text):
            return f"{text}\n"
        case Notes(title, lines):
            return f"**{title}:**\n\n" + "".join(f"- {line}\n" for line in lines)
        case Table():
            write_text(folder / f"{part.name}.csv", part.csv())
            return part.markdown()
        case Figure() | Intervals():
            return _figure(part, folder)
        case Tree():
            return _tree(experiment, part, folder)
        case Curves():
            return _curves(experiment, part, folder)
        case Commands(commands):
            return _commands(commands)
        case Code():
            return ""  # nodes/*/config.yaml


def _figure(part: Figure | Intervals, folder: Path) -> str:
    path = folder / f"{part.name}.png"
    if isinstance(part, Figure):
        plot_figure(path, part)
    else:
        plot_intervals(path, part)
    return f"![{part.caption}]({path.name})\n"


def _commands(commands: Sequence[Command]) -> str:
    lines = "".join(f"{command.line()}\n" for command in commands)
    return f"```sh\n{lines}```\n" if lines else "None was recorded.\n"


def _tree(experiment: Experiment, part: Tree, folder: Path) -> str:
    lines = sum(1 for root in part.roots for _ in root.walk())
    if not 0 < lines <= _MOST_LINES:
        return f"{lines} trainings: their tree is in `report.html`.\n" if lines else ""
    path = folder / f"{part.name}.png"
    plot_tree(path, part.roots, dev_name=experiment.dev_name, test_name=experiment.test_name)
    return f"![who was trained from whom; filled layers were frozen]({path.name})\n"


def _curves(experiment: Experiment, part: Curves, folder: Path) -> str:
    """Plot the trainings that have run at least an epoch."""
    panels = [
        _panel(experiment, key, title or key)
        for key, title in part.nodes
        if key in experiment.trainings and experiment.trainings[key].curve.epochs
    ]
    if not panels:
        return "No epoch has been finished yet.\n"
    if len(panels) > _MOST_PANELS:
        return f"The learning curves of {len(panels)} trainings are in `report.html`.\n"
    path, kind = folder / f"{part.name}.png", experiment.kind
    error_name = "dev perplexity" if kind is LANGUAGE else "dev CER (%)"
    plot_trainings(path, panels, error_name=error_name, loss_name=f"loss ({kind.loss})")
    return f"![loss and error over the epochs]({path.name})\n"


def _panel(experiment: Experiment, key: str, title: str) -> TrainingPanel:
    training, kind = experiment.trainings[key], experiment.kind
    curve = training.curve
    return TrainingPanel(
        title=title,
        epochs=curve.epochs,
        train_loss=curve.train_loss,
        dev_loss=curve.dev.get("loss", ()),
        dev_error=[kind.shown_metric(value) for value in curve.dev.get(kind.metric, ())],
        best_epoch=training.outcome.best_epoch if training.outcome else None,
    )
