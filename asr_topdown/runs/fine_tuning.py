"""Fine-tuning: a training that starts from the weights of a model folder anywhere."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from asr_topdown.decode.model import best_epoch
from asr_topdown.layers import layer_names
from asr_topdown.runs import parents
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.initialise import published_layers
from asr_topdown.runs.store import Store, read_node
from asr_topdown.schedule import layer_patterns
from asr_topdown.schedule.node import Node, Parent
from asr_topdown.schedule.tuning import PLAIN, Tuning
from asr_topdown.weights import weights_hash, weights_of_epoch

log = logging.getLogger(__name__)


def source_of(folder: Path) -> dict[str, Path]:
    """What a `Store` must know of a model folder to accept it as a parent.

    Raises:
        ValueError, FileNotFoundError: naming the folder or file, if it holds no finished model.
    """
    best_epoch(folder)
    return {read_node(folder / "node.json").id: folder.resolve()}


def fine_tuning(
    experiment: Experiment,
    folder: Path,
    store: Store,
    *,
    seed: int,
    freeze: Iterable[str] = (),
    fresh: Iterable[str] = (),
    lora: int = 0,
    tuning: Tuning = PLAIN,
) -> Node:
    """The training that starts from the best epoch of the model in `folder` and fine-tunes all layers.

    If the units differ, the layers that depend on them are reinitialised, and the log says so.

    Args:
        experiment: to train; with `cmvn_source`, normalised like the model in that folder.
        folder: of a finished model.
        store: made with `source_of(folder)`.
        seed: of new weights and all other randomness.
        freeze: patterns (`schedule.layer_patterns`) of layers that keep the model's weights throughout.
        fresh: patterns of layers to reinitialise.
        lora: rank of the adapters trained in the frozen layers; 0 = none.
        tuning: how the other layers that are not new are fine-tuned.

    Raises:
        ValueError: naming what does not match between the two configurations: features, units, layers.
    """
    parents.check_kind(experiment, folder)
    names = experiment.layer_names()
    frozen = layer_patterns.match(names, freeze, what="--freeze")
    new = layer_patterns.match(names, fresh, what="--fresh")
    if both := [name for name in frozen if name in new]:
        raise ValueError(f"--freeze and --fresh: {', '.join(both)} cannot be both")
    _check_cmvn(experiment)
    new = (*new, *_new_for_units(experiment, folder, frozen, new))
    _check_something_is_left(len(names), folder, frozen, new, lora, tuning)
    source = read_node(folder / "node.json")
    epoch = best_epoch(folder)
    node = replace(
        experiment.joint(seed),
        parent=Parent(
            experiment=source.experiment,
            node=source.id,
            epoch=epoch,
            weights=weights_hash(weights_of_epoch(folder, epoch)),
        ),
        start="keep",
        frozen=frozen,
        fresh=new,
        lora=lora,
        tuning=tuning,
        frozen_dropout=experiment.config.schedule.frozen_dropout,
    )
    _check_fit(node, experiment, folder, store)
    log.info("starts from epoch %d of %s", epoch, folder)
    return node


def frozen_encoder(experiment: Experiment, *, seed: int, freeze: Iterable[str], lora: int = 0) -> Node:
    """The training on top of a pretrained encoder some or all of whose layers stay frozen.

    Args:
        experiment: to train; its encoder is a pretrained one, or starts with one.
        seed: of new weights and all other randomness.
        freeze: patterns (`schedule.layer_patterns`) of layers.
        lora: rank of the adapters trained in the frozen layers; 0 = none.

    Raises:
        ValueError: naming a layer that does not exist, or that has no pretrained weights.
    """
    model = experiment.fresh_model(seed)
    frozen = layer_patterns.match(layer_names(model), freeze, what="--freeze")
    published = published_layers(model)
    if others := [name for name in frozen if name not in published]:
        raise ValueError(f"--freeze: {', '.join(others)} would be frozen at random: say --init MODEL")
    kept = experiment.config.schedule.frozen_dropout
    return replace(experiment.joint(seed), frozen=frozen, lora=lora, frozen_dropout=kept)


def _check_something_is_left(
    layers: int, folder: Path, frozen: Sequence[str], new: Sequence[str], lora: int, tuning: Tuning
) -> None:
    """Check that the request leaves some layers to train, to transfer, to adapt and to tune."""
    for option, chosen, why in (
        ("--freeze", () if lora else frozen, "nothing would be trained"),
        ("--fresh", new, f"nothing would be left of {folder}"),
    ):
        if len(chosen) == layers:
            raise ValueError(f"{option}: these are all layers: {why}")
    if lora and not frozen:
        raise ValueError("train.init.lora: adapters are trained in frozen layers: --freeze says which")
    if tuning and len(frozen) + len(new) == layers:
        raise ValueError(f"train.tuning ({tuning.text()}): no layer of {folder} would be trained on")


def _check_cmvn(experiment: Experiment) -> None:
    if experiment.cmvn_source is None:
        return
    if not experiment.has_cmvn:
        raise ValueError("--keep-cmvn: this configuration normalises nothing (features.cmvn)")
    parents.check_features(experiment, experiment.cmvn_source)


def _new_for_units(
    experiment: Experiment, folder: Path, frozen: tuple[str, ...], new: tuple[str, ...]
) -> tuple[str, ...]:
    """The layers to reinitialise because the units differ from the model's."""
    if parents.same_units(experiment, folder):
        return ()
    depending = parents.vocabulary_layers(experiment)
    if wrong := [name for name in depending if name in frozen]:
        raise ValueError(
            f"--freeze: {', '.join(wrong)} cannot be frozen: the units of {experiment.tokens} are not those "
            f"of {folder / 'tokens.txt'}"
        )
    added = tuple(name for name in depending if name not in new)
    if added:
        log.info(
            "%s has other units than %s: new weights for %s",
            experiment.tokens, folder / "tokens.txt", ", ".join(added),
        )  # fmt: skip
    return added


def _check_fit(node: Node, experiment: Experiment, folder: Path, store: Store) -> None:
    """Refuse mismatches, and report network settings that differ without changing a shape."""
    others = parents.differences(experiment, folder, "model")
    said = f"; of the configurations, {', '.join(others)}" if others else ""
    try:
        parents.check_parent(node, experiment, store, experiment.fresh_model(node.init_seed))
    except ValueError as error:
        raise ValueError(f"{error}{said}") from None
    parents.say_other_settings(experiment, folder)
