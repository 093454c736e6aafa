"""Language models of an experiment: their perplexities, as a table and as a report with learning curves."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_topdown import config as configuration
from asr_topdown.decode.perplexity import score_text
from asr_topdown.files import read_json, write_text
from asr_topdown.progress import progress
from asr_topdown.report.collect import Training, read_training
from asr_topdown.report.plots import TrainingPanel, plot_trainings
from asr_topdown.report.systems import JOINT, System, systems
from asr_topdown.report.tables import markdown_table, mean_sd
from asr_topdown.topdown.search import Result
from asr_topdown.topdown.store import Store

_NOTHING = "–"
_HOW_TO_READ = """\
Perplexity, means over the seeds ± standard deviation; dev at the epoch that was chosen by it. Δ is the mean
of the differences to joint training, seed by seed. "Step i" froze the top i layers; "top-down" is where the
search ended, by the dev loss. The control with the same compute trains from scratch as often as the search
retrained and takes the best on dev.
"""


@dataclass(frozen=True)
class LanguageExperiment:
    """What there is to tell.

    Attributes:
        store: its folder.
        set_name: the text that is reported: "test" for test.txt.
        trainings: node id -> training.
        studies: results tag -> what its searches did.
        perplexities: node id -> perplexity on that text.
    """

    store: Store
    set_name: str
    trainings: Mapping[str, Training]
    studies: Mapping[str, list[Result]]
    perplexities: Mapping[str, float]


def is_language_experiment(root: Path) -> bool:
    """Whether the networks of an experiment folder are language models."""
    for path in sorted(root.glob("nodes/*/config.yaml")):
        try:
            return configuration.load(path).is_language_model
        except ValueError:  # written by another version of this package
            continue
    return False


def score_experiment(root: Path, text: Path, device: str = "cpu") -> str:
    """Score `text` with every finished model that has not been scored on it, and return the tables.

    Raises:
        FileNotFoundError: if there is no finished model, or no text.
        ValueError: as `score_text`.
    """
    store = Store(root)
    finished = [node for node in store.nodes() if store.outcome(node) is not None]
    if not finished:
        raise FileNotFoundError(f"{root}: no finished model here")
    for node in progress(finished, f"score {text.name}", unit="model"):
        score_text(store.node_dir(node), text, _result(store, node.id, text.stem), device)
    return _tables(collect(root, text.stem))


def collect(root: Path, set_name: str) -> LanguageExperiment:
    """Read an experiment folder.

    Raises:
        FileNotFoundError: if there is no training in it.
        ValueError: one line naming a file that is damaged.
    """
    store = Store(root)
    trainings = {node.id: read_training(store, node) for node in store.nodes()}
    if not trainings:
        raise FileNotFoundError(f"{root}: no training here (no nodes/*/node.json)")
    results = {key: _result(store, key, set_name) for key in trainings}
    perplexities = {key: float(read_json(path)["ppl"]) for key, path in results.items() if path.exists()}
    studies = {tag: store.load_results(tag) for tag in store.tags()}
    return LanguageExperiment(store, set_name, trainings, studies, perplexities)


def write_language_report(root: Path, set_name: str = "test") -> Path:
    """Write `root`/report/report.md with learning curves, and return its path.

    Raises:
        FileNotFoundError, ValueError: as `collect`.
    """
    experiment = collect(root, set_name)
    folder = root / "report"
    parts = [f"# {root.resolve().name}\n"]
    notes = _missing(experiment)
    if notes:
        parts.append("**Missing:**\n\n" + "".join(f"- {note}\n" for note in notes))
    parts.append(_tables(experiment))
    if experiment.studies:
        parts.append(_HOW_TO_READ)
    panels = [
        _panel(training, _roles(experiment).get(key, key))
        for key, training in experiment.trainings.items()
        if training.curve.epochs
    ]
    if panels:
        path = folder / "curves.png"
        plot_trainings(path, panels, error_name="dev perplexity", loss_name="loss (nats/word)")
        parts.append(f"![loss and perplexity over the epochs]({path.name})\n")
    write_text(folder / "report.md", "\n".join(parts))
    return folder / "report.md"


def _result(store: Store, node: str, set_name: str) -> Path:
    return store.root / "decode" / node / set_name / "result.json"


def _tables(experiment: LanguageExperiment) -> str:
    parts = [
        f"## Study `{tag}`\n\n" + _systems_table(experiment, systems(results))
        for tag, results in experiment.studies.items()
    ]
    return "\n".join([*parts, "## All trainings\n\n" + _trainings_table(experiment)])


def _systems_table(experiment: LanguageExperiment, rows: Sequence[System]) -> str:
    name = experiment.set_name
    header = ["system", "frozen", "seeds", "dev perplexity", "Δ to joint"]
    header += [f"{name} perplexity", "Δ to joint"]
    dev = _dev(experiment)
    joint = next((row for row in rows if row.name == JOINT), None)
    cells = []
    for row in rows:
        trainings = [
            experiment.trainings[node] for node in row.nodes.values() if node in experiment.trainings
        ]
        frozen = dict.fromkeys(", ".join(training.node.frozen) or "none" for training in trainings)
        line = [row.name, "; ".join(frozen), str(len(row.nodes))]
        for values in (dev, experiment.perplexities):
            line.append(mean_sd([values[node] for node in row.nodes.values() if node in values]))
            line.append(_difference(row, joint, values))
        cells.append(line)
    return markdown_table(header, cells, left=2)


def _difference(row: System, joint: System | None, values: Mapping[str, float]) -> str:
    if joint is None or row.nodes == joint.nodes:
        return _NOTHING
    differences = [
        values[node] - values[joint.nodes[seed]]
        for seed, node in row.nodes.items()
        if node in values and joint.nodes.get(seed) in values
    ]
    if not differences:
        return _NOTHING
    better = f"better in {sum(one < 0 for one in differences)} of {len(differences)}"
    return f"{statistics.fmean(differences):+.2f}, {better}".replace("-", "−")


def _trainings_table(experiment: LanguageExperiment) -> str:
    header = ["node", "role", "what was trained", "epochs", "best", "dev perplexity"]
    header += [f"{experiment.set_name} perplexity", "minutes"]
    dev, roles, rows = _dev(experiment), _roles(experiment), []
    for key in [*roles, *sorted(experiment.trainings.keys() - roles.keys())]:
        training = experiment.trainings[key]
        outcome = training.outcome
        rows.append(
            [
                f"`{key}`",
                roles.get(key, _NOTHING),
                training.node.describe(),
                str(outcome.epochs if outcome else len(training.curve.epochs)),
                str(outcome.best_epoch) if outcome else "not finished",
                _number(dev, key),
                _number(experiment.perplexities, key),
                f"{outcome.seconds / 60:.1f}" if outcome else _NOTHING,
            ]
        )
    return markdown_table(header, rows, left=3)


def _number(values: Mapping[str, float], key: str) -> str:
    return f"{values[key]:.2f}" if key in values else _NOTHING


def _dev(experiment: LanguageExperiment) -> dict[str, float]:
    """Node id -> dev perplexity, of the finished ones."""
    outcomes = {key: training.outcome for key, training in experiment.trainings.items()}
    return {key: outcome.metrics["ppl"] for key, outcome in outcomes.items() if outcome is not None}


def _roles(experiment: LanguageExperiment) -> dict[str, str]:
    """Node id -> what it was in the first search that has it."""
    roles: dict[str, str] = {}
    for results in experiment.studies.values():
        for result in sorted(results, key=lambda result: result.seed):
            for step in result.steps:
                if step.node in experiment.trainings:
                    roles.setdefault(step.node, f"{step.role}, seed {result.seed}")
    return roles


def _panel(training: Training, title: str) -> TrainingPanel:
    curve = training.curve
    return TrainingPanel(
        title=title,
        epochs=curve.epochs,
        train_loss=curve.train_loss,
        dev_loss=curve.dev.get("loss", ()),
        dev_error=curve.dev.get("ppl", ()),
        best_epoch=training.outcome.best_epoch if training.outcome else None,
    )


def _missing(experiment: LanguageExperiment) -> list[str]:
    notes = []
    unfinished = [key for key, training in experiment.trainings.items() if training.outcome is None]
    if unfinished:
        count = f"{len(unfinished)} of {len(experiment.trainings)}"
        notes.append(f"{count} trainings are not finished: {', '.join(unfinished)}.")
    if not experiment.studies:
        notes.append("No top-down search yet: run `asr-topdown topdown`.")
    if experiment.trainings.keys() - set(unfinished) - experiment.perplexities.keys():
        run = f"asr-topdown score data/{experiment.set_name}.txt --exp {experiment.store.root}"
        notes.append(f"Not all models have a perplexity on {experiment.set_name}: run `{run}`.")
    return notes
