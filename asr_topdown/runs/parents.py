"""Check, before anything is trained, that a parent's layers are compatible in meaning and shape."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import fresh_model
from asr_topdown.decode.model import best_epoch
from asr_topdown.models.heads.head import Head
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import lora
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store, read_outcome
from asr_topdown.schedule.node import Node, Parent
from asr_topdown.weights import weight_shapes, weights_hash, weights_of_epoch

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """The layers that a node takes from its parent, input first: those it freezes and those it fine-tunes."""

    frozen: tuple[str, ...]
    kept: tuple[str, ...]


def taken_layers(node: Node, model: Model) -> Taken:
    """The layers that `node` transfers into `model`.

    Raises:
        ValueError: if it names a layer that the model does not have.
    """
    names = layers.layer_names(model)
    frozen = layers.select(names, node.frozen, what="frozen")
    fresh = layers.select(names, node.fresh, what="fresh")
    kept = tuple(name for name in names if name not in frozen + fresh and node.start != "reinit")
    return Taken(frozen, kept)


def takes_lowest(node: Node, model: Model) -> bool:
    """Whether the layers that `node` transfers begin with the lowest, which reads the features."""
    taken = taken_layers(node, model)
    return layers.layer_names(model)[0] in (*taken.frozen, *taken.kept)


def settings_taken(node: Node, model: Model) -> tuple[str, ...]:
    """The sections of the configuration that say what the layers compute that `node` transfers into `model`.

    None for the output layers: they are matrices, whatever network they come from.
    """
    names, taken = layers.layer_names(model), taken_layers(node, model)
    below = {*taken.frozen, *taken.kept} - {names[-1]}
    if not isinstance(model, Recognizer):
        return ("model.",) if below else ()
    sections = {
        layer.name: f"model.{kind}."
        for kind, head in model.heads.items()
        for layer in cast(Head, head).layers()
    }
    return tuple({sections.get(name, "model.encoder."): None for name in names if name in below})


def kept_epoch(node: Node) -> int:
    """The parent's epoch from which the fine-tuned layers come."""
    assert node.parent is not None
    return node.parent.epoch if node.rewind_epoch is None else node.rewind_epoch


def check_parent(node: Node, experiment: Experiment, store: Store, model: Model) -> None:
    """Refuse to transfer layers that were trained on other features or for other units, or do not match.

    Args:
        node: with a parent, whose folder is here or in one of the store's sources.
        experiment: the node's.
        store: where the parent is.
        model: a network of the experiment.

    Raises:
        ValueError: naming the setting, the units or the tensor that differs, with both values; or if the
            node's adapters cannot be trained.
    """
    assert node.parent is not None
    folder = store.parent_dir(node.parent.node)
    taken = taken_layers(node, model)
    if node.lora:
        lora.check(model, taken.frozen, averaged=experiment.config.train.average is not None)
    if takes_lowest(node, model) and node.parent.experiment != node.experiment:
        check_features(experiment, folder)
    _check_units(node, experiment, folder, [*taken.frozen, *taken.kept])
    _check_unchanged(node.parent, folder)
    for which, epoch in ((taken.frozen, node.parent.epoch), (taken.kept, kept_epoch(node))):
        if which:
            shapes = weight_shapes(_kept_weights(folder, epoch))
            try:
                layers.check_fit(shapes, model, which)
            except ValueError as error:
                raise ValueError(f"{folder}: {error}") from None


def check_kind(experiment: Experiment, parent: Path) -> None:
    """Raise ValueError if a recogniser is to start from a language model's folder, or vice versa."""
    path = parent / "config.yaml"
    kinds = {True: "a language model", False: "a recogniser"}
    theirs, ours = configuration.load_saved(path).is_language_model, experiment.config.is_language_model
    if theirs != ours:
        raise ValueError(f"{path}: {kinds[theirs]}, and this configuration is of {kinds[ours]}")


def check_features(experiment: Experiment, parent: Path) -> None:
    """Check the features: layers near the input work only on the features that they were trained on.

    Args:
        experiment: to train.
        parent: the folder of the network that layers come from.

    Raises:
        ValueError: naming the first setting that differs, with both values.
    """
    for difference in differences(experiment, parent, "features"):
        raise ValueError(
            f"{parent / 'config.yaml'}: its features are not this configuration's: {difference}; "
            "layers cannot be exchanged"
        )


def differences(experiment: Experiment, parent: Path, section: str) -> list[str]:
    """The settings of `section` that differ in a network's configuration: "... is 4 there and 5 here"."""
    theirs = _flat(
        configuration.load_saved(parent / "config.yaml").at(section).model_dump(mode="json"), section
    )
    ours = _flat(experiment.config.at(section).model_dump(mode="json"), section)
    return [
        f"{key} is {theirs.get(key)} there and {ours.get(key)} here"
        for key in dict.fromkeys([*ours, *theirs])
        if theirs.get(key) != ours.get(key)
    ]


def say_other_settings(experiment: Experiment, folder: Path, sections: Iterable[str] = ("model.",)) -> None:
    """Warn of settings of the network, or of parts of it, that differ; every shape may be the same."""
    read = tuple(sections)
    if others := [one for one in differences(experiment, folder, "model") if one.startswith(read)]:
        log.warning("%s: its network has other settings: %s", folder, ", ".join(others))


def vocabulary_layers(experiment: Experiment) -> tuple[str, ...]:
    """The layers whose shapes depend on how many units there are: output layers, embeddings of labels."""
    size = len(experiment.units())
    first, second = (
        layers.tensors_by_layer(fresh_model(experiment.config, count, init_seed=0))
        for count in (size, size + 1)
    )
    return tuple(
        name
        for name, tensors in first.items()
        if [one.shape for one in tensors.values()] != [other.shape for other in second[name].values()]
    )


def same_units(experiment: Experiment, parent: Path) -> bool:
    """Whether a network's outputs have the same meaning here."""
    units = experiment.units()
    return type(units).load(parent / "tokens.txt") == units


def _kept_weights(folder: Path, epoch: int) -> Path:
    path = weights_of_epoch(folder, epoch)
    if path.exists() or best_epoch(folder) == epoch:
        return path
    if epoch > (last := read_outcome(folder).epochs):
        raise ValueError(f"{path}: no such weights: the training ended after epoch {last}")
    kept = configuration.load_saved(folder / "config.yaml").run.keep_epochs
    if kept != "all":
        raise ValueError(
            f"{path}: no such weights: it was trained with run.keep_epochs: {kept}; delete {folder} to train "
            "it again"
        )
    return path


def _check_units(node: Node, experiment: Experiment, parent: Path, taken: Sequence[str]) -> None:
    """Check the units: an output layer's shape may match although its units have other meanings."""
    if same_units(experiment, parent):
        return
    if wrong := [name for name in vocabulary_layers(experiment) if name in taken]:
        raise ValueError(
            f"node {node.id}: the units of its parent, {parent / 'tokens.txt'}, are not those of "
            f"{experiment.tokens}: {', '.join(wrong)} must be new"
        )


def _check_unchanged(parent: Parent, folder: Path) -> None:
    """Check that a given model's weights are those requested."""
    path = weights_of_epoch(folder, parent.epoch)
    if parent.weights is not None and weights_hash(path) != parent.weights:
        raise ValueError(f"{path}: these are not the weights that the training was begun with")


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {str(index): part for index, part in enumerate(value)}
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}.{key}"))
        else:
            flat[f"{prefix}.{key}"] = value
    return flat
