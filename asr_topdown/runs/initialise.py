"""Build the network that a node trains: fresh, with its parent's layers, and its frozen layers frozen."""

import logging
from collections.abc import Sequence
from pathlib import Path

from asr_topdown import layers
from asr_topdown.config.model import PretrainedConfig, RecognizerConfig
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import lora, parents
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.weights import check_numbers, load_weights, weights_of_epoch

log = logging.getLogger(__name__)


def prepare_model(node: Node, experiment: Experiment, store: Store) -> Model:
    """A fresh model with the parent's layers as `node` specifies, its frozen layers frozen.

    Raises:
        ValueError: naming what does not match, or a pretrained encoder whose weights are unavailable.
    """
    model = experiment.fresh_model(node.init_seed)
    layers.check_partition(model)
    frozen, kept = parents.taken_layers(node, model)
    if node.parent is not None:
        parents.check_parent(node, experiment, store, model)
        folder = store.parent_dir(node.parent.node)
        _transplant(weights_of_epoch(folder, node.parent.epoch), model, frozen)
        if kept:
            _transplant(weights_of_epoch(folder, parents.kept_epoch(node)), model, kept)
    elif node.lora:
        lora.check(model, frozen, averaged=experiment.config.train.average is not None)
    layers.freeze(model, frozen, dropout=node.frozen_dropout == "keep")
    if node.tuning.parameters == "norms_and_biases":
        layers.freeze_all_but_norms_and_biases(model, kept)
    if node.lora:
        lora.adapt(model, frozen, rank=node.lora, seed=node.init_seed)
    taken = () if node.parent is None else frozen + kept
    _check_published(experiment, [name for name in published_layers(model) if name not in taken])
    for name in layers.layer_names(model):
        done = "frozen" if name in frozen else node.start if name in kept else "new weights"
        log.info("layer %s: %s", name, "joint" if node.parent is None and name not in frozen else done)
    return model


def published_layers(model: Model) -> tuple[str, ...]:
    """The layers that begin with the weights of a pretrained encoder.

    Not those by the same names above it: the Transformer on an encoder of twelve layers begins with `enc.12`.
    """
    chain = model.chain() if isinstance(model, Recognizer) else []
    return tuple(name for name, stage in chain if stage.published)


def _check_published(experiment: Experiment, new: Sequence[str]) -> None:
    """Refuse to start a pretrained encoder's layers from random weights because its own are missing.

    Args:
        experiment: to train.
        new: those that are to begin with its weights.
    """
    section = experiment.config.model
    first = section.encoder[0] if isinstance(section, RecognizerConfig) else None
    if not isinstance(first, PretrainedConfig) or first.path or not first.weights:
        return
    if new:
        raise ValueError(
            f"model.encoder.0.path: say where the weights {first.weights} are, with which {new[0]} begins"
        )


def _transplant(path: Path, model: Model, names: Sequence[str]) -> None:
    layers.transplant(load_weights(path), model, names)
    groups = layers.tensors_by_layer(model)
    for name in names:
        check_numbers(path, groups[name])
