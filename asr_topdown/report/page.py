"""The report of an experiment folder: report/report.md and the plots beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_topdown.files import write_text
from asr_topdown.report.collect import Experiment, Training, collect
from asr_topdown.report.plots import Line, Point, TrainingPanel, plot_cascade, plot_trainings
from asr_topdown.report.systems import SCRATCH, TOP_DOWN, errors_so_far, systems
from asr_topdown.report.tables import dev_error_name, systems_table, trainings_table
from asr_topdown.topdown.search import Result

_HOW_TO_READ = """\
Means over the seeds ± standard deviation. Δ is the difference of mean character error rates in percentage
points (negative: fewer errors than the baseline) with its 95 % interval and two-sided p from a bootstrap that
draws utterances and seeds, so that it speaks of other utterances *and* other seeds; p is not corrected for
the number of rows. "Step i" froze the top i layers; "{top_down}" is where the search ended, by the dev error;
"not taken" are steps whose dev error grew, which ends the search. The equal-compute control is
"{scratch}": it trains from scratch as often as the search retrained and takes the best on dev.
"""


def write_report(root: Path | str, set_name: str = "test") -> Path:
    """Write `root`/report/report.md with its plots and return its path.

    Args:
        root: experiment folder.
        set_name: which decoded set is reported.

    Raises:
        FileNotFoundError, ValueError: as `collect`.
    """
    experiment = collect(root, set_name)
    folder = experiment.root / "report"
    parts = [f"# {experiment.root.resolve().name}\n"]
    if experiment.notes:
        parts.append("**Missing:**\n\n" + "".join(f"- {note}\n" for note in experiment.notes))
    for tag, results in experiment.studies.items():
        parts.append(_study(experiment, tag, results, folder))
    roles = _roles(experiment)
    others = {key: "" for key in sorted(experiment.trainings) if key not in roles}
    if others:
        parts.append("## Trainings outside of any study\n\n" + _curves(experiment, others, folder, "curves"))
    parts.append("## All trainings\n\n" + trainings_table(experiment, roles))
    if experiment.decodings:
        parts.append(_speed(experiment))
    path = folder / "report.md"
    write_text(path, "\n".join(parts))
    return path


def _study(experiment: Experiment, tag: str, results: Sequence[Result], folder: Path) -> str:
    parts = [f"## Study `{tag}`\n", systems_table(experiment, systems(results))]
    parts.append(_HOW_TO_READ.format(top_down=TOP_DOWN, scratch=SCRATCH))
    if any(result.search == "greedy" for result in results):
        name = f"cascade-{tag}.png"
        _cascade(experiment, results, folder / name)
        parts.append(f"![error by step of the top-down search]({name})\n")
    for seed in sorted({result.seed for result in results}):
        nodes = {step.node: step.role for one in results if one.seed == seed for step in one.steps}
        parts.append(f"### Seed {seed}\n\n" + _curves(experiment, nodes, folder, f"curves-{tag}-seed{seed}"))
    return "\n".join(parts)


def _roles(experiment: Experiment) -> dict[str, str]:
    """Node id -> what it was in the first search that has it."""
    roles: dict[str, str] = {}
    for results in experiment.studies.values():
        for result in sorted(results, key=lambda result: result.seed):
            for step in result.steps:
                roles.setdefault(step.node, f"{step.role}, seed {result.seed}")
    return roles


def _curves(experiment: Experiment, roles: Mapping[str, str], folder: Path, name: str) -> str:
    """Plot the trainings of `roles` (node id -> title) that have run at least an epoch."""
    begun = {key: experiment.trainings[key] for key in roles if key in experiment.trainings}
    panels = [_panel(training, roles[key] or key) for key, training in begun.items() if training.curve.epochs]
    if not panels:
        return "No epoch has been finished yet.\n"
    path = folder / f"{name}.png"
    plot_trainings(path, panels, error_name="dev CER (%)", loss_name="loss (nats/utterance)")
    return f"![loss and error over the epochs]({path.name})\n"


def _panel(training: Training, title: str) -> TrainingPanel:
    curve = training.curve
    return TrainingPanel(
        title=title,
        epochs=curve.epochs,
        train_loss=curve.train_loss,
        dev_loss=curve.dev.get("loss", ()),
        dev_error=[100 * value for value in curve.dev.get("cer", ())],
        best_epoch=training.outcome.best_epoch if training.outcome else None,
    )


def _cascade(experiment: Experiment, results: Sequence[Result], path: Path) -> None:
    in_percent = dev_error_name(experiment) == "dev CER %"
    on_dev = {step.node: step.error * (100 if in_percent else 1) for one in results for step in one.steps}
    on_test = {key: 100 * decoding.cer for key, decoding in experiment.decodings.items()}
    sides = [(dev_error_name(experiment), *_side(results, on_dev))]
    if any(result.search == "greedy" and _is_covered(result, on_test) for result in results):
        sides.append((f"{experiment.set_name} CER %", *_side(results, on_test)))
    plot_cascade(path, sides, steps=_step_labels(experiment, results))


def _side(results: Sequence[Result], error_of: Mapping[str, float]) -> tuple[list[Line], list[Point]]:
    lines = []
    for search, name in (("greedy", TOP_DOWN), ("scratch", "from scratch, best so far")):
        found = [result for result in results if result.search == search and _is_covered(result, error_of)]
        rejected = [
            (number, error_of[step.node])
            for result in found
            for number, step in enumerate(result.steps)
            if not step.accepted and step.node in error_of
        ]
        if found:
            by_seed = {result.seed: errors_so_far(result, error_of) for result in found}
            lines.append(Line(name, by_seed, rejected if search == "greedy" else ()))
    points = []
    for search, name in (
        ("freeze_lowest", "lowest layer frozen, 1 retraining"),
        ("keep", "nothing frozen, 1 retraining"),
    ):
        values = [error_of[one.final] for one in results if one.search == search and one.final in error_of]
        if values:
            points.append(Point(name, values))
    return lines, points


def _is_covered(result: Result, error_of: Mapping[str, float]) -> bool:
    return all(step.node in error_of for step in result.steps if step.accepted)


def _step_labels(experiment: Experiment, results: Sequence[Result]) -> list[str]:
    """What each step froze in addition: "0 joint", "1 softmax", "2 blstm.3", ..."""
    longest = max((one for one in results if one.search == "greedy"), key=lambda one: len(one.steps))
    labels = ["0\njoint"]
    before: set[str] = set()
    for number, step in enumerate(longest.steps[1:], 1):
        training = experiment.trainings.get(step.node)
        frozen = set(training.node.frozen) if training else before
        labels.append("\n".join([str(number), *sorted(frozen - before)]))
        before = frozen
    return labels


def _speed(experiment: Experiment) -> str:
    decodings = experiment.decodings.values()
    factor = sum(one.seconds for one in decodings) / max(1e-9, sum(one.audio_seconds for one in decodings))
    name, count = experiment.set_name, len(decodings)
    return f"Decoding {name} took {factor:.4f} s per second of audio (mean of {count}).\n"
