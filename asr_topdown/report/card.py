"""Model cards: a README.md in each model's folder."""

from collections.abc import Iterable
from pathlib import Path

import asr_topdown
from asr_topdown.files import without_hidden, write_text
from asr_topdown.report.records import LABELS, LANGUAGE, Experiment, Score, Training
from asr_topdown.report.words import NOTHING, count, number
from asr_topdown.runs.about import DataSize
from asr_topdown.runs.store import Store
from asr_topdown.score.significance import bootstrap_rate, remark

NAME = "README.md"


def write_cards(experiment: Experiment) -> list[Path]:
    """Write a card for each finished network with a name (EXP/models), or for all if none has one."""
    store = Store(experiment.root)
    links = sorted(without_hidden((experiment.root / "models").rglob("*")))  # nor those of a killed process
    links = [link for link in links if link.is_symlink()]
    named = {link.resolve().name: str(link.relative_to(experiment.root)) for link in links}
    written = []
    for key, training in experiment.trainings.items():
        if training.outcome is not None and (key in named or not named):
            path = store.node_dir(key) / NAME
            write_text(path, card(experiment, key, named.get(key, f"nodes/{key}")), readers=True)
            written.append(path)
    return written


def card(experiment: Experiment, key: str, name: str) -> str:
    """The card of a node's network, called `name` within the experiment folder."""
    training = experiment.trainings[key]
    role = experiment.roles.get(key, "")
    lines = [f"# {experiment.name}: {name.removeprefix('models/')}", ""]
    # The version is of this text: a network may have been trained by an earlier one.
    lines += [f"{_kind(training)}, trained with asr_topdown (card by version {asr_topdown.__version__}).", ""]
    if training.kind is not LANGUAGE:
        lines += ["```sh", "asr-topdown transcribe FOLDER a.wav b.mp3", "```", ""]
    lines += ["## Errors", "", *_errors(experiment, key, training), ""]
    lines += ["## How it was trained", "", *_training(training, role), ""]
    lines += ["## Data", "", *_data(training), ""]
    lines += ["## Network", "", *_network(training), ""]
    return "\n".join(lines)


def _kind(training: Training) -> str:
    others = {LANGUAGE: "A language model", LABELS: "A network that gives an utterance one label"}
    return others.get(training.kind, "A speech recogniser")


def _errors(experiment: Experiment, key: str, training: Training) -> Iterable[str]:
    score, dev = experiment.scores.get(key), experiment.dev.get(key)
    yield f"| set | {training.kind.error} | 95 % interval |"
    yield "| :-- | --: | --: |"
    yield f"| dev, which chose the epoch ({training.kind.error}) | {number(dev)} | {NOTHING} |"
    if score is None:
        yield f"| {experiment.set_name} | {NOTHING} | {NOTHING} |"
        return
    rate, interval = number(training.kind.shown(score.rate)), _interval(training, score)
    yield f"| {experiment.set_name} | {rate} | {interval} |"
    for other, value in score.others.items():
        yield f"| {experiment.set_name}, {other} | {number(value)} | {NOTHING} |"
    if score.parts:
        yield ""
        few = remark(len(score.parts), training.kind.sampled)
        said = f"The interval is for other {training.kind.sampled} (bootstrap), not for other seeds."
        yield f"{said} A {few}." if few else said


def _interval(training: Training, score: Score) -> str:
    if len(score.parts) < 2:
        return NOTHING
    errors, references = zip(*score.parts.values(), strict=True)
    found = bootstrap_rate(errors, references, resamples=2000)
    return " … ".join(number(training.kind.shown(value)) for value in (found.low, found.high))


def _training(training: Training, role: str) -> Iterable[str]:
    node, outcome = training.node, training.outcome
    assert outcome is not None
    if role:
        yield f"- In its study: {role}."
    yield f"- What was trained: {node.describe()}."
    if node.frozen:
        same = "unchanged by the training, bit for bit"
        if node.lora:
            same = "unchanged except for the added products of their adapters"
        yield f"- Frozen: {', '.join(node.frozen)}; {same}."
    if node.parent is not None:
        yield f"- Started from the network `{node.parent.node}`, epoch {node.parent.epoch}."
    yield f"- Best epoch {outcome.best_epoch} of {outcome.epochs}, {outcome.seconds / 60:.1f} minutes."
    if training.average is not None:
        which, most = training.average
        yield f"- Its weights are the average of the {which} {min(most, outcome.epochs)} epochs."
    if training.about is not None:
        products = training.about.products
        yield f"- Machine: {training.about.machine}{f'; float32 products: {products}' if products else ''}."


def _data(training: Training) -> Iterable[str]:
    if training.about is None:
        yield "Not recorded."
        return
    yield "| | set | utterances | words | hours | licence |"
    yield "| :-- | :-- | --: | --: | --: | :-- |"
    for use, size in (("trained on", training.about.train), ("epochs chosen on", training.about.dev)):
        yield f"| {use} | {_cells(size)} |"


def _cells(size: DataSize) -> str:
    unused = f" ({size.left_out:,} left out)" if size.left_out else ""
    utterances = f"{size.utterances:,}{unused}" if size.utterances else NOTHING
    hours = f"{size.hours:.2f}" if size.hours else NOTHING
    licence = size.licence.replace("|", "\\|") or "not known"
    return f"{size.name} | {utterances} | {size.words:,} | {hours} | {licence}"


def _network(training: Training) -> Iterable[str]:
    if training.about is None:
        yield "Its settings are in `config.yaml`."
        return
    frozen = dict.fromkeys(training.node.frozen, "frozen")
    if training.node.lora:  # which of them, older versions did not record
        frozen |= dict.fromkeys(training.about.adapted or training.node.frozen, "adapted")
    yield f"{count(training.about.parameters, 'parameter')}, input first; its settings are in `config.yaml`."
    yield ""
    yield "| layer | parameters | |"
    yield "| :-- | --: | :-- |"
    for layer, size in training.about.layers.items():
        yield f"| {layer} | {size:,} | {frozen.get(layer, 'trained')} |"
