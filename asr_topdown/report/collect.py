"""Read an experiment folder into plain records: trainings, searches, scores, and what is missing."""

from collections.abc import Mapping
from pathlib import Path

from asr_topdown import config as configuration
from asr_topdown.config import Config
from asr_topdown.files import command, read_text
from asr_topdown.report import scores
from asr_topdown.report.records import (
    CHARACTERS,
    LABELS,
    LANGUAGE,
    WORDS,
    Curve,
    Experiment,
    Kind,
    Score,
    Training,
)
from asr_topdown.runs import about, journal
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import Result
from asr_topdown.train.metrics import read_metrics


def collect(root: Path | str, set_name: str = "test") -> Experiment:
    """Read an experiment folder.

    Raises:
        FileNotFoundError: if there is no such folder, or no training in it.
        ValueError: one line naming a file that is damaged.
    """
    store = Store(root)
    nodes = store.nodes()
    if not nodes:
        raise FileNotFoundError(f"{root}: no training here (no nodes/*/node.json)")
    settings = _Settings()
    trainings = {node.id: _training(store, node, settings) for node in nodes}
    studies = {tag: store.load_results(tag) for tag in store.tags()}
    found = scores.read(store.root, set_name, {key: one.kind for key, one in trainings.items()})
    notes = _missing(store, set_name, trainings, studies, found.scores)
    return Experiment(
        root=store.root,
        set_name=set_name,
        trainings=trainings,
        studies=studies,
        scores=found.scores,
        notes=tuple(
            dict.fromkeys(
                [
                    *notes,
                    *_other_dev_errors(trainings, studies),
                    *_other_transcripts(studies, found.scores, set_name),
                    *settings.notes,
                    *found.notes,
                ]
            )
        ),
        commands=journal.recorded(store.root),
    )


class _Settings:
    """Reads config.yaml files, each distinct text once: the nodes of an experiment mostly share one."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._known: dict[str, tuple[Config, str] | None] = {}

    def read(self, path: Path) -> tuple[Config | None, str]:
        """The configuration and all its settings as YAML; None and "" if it does not exist, or, with a note,
        if it is damaged or was written by another version of this package.
        """
        try:
            text = read_text(path)
            if text not in self._known:
                self._known[text] = None
                config = configuration.load_saved(path)
                self._known[text] = config, configuration.dump(config)
        except OSError:
            return None, ""
        except ValueError as error:
            self.notes.append(f"A training's settings are not shown: {str(error).splitlines()[0]}.")
            return None, ""
        return self._known[text] or (None, "")


def _training(store: Store, node: Node, settings: _Settings) -> Training:
    folder = store.node_dir(node)
    config, dumped = settings.read(folder / "config.yaml")
    return Training(
        node=node,
        outcome=store.outcome(node),
        curve=_curve(folder / "metrics.jsonl"),
        kind=_kind(config),
        about=about.read(folder),
        model=config.model.model_dump(mode="json") if config is not None else {},
        config=dumped,
        metric=config.train.metric if config is not None else "",
        average=_average(config),
    )


def _average(config: Config | None) -> tuple[str, int] | None:
    average = config.train.average if config is not None else None
    if average is None:
        return None
    return ("last", average.last) if average.last else ("best", average.best)


def _kind(config: Config | None) -> Kind:
    """Count characters if the units are characters, and words if they are subwords."""
    if config is None:
        return CHARACTERS
    if config.is_language_model:
        return LANGUAGE
    return {"char": CHARACTERS, "label": LABELS}.get(config.text.unit, WORDS)


def _curve(path: Path) -> Curve:
    epochs = read_metrics(path, "epoch") if path.exists() else []
    names = {key for record in epochs for key in record if key.startswith("dev_")}
    try:
        return Curve(
            epochs=tuple(int(record["epoch"]) for record in epochs),
            train_loss=tuple(float(record["train_loss"]) for record in epochs),
            dev={name.removeprefix("dev_"): tuple(float(r[name]) for r in epochs) for name in sorted(names)},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: an epoch's record lacks a number ({error!r})") from error


def _missing(
    store: Store,
    set_name: str,
    trainings: Mapping[str, Training],
    studies: Mapping[str, list[Result]],
    found: Mapping[str, Score],
) -> list[str]:
    notes = []
    unfinished = [key for key, training in trainings.items() if training.outcome is None]
    if unfinished:
        notes.append(
            f"{len(unfinished)} of {len(trainings)} trainings are not finished: {', '.join(unfinished)}."
        )
    if not studies:
        notes.append("No study yet: run `asr-topdown topdown`.")
    wanted = [step.node for results in studies.values() for result in results for step in result.steps]
    absent = [key for key in dict.fromkeys(wanted or trainings) if key not in found]
    if any(training.kind is LANGUAGE for training in trainings.values()):
        if set(absent) - set(unfinished):
            run = command("asr-topdown", "score", f"data/{set_name}.txt", "--exp", store.root)
            notes.append(f"Not all models have a perplexity on {set_name}: run `{run}`.")
    elif absent and not found:
        which: list[object] = ["--exp", store.root]
        if not studies:
            which = ["--model", store.node_dir(absent[0]), "--out", store.root / "decode" / absent[0]]
        # A recipe's data directories have no features themselves; it links to those that do.
        features = store.root / "features" / set_name
        run = command("asr-topdown", "decode", features if features.is_dir() else f"data/{set_name}", *which)
        notes.append(f"No decoding of {set_name} yet: run `{run}`.")
    elif absent:
        notes.append(f"Not decoded on {set_name}: {', '.join(absent)}.")
    return notes


def _other_dev_errors(trainings: Mapping[str, Training], studies: Mapping[str, list[Result]]) -> list[str]:
    """Notes on studies whose dev errors are not of one decoding, the one by which they chose.

    A network has one dev error, of the last study or command that decoded its dev set.
    """
    outcomes = {key: one.outcome for key, one in trainings.items() if one.outcome is not None}
    notes = []
    for tag, results in studies.items():
        steps = [(one.criterion, step) for one in results for step in one.steps if step.node in outcomes]
        decoders = {outcomes[step.node].decoder for _, step in steps}
        changed = any(by == "error" and step.error != outcomes[step.node].error for by, step in steps)
        if changed or len(decoders) > 1:
            notes.append(
                f"The dev errors of the study `{tag}` are not all those by which it chose: dev sets of its "
                "networks were decoded again, with other settings (`decode:`). Its own `asr-topdown topdown` "
                "command, run again, decodes them as before."
            )
    return notes


def _other_transcripts(
    studies: Mapping[str, list[Result]], scores: Mapping[str, Score], set_name: str
) -> list[str]:
    """Notes on studies whose networks were scored with different transcripts: not all are compared."""
    notes = []
    for tag, results in studies.items():
        nodes = dict.fromkeys(step.node for one in results for step in one.steps)
        known = {node: scores[node].transcripts for node in nodes if node in scores}
        first, *others = [node for node, said in known.items() if said] or [""]
        odd = [node for node in others if known[node] is not known[first] and known[node] != known[first]]
        if odd:
            notes.append(
                f"The networks {first} and {odd[0]} of the study `{tag}` were scored with different "
                f"transcripts of {set_name}: decode both with the same data."
            )
    return notes
