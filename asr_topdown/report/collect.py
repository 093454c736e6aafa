"""From an experiment folder to plain records: what was trained, searched and scored, and what is missing."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr_topdown import config as configuration
from asr_topdown import datadir
from asr_topdown.build import fresh_model
from asr_topdown.config import Config
from asr_topdown.files import read_json
from asr_topdown.layers import layer_names
from asr_topdown.report.records import LANGUAGE, SPEECH, Curve, Experiment, Kind, Score, Training
from asr_topdown.runs import journal as commands
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import Result
from asr_topdown.score.errors import ErrorCounts, characters, count_all, words
from asr_topdown.train.metrics import read_metrics

_PIECES = 100


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
    configs = {node.id: settings.read(store.node_dir(node) / "config.yaml") for node in nodes}
    trainings = {node.id: _training(store, node, configs[node.id]) for node in nodes}
    config = next((one for one in configs.values() if one is not None), None)
    language = config is not None and config.is_language_model
    studies = {tag: store.load_results(tag) for tag in store.tags()}
    read = _perplexity if language else _decoding
    scores: dict[str, Score] = {}
    damaged = []
    for node_id in trainings:
        folder = store.root / "decode" / node_id / set_name
        if (folder / "result.json").exists():
            scores[node_id], note = read(folder, store.root)
            damaged.extend([note] if note else [])
    notes = _missing(store, set_name, LANGUAGE if language else SPEECH, trainings, studies, scores) + damaged
    return Experiment(
        root=store.root,
        set_name=set_name,
        kind=LANGUAGE if language else SPEECH,
        trainings=trainings,
        studies=studies,
        scores=scores,
        notes=tuple(dict.fromkeys(notes)),
        model=config.model.model_dump(mode="json") if config is not None else {},
        config=configuration.dump(config) if config is not None else "",
        commands=commands.recorded(store.root),
    )


def is_language_experiment(root: Path) -> bool:
    """Whether the networks of an experiment folder are language models."""
    settings = _Settings()
    found = (settings.read(path) for path in sorted(root.glob("nodes/*/config.yaml")))
    return next((config.is_language_model for config in found if config is not None), False)


class _Settings:
    """Reads config.yaml files, each text once: the nodes of an experiment mostly have the same."""

    def __init__(self) -> None:
        self._known: dict[str, Config | None] = {}

    def read(self, path: Path) -> Config | None:
        """None if it is not there yet, or was written by another version of this package."""
        try:
            text = path.read_text(encoding="utf-8")
            if text not in self._known:
                self._known[text] = None
                self._known[text] = configuration.load(path)
        except (OSError, ValueError):
            return None
        return self._known[text]


@functools.lru_cache(maxsize=16)
def _layers(model: str) -> tuple[str, ...]:
    """The layers of a model from its settings as JSON, input first."""
    values = json.loads(model)
    values["train"] = {"metric": "loss"}  # which fits any kind
    return layer_names(fresh_model(configuration.parse(values), 10, init_seed=0))


def _training(store: Store, node: Node, config: Config | None) -> Training:
    curve = _curve(store.node_dir(node) / "metrics.jsonl")
    if config is None:
        return Training(node, store.outcome(node), curve, "")
    model = json.dumps(config.model_dump(mode="json", include={"model", "features"}), sort_keys=True)
    return Training(node, store.outcome(node), curve, config.train.metric, _layers(model))


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


def _decoding(folder: Path, root: Path) -> tuple[Score, str]:
    """The scored transcripts in `folder`, and a note if they cannot be compared utterance by utterance."""
    path = folder / "result.json"
    recorded = read_json(path)
    try:
        reference = _find(str(recorded["reference"]), root)
        cer, wer = float(recorded["cer"]), float(recorded["wer"])
        seconds, audio_seconds = float(recorded["seconds"]), float(recorded["audio_seconds"])
        nlsyms = tuple(recorded.get("decode", {}).get("nlsyms", ()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the result of a decoding ({error!r})") from error
    if reference is None:
        note = f"The reference {recorded['reference']} is not there any more"
        others = {"WER %": 100 * wer}
        return Score(cer, {}, others, seconds, audio_seconds), f"{note}: its error rates are not compared."
    texts, truth = datadir.read_transcripts(folder / "text"), _table(reference)
    if texts.keys() != truth.keys():
        odd = min(texts.keys() ^ truth.keys())
        raise ValueError(
            f"{folder / 'text'}: does not fit {reference}: utterance {odd} is only in one of them"
        )
    pairs = [(truth[key], texts[key]) for key in truth]
    by_characters = count_all((characters(one, nlsyms), characters(two, nlsyms)) for one, two in pairs)
    by_words = count_all((words(one, nlsyms), words(two, nlsyms)) for one, two in pairs)
    counts = ((float(one.errors), float(one.reference)) for one in by_characters)
    return Score(
        rate=sum(by_characters, ErrorCounts()).rate,
        parts=dict(zip(truth, counts, strict=True)),
        others={"WER %": 100 * sum(by_words, ErrorCounts()).rate},
        seconds=seconds,
        audio_seconds=audio_seconds,
    ), ""


def _perplexity(folder: Path, root: Path) -> tuple[Score, str]:
    """The perplexity in `folder`, and a note if it was not kept where in the text it came from.

    The parts are pieces of neighbouring spans: single spans are not independent, since an
    article goes on from one to the next.
    """
    path = folder / "result.json"
    recorded = read_json(path)
    try:
        loss, seconds = float(recorded["loss"]), float(recorded["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the perplexity of a text ({error!r})") from error
    spans = folder / "spans.json"
    if not spans.exists():
        note = "Some perplexities were computed without the loss of each span: run `asr-topdown score` again"
        return Score(loss, {}, {}, seconds), f"{note} for intervals."
    values = read_json(spans)
    try:
        pieces = np.array_split(np.array([values["nats"], values["words"]], float), _PIECES, axis=1)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{spans}: not the losses of a text's spans ({error!r})") from error
    parts = {str(number): piece.sum(1).tolist() for number, piece in enumerate(pieces) if piece.size}
    return Score(loss, parts, {}, seconds), ""


@functools.lru_cache(maxsize=4)
def _table_at(path: Path, changed: int, size: int) -> dict[str, str]:
    return datadir.read_transcripts(path)


def _table(path: Path) -> dict[str, str]:
    """The reference, which all the decodings have in common: read once."""
    status = path.stat()
    return _table_at(path, status.st_mtime_ns, status.st_size)


def _find(reference: str, root: Path) -> Path | None:
    """A recorded path is relative to the recipe's folder, which is one of those above the experiment."""
    places = [root, *root.resolve().parents, Path.cwd()]
    return next((place / reference for place in places if (place / reference).is_file()), None)


def _missing(
    store: Store,
    set_name: str,
    kind: Kind,
    trainings: Mapping[str, Training],
    studies: Mapping[str, list[Result]],
    scores: Mapping[str, Any],
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
    absent = [key for key in dict.fromkeys(wanted or trainings) if key not in scores]
    if kind is LANGUAGE:
        if set(absent) - set(unfinished):
            run = f"asr-topdown score data/{set_name}.txt --exp {store.root}"
            notes.append(f"Not all models have a perplexity on {set_name}: run `{run}`.")
    elif absent and not scores:
        run = f"asr-topdown decode data/{set_name} --exp {store.root}"
        if not studies:
            model, out = store.node_dir(absent[0]), store.root / "decode" / absent[0]
            run = f"asr-topdown decode data/{set_name} --model {model} --out {out}"
        notes.append(f"No decoding of {set_name} yet: run `{run}`.")
    elif absent:
        notes.append(f"Not decoded on {set_name}: {', '.join(absent)}.")
    return notes
