"""From an experiment folder to plain records: what was trained, searched and decoded, and what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_topdown import config as configuration
from asr_topdown import datadir
from asr_topdown.files import read_json
from asr_topdown.score.errors import ErrorCounts, characters, count_all, words
from asr_topdown.topdown.node import Node, Outcome
from asr_topdown.topdown.search import Result
from asr_topdown.topdown.store import Store
from asr_topdown.train.metrics import read_metrics


@dataclass(frozen=True)
class Curve:
    """What was measured after each epoch.

    Attributes:
        epochs: their numbers, from 1.
        train_loss: mean loss of the epoch per utterance, in nats.
        dev: name of a dev metric ("loss", "cer", ...) -> its values.
    """

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    dev: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Training:
    """One node of the experiment; `outcome` is None while it is not finished.

    `metric` is the dev metric that chose its best epoch, "" if its config.yaml does not say.
    """

    node: Node
    outcome: Outcome | None
    curve: Curve
    metric: str


@dataclass(frozen=True)
class Decoding:
    """The transcripts of one set by one node, scored.

    Attributes:
        cer: character error rate, a fraction.
        wer: word error rate, a fraction.
        characters: utterance id -> its character errors; empty if the reference is not there any more.
        seconds: that decoding took.
        audio_seconds: that the set lasts.
    """

    cer: float
    wer: float
    characters: Mapping[str, ErrorCounts]
    seconds: float
    audio_seconds: float


@dataclass(frozen=True)
class Experiment:
    """Everything that the report tells.

    Attributes:
        root: the experiment folder.
        set_name: the decoded set that is reported, "test".
        trainings: node id -> training.
        studies: results tag -> what its searches did.
        decodings: node id -> decoding of `set_name`.
        notes: what is missing, and what to run for it; one sentence each.
    """

    root: Path
    set_name: str
    trainings: Mapping[str, Training]
    studies: Mapping[str, list[Result]]
    decodings: Mapping[str, Decoding]
    notes: tuple[str, ...]


def collect(root: Path | str, set_name: str = "test") -> Experiment:
    """Read an experiment folder.

    Raises:
        FileNotFoundError: if there is no such folder, or no training in it.
        ValueError: one line naming a file that is damaged.
    """
    store = Store(root)
    trainings = {node.id: read_training(store, node) for node in store.nodes()}
    if not trainings:
        raise FileNotFoundError(f"{root}: no training here (no nodes/*/node.json)")
    studies = {tag: store.load_results(tag) for tag in store.tags()}
    decodings: dict[str, Decoding] = {}
    notes = []
    for node_id in trainings:
        folder = store.root / "decode" / node_id / set_name
        if (folder / "result.json").exists():
            decodings[node_id], note = _decoding(folder, store.root)
            notes.extend([note] if note else [])
    notes = _missing(store, set_name, trainings, studies, decodings) + notes
    return Experiment(store.root, set_name, trainings, studies, decodings, tuple(dict.fromkeys(notes)))


def read_training(store: Store, node: Node) -> Training:
    """What is known of one node.

    Raises:
        ValueError: one line naming a file that is damaged.
    """
    folder = store.node_dir(node)
    try:
        metric: str = configuration.load(folder / "config.yaml").train.metric
    except (OSError, ValueError):  # not begun, or written by another version of this package
        metric = ""
    return Training(node, store.outcome(node), _curve(folder / "metrics.jsonl"), metric)


def _curve(path: Path) -> Curve:
    records = read_metrics(path) if path.exists() else []
    epochs = [record for record in records if record.get("kind") == "epoch"]
    names = {key for record in epochs for key in record if key.startswith("dev_")}
    try:
        return Curve(
            epochs=tuple(int(record["epoch"]) for record in epochs),
            train_loss=tuple(float(record["train_loss"]) for record in epochs),
            dev={name.removeprefix("dev_"): tuple(float(r[name]) for r in epochs) for name in sorted(names)},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: an epoch's record lacks a number ({error!r})") from error


def _decoding(folder: Path, root: Path) -> tuple[Decoding, str]:
    """The decoding in `folder`, and a note if it cannot be compared utterance by utterance."""
    path = folder / "result.json"
    recorded = read_json(path)
    try:
        reference = _find(str(recorded["reference"]), root)
        cer, wer = float(recorded["cer"]), float(recorded["wer"])
        seconds, audio_seconds = float(recorded["seconds"]), float(recorded["audio_seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the result of a decoding ({error!r})") from error
    if reference is None:
        note = f"The reference {recorded['reference']} is not there any more"
        return Decoding(cer, wer, {}, seconds, audio_seconds), f"{note}: its error rates are not compared."
    texts, truth = datadir.read_table(folder / "text"), datadir.read_table(reference)
    if texts.keys() != truth.keys():
        odd = min(texts.keys() ^ truth.keys())
        raise ValueError(
            f"{folder / 'text'}: does not fit {reference}: utterance {odd} is only in one of them"
        )
    by_characters = count_all((characters(truth[key]), characters(texts[key])) for key in truth)
    by_words = count_all((words(truth[key]), words(texts[key])) for key in truth)
    return Decoding(
        cer=sum(by_characters, ErrorCounts()).rate,
        wer=sum(by_words, ErrorCounts()).rate,
        characters=dict(zip(truth, by_characters, strict=True)),
        seconds=seconds,
        audio_seconds=audio_seconds,
    ), ""


def _find(reference: str, root: Path) -> Path | None:
    """A recorded path is relative to the recipe's folder, which is one of those above the experiment."""
    places = [root, *root.resolve().parents, Path.cwd()]
    return next((place / reference for place in places if (place / reference).is_file()), None)


def _missing(
    store: Store,
    set_name: str,
    trainings: Mapping[str, Training],
    studies: Mapping[str, list[Result]],
    decodings: Mapping[str, Any],
) -> list[str]:
    notes = []
    unfinished = [key for key, training in trainings.items() if training.outcome is None]
    if unfinished:
        notes.append(
            f"{len(unfinished)} of {len(trainings)} trainings are not finished: {', '.join(unfinished)}."
        )
    if not studies:
        notes.append("No top-down search yet: run `asr-topdown topdown`.")
    wanted = [step.node for results in studies.values() for result in results for step in result.steps]
    absent = [key for key in dict.fromkeys(wanted or trainings) if key not in decodings]
    if absent and not decodings:
        run = f"asr-topdown decode data/{set_name} --exp {store.root}"
        if not studies:
            model, out = store.node_dir(absent[0]), store.root / "decode" / absent[0]
            run = f"asr-topdown decode data/{set_name} --model {model} --out {out}"
        notes.append(f"No decoding of {set_name} yet: run `{run}`.")
    elif absent:
        notes.append(f"Not decoded on {set_name}: {', '.join(absent)}.")
    return notes
