"""Whether a parent's layers mean the same here, and fit: checked before anything is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.models.model import Model
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.weights import weight_shapes, weights_of_epoch


class Taken(NamedTuple):
    """Which layers a node takes from its parent, input first: those it freezes, and those it trains on."""

    frozen: tuple[str, ...]
    kept: tuple[str, ...]


def taken_layers(node: Node, model: Model) -> Taken:
    """What `node` takes over into `model`.

    Raises:
        ValueError: if it names a layer that the model does not have.
    """
    names = layers.layer_names(model)
    frozen = layers.select(names, node.frozen, what="frozen")
    fresh = layers.select(names, node.fresh, what="fresh")
    kept = tuple(name for name in names if name not in frozen + fresh and node.start != "reinit")
    return Taken(frozen, kept)


def kept_epoch(node: Node) -> int:
    """The epoch of the parent that the layers which are trained on come from."""
    assert node.parent is not None
    return node.parent.epoch if node.rewind_epoch is None else node.rewind_epoch


def check_parent(node: Node, experiment: Experiment, store: Store, model: Model) -> None:
    """Refuse to take over layers that were trained on other features or for other units, or do not fit.

    Args:
        node: with a parent, whose folder is here or in one of the store's sources.
        experiment: the node's.
        store: where the parent is.
        model: a network of the experiment.

    Raises:
        ValueError: naming the setting, the units or the tensor that differs, with both values.
    """
    assert node.parent is not None
    folder = store.parent_dir(node.parent.node)
    names, taken = layers.layer_names(model), taken_layers(node, model)
    if names[0] in [*taken.frozen, *taken.kept] and node.parent.experiment != node.experiment:
        _check_features(experiment, folder)
    if names[-1] in [*taken.frozen, *taken.kept]:
        _check_units(node, experiment, folder)
    for which, epoch in ((taken.frozen, node.parent.epoch), (taken.kept, kept_epoch(node))):
        if which:
            shapes = weight_shapes(weights_of_epoch(folder, epoch))
            try:
                layers.check_fit(shapes, model, which)
            except ValueError as error:
                raise ValueError(f"{folder}: {error}") from None


def _check_features(experiment: Experiment, parent: Path) -> None:
    """Layers near the input mean something only over the features that they were trained on."""
    path = parent / "config.yaml"
    theirs = _flat(configuration.load(path).features.model_dump(mode="json"))
    for key, value in _flat(experiment.config.features.model_dump(mode="json")).items():
        if theirs.get(key) != value:
            raise ValueError(
                f"{path}: its features are not this configuration's: {key} is {theirs.get(key)} there "
                f"and {value} here; layers cannot be exchanged"
            )


def _check_units(node: Node, experiment: Experiment, parent: Path) -> None:
    """An output layer's shape may fit where its units mean something else."""
    theirs, units = parent / "tokens.txt", experiment.units()
    if type(units).load(theirs) != units:
        raise ValueError(
            f"node {node.id}: the units of its parent, {theirs}, are not those of {experiment.tokens}: "
            "the output layer must be new"
        )


def _flat(values: Mapping[str, Any], prefix: str = "features") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}.{key}"))
        else:
            flat[f"{prefix}.{key}"] = value
    return flat
