"""The network that a node trains: fresh, with its parent's layers in it, the frozen ones frozen."""

import logging

from torch import Tensor

from asr_topdown import layers
from asr_topdown.models.model import Model
from asr_topdown.runs import lora
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.weights import load_weights, weights_of_epoch

log = logging.getLogger(__name__)


def prepare_model(node: Node, experiment: Experiment, store: Store) -> Model:
    """A fresh model with the parent's layers in it as `node` says, its frozen layers frozen."""
    model = experiment.fresh_model(node.init_seed)
    layers.check_partition(model)
    names = list(layers.tensors_by_layer(model))
    frozen = layers.select(names, node.frozen, what="frozen")
    fresh = layers.select(names, node.fresh, what="fresh")
    kept = [name for name in names if name not in frozen + fresh and node.start != "reinit"]
    if node.parent is not None:
        _check_units(node, experiment, store, names[-1] in [*frozen, *kept])
        layers.transplant(_weights(store, node.parent.node, node.parent.epoch), model, frozen)
        epoch = node.parent.epoch if node.rewind_epoch is None else node.rewind_epoch
        if kept:
            layers.transplant(_weights(store, node.parent.node, epoch), model, kept)
    layers.freeze(model, frozen, dropout=node.frozen_dropout == "keep")
    if node.lora:
        if experiment.config.train.average is not None:
            raise ValueError(f"node {node.id}: LoRA and train.average do not go together")
        lora.adapt(model, frozen, rank=node.lora, seed=node.init_seed)
    for name in names:
        done = "frozen" if name in frozen else node.start if name in kept else "new weights"
        log.info("layer %s: %s", name, "joint" if node.parent is None and name not in frozen else done)
    return model


def _check_units(node: Node, experiment: Experiment, store: Store, output_is_parents: bool) -> None:
    """Refuse an output layer whose units mean something else here, though its shape may fit."""
    assert node.parent is not None
    theirs, units = store.parent_dir(node.parent.node) / "tokens.txt", experiment.units()
    if output_is_parents and type(units).load(theirs) != units:
        raise ValueError(
            f"node {node.id}: the units of its parent, {theirs}, are not those of {experiment.tokens}: "
            "the output layer must be new"
        )


def _weights(store: Store, node: str, epoch: int) -> dict[str, Tensor]:
    return load_weights(weights_of_epoch(store.parent_dir(node), epoch))
