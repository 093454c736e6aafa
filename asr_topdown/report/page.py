"""The report of an experiment folder: report/report.html, report.md, and their plots and tables."""

import datetime
import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import asr_topdown
from asr_topdown.files import remove_leftovers, write_text
from asr_topdown.progress import duration
from asr_topdown.report import caption, html, markdown, overview, scans
from asr_topdown.report.card import write_cards
from asr_topdown.report.collect import collect
from asr_topdown.report.compare import Differences
from asr_topdown.report.data_size import over_data
from asr_topdown.report.depth import depth_figures
from asr_topdown.report.document import Code, Commands, Curves, Heading, Notes, Part, Text, Tree
from asr_topdown.report.effort import effort_figure
from asr_topdown.report.examples import examples
from asr_topdown.report.figures import cascade, intervals
from asr_topdown.report.glossary import GLOSSARY
from asr_topdown.report.published import cell_name, paper_table, published
from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import System, systems
from asr_topdown.report.tables import (
    calibration_table,
    compare_systems,
    count_comparisons,
    systems_table,
    trainings_table,
)
from asr_topdown.report.tree import Branch, foremost, forest, pruned
from asr_topdown.schedule.protocol import Result, longest
from asr_topdown.schedule.searches import SPECS, step_name

# More systems than these are not compared: it would take long, and nobody reads such a long table.
_MOST_SYSTEMS = 40
# Above this, the trees show only the best: browsers are slow on pages above a few megabytes.
_MOST_BRANCHES = 300


def write_report(root: Path | str, set_name: str = "test") -> Path:
    """Write `root`/report/report.md, report.html, plots and tables, and return the path of report.md.

    Also write the cards of the networks with names (`root`/models).

    Args:
        root: experiment folder, of recognisers or of language models.
        set_name: the decoded set (or scored text) to report.

    Raises:
        FileNotFoundError, ValueError: as `collect`.
    """
    experiment = collect(root, set_name)
    folder = experiment.root / "report"
    parts = build(experiment)
    remove_leftovers(folder)
    markdown.write(experiment, parts, folder)
    write_text(folder / "report.html", html.page(experiment, parts), readers=True)
    write_cards(experiment)
    return folder / "report.md"


def build(experiment: Experiment) -> list[Part]:
    """The parts of the report, from top to bottom."""
    verdicts, studies = [], []
    trees = forest(experiment)
    shown = foremost(trees, _MOST_BRANCHES)
    for tag, results in experiment.studies.items():
        # A study's models and units are its own, whatever else is in the folder.
        sentence, parts = _study(experiment.of_study(tag), tag, results, shown)
        verdicts += [f"`{tag}`: {sentence}" if len(experiment.studies) > 1 else sentence] if sentence else []
        studies += parts
    parts = [Heading(1, experiment.name, "top"), *map(Text, verdicts), Text(_made(experiment))]
    if experiment.notes:
        parts.append(Notes("Missing", experiment.notes))
    parts += studies
    if grown := over_data([experiment.of_study(tag) for tag in experiment.studies], "data-size"):
        parts += [Heading(2, "Gain over the amount of training data", "data-size"), *grown]
    studied = {step.node for results in experiment.studies.values() for one in results for step in one.steps}
    others = [key for key in experiment.trainings if key not in studied]
    if others:
        title = "Trainings outside of any study" if experiment.studies else "Trainings"
        parts += [Heading(2, title, "others")]
        parts += _tree(experiment, "tree", _having(trees, others), shown)
        parts.append(Curves("curves", [(key, "") for key in others]))
    parts += [Heading(2, "All trainings", "trainings"), trainings_table(experiment, experiment.roles)]
    if experiment.scores:
        parts.append(Text(_speed(experiment)))
    parts += [Heading(2, "Words", "words"), GLOSSARY]
    parts += [Heading(2, "Commands", "commands"), Commands(experiment.commands)]
    if experiment.config:
        parts.append(Code("Settings", experiment.config))
    return parts


def _made(experiment: Experiment) -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"Errors on `{experiment.set_name}`. Made by asr-topdown {asr_topdown.__version__} on {today}."


def _study(
    experiment: Experiment, tag: str, results: Sequence[Result], shown: Container[str]
) -> tuple[str, list[Part]]:
    """Its verdict, and its parts; the trees have the trainings in `shown`."""
    roots = forest(experiment)
    parts: list[Part] = [Heading(2, f"Study `{tag}`", f"study-{tag}")]
    told = [overview.sizes(experiment), _cost(experiment, results), _criterion(experiment)]
    parts += [Text(text) for text in told if text]
    every, verdict = systems(results), ""
    rows = _foremost(experiment, every) if len(every) > _MOST_SYSTEMS else every
    if len(rows) > 1:
        if len(rows) < len(every):
            parts.append(
                Text(
                    f"The study has {len(every)} systems; shown are the {len(rows)} that are best on dev or "
                    "named."
                )
            )
        unseen = count_comparisons(every) - count_comparisons(rows)
        differences = compare_systems(experiment, rows, unseen)
        verdict = overview.verdict(experiment, rows, differences)
        parts += _compared(experiment, tag, rows, differences, unseen)
        calibrated = calibration_table(experiment, rows, f"calibration-{tag}")
        if calibrated:
            parts += [Heading(3, "Calibration", f"part-calibration-{tag}"), calibrated]
    if any(result.search == "greedy" for result in results):
        parts.append(cascade(experiment, results, f"cascade-{tag}"))
    effort = effort_figure(experiment, results, f"effort-{tag}")
    parts += [effort] if effort else []
    parts += _section_3(experiment, tag, results)
    parts += _examples(experiment, tag, rows)
    for seed in sorted({result.seed for result in results}):
        own = [one for one in results if one.seed == seed]
        nodes = {step.node: step_name(one.search, step) for one in own for step in one.steps}
        parts.append(Heading(3, f"Seed {seed}", f"tree-{tag}-{seed}"))
        parts += _tree(experiment, f"tree-{tag}-seed{seed}", _having(roots, nodes), shown)
        parts.append(Curves(f"curves-{tag}-seed{seed}", list(nodes.items())))
    return verdict, parts


def _cost(experiment: Experiment, results: Sequence[Result]) -> str:
    nodes = {step.node for result in results for step in result.steps}
    outcomes = [experiment.trainings[node].outcome for node in nodes if node in experiment.trainings]
    known = [outcome for outcome in outcomes if outcome]
    # The time of a training that was later given more epochs is in that of the longer one. None is given more
    # than joint training has: a control's longer one is another.
    begun = {result.steps[0].node for result in results if SPECS[result.search].continues}
    most = max((outcome.node.epochs for outcome in known if outcome.node.id in begun), default=0)
    own = longest(outcome for outcome in known if outcome.node.epochs <= most)
    own += [outcome for outcome in known if outcome.node.epochs > most]
    count = len(nodes) - len(known) + len(own)
    took = duration(sum(outcome.seconds for outcome in own))
    # Those that are not finished, or whose folders were removed.
    some = f" for the {len(own)} whose time is known" if len(own) < count else ""
    return f"{count} trainings, {took} in total{some} (some may belong to another study too)."


def _criterion(experiment: Experiment) -> str:
    if experiment.criterion == "loss":
        return "The dev loss decided which networks the searches went on with (`schedule.criterion: loss`)."
    return ""


def _compared(
    experiment: Experiment, tag: str, rows: Sequence[System], differences: Differences, unseen: int
) -> list[Part]:
    """The systems, their differences, and the same in the paper's format."""
    parts: list[Part] = [systems_table(experiment, rows, differences, name=f"systems-{tag}")]
    parts.append(Text(caption.how_to_read(experiment, rows, differences, unseen)))
    found = intervals(experiment, differences, f"differences-{tag}")
    parts += [found] if found else []
    paper = published(experiment)
    if paper:
        title = f"In the format of the paper's {paper.title}"
        text = f"Ours: {cell_name(experiment, paper)}. The paper's: {paper.cell}."
        text += " They are comparable only if data, vocabulary and model are the paper's."
    else:
        title, text = "Seed by seed", f"In the format of the paper's tables: {cell_name(experiment, None)}."
    table = paper_table(experiment, rows, paper, name=f"paper-{tag}")
    return [*parts, Heading(3, title, f"paper-{tag}"), Text(text), table]


def _examples(experiment: Experiment, tag: str, rows: Sequence[System]) -> list[Part]:
    found = examples(experiment, rows)
    if found is None:
        return []
    chosen, shown = found
    text = f"{chosen} Wrong words are highlighted; words in brackets are missing."
    return [Heading(3, "Some utterances", f"examples-{tag}"), Text(text), shown]


def _foremost(experiment: Experiment, rows: Sequence[System]) -> list[System]:
    """Where something ended, of the others those with the lowest dev errors, and their baselines."""
    dev = experiment.dev

    def error(row: System) -> float:
        values = [dev[node] for node in row.nodes.values() if node in dev]
        return sum(values) / len(values) if values else math.inf

    others = sorted((row for row in rows if not row.is_end), key=error)
    kept = {row.name for row in others[:_MOST_SYSTEMS]}
    parts = {row.part for row in others[:_MOST_SYSTEMS]}
    baselines = {row.name for row in others if row.is_joint_on_part and row.part in parts}
    return [row for row in rows if row.is_end or row.name in kept | baselines]


def _section_3(experiment: Experiment, tag: str, results: Sequence[Result]) -> list[Part]:
    """Table 1 and Figures 1 and 2 of the paper, and the depth sweep, if they were run."""
    parts: list[Part] = []
    table = scans.table_1(experiment, results, f"subsets-{tag}")
    if table:
        parts += [Heading(3, "Joint training on subsets, as in the paper's Table 1", f"subsets-{tag}"), table]
    for title, figure, search in (
        ("Figure 1", scans.figure_1(experiment, results, f"figure1-{tag}"), "subset_scan"),
        ("Figure 2", scans.figure_2(experiment, results, f"figure2-{tag}"), "epoch_scan"),
    ):
        parts += [Heading(3, title, f"part-{figure.name}"), figure] if figure else []
        numbers = scans.extractors_table(experiment, results, search, f"{search}-{tag}")
        parts += [numbers] if numbers else []
    if depth := depth_figures(experiment, results, f"depth-{tag}"):
        parts += [Heading(3, "Depth sweep", f"part-depth-{tag}"), *depth]
    return parts


def _tree(experiment: Experiment, name: str, roots: Sequence[Branch], shown: Container[str]) -> list[Part]:
    kept = pruned(roots, shown)
    before, now = (sum(1 for root in trees for _ in root.walk()) for trees in (roots, kept))
    tree = Tree(name, kept, experiment.dev_name, experiment.test_name)
    if now == before:
        return [tree]
    left = f"{before - now} more trainings, none of them among the best on dev, are in the last table only."
    return [tree, Text(left)]


def _having(roots: Sequence[Branch], nodes: Sequence[str] | Mapping[str, str]) -> list[Branch]:
    """The trees that contain one of the nodes."""
    wanted = set(nodes)
    return [root for root in roots if any(branch.id in wanted for _, branch in root.walk())]


def _speed(experiment: Experiment) -> str:
    scores, name = list(experiment.scores.values()), experiment.set_name
    if heard := [one for one in scores if one.audio_seconds]:
        speed = sum(one.seconds for one in heard) / sum(one.audio_seconds for one in heard)
        return f"Decoding {name} took {speed:.4f} s per second of audio (mean of {len(heard)})."
    seconds = sum(one.seconds for one in scores)
    return f"Scoring {name} took {seconds / len(scores):.1f} s (mean of {len(scores)})."
