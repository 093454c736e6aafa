"""Run one node: build a fresh model, transplant and freeze what the node says, train, and say how it went."""

import contextlib
import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_topdown import config as configuration
from asr_topdown import datadir, layers
from asr_topdown.build import fresh_model
from asr_topdown.config import Config
from asr_topdown.data.augmentation import augment
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.language_model import Dictionary
from asr_topdown.data.language_model import content_hash as text_hash
from asr_topdown.data.sampler import epoch_batches
from asr_topdown.decode.recognize import dev_metrics
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.stretch import stretched_lengths
from asr_topdown.files import write_text
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.text import Vocabulary
from asr_topdown.topdown.language import language_task
from asr_topdown.topdown.node import Node, Outcome
from asr_topdown.topdown.store import Store
from asr_topdown.train import distributed
from asr_topdown.train.allocator import keep_freed_memory
from asr_topdown.train.checkpoint import Rotation
from asr_topdown.train.epochs import EpochWeights
from asr_topdown.train.rng import derive
from asr_topdown.train.task import Progress, Task, weights_of_epoch
from asr_topdown.train.trainer import Trainer
from asr_topdown.weights import load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """A configuration and the data it is trained on.

    Attributes:
        config: all settings.
        train: data directory to train on, holds cmvn.ark; of a language model, a text.
        dev: data directory, or text, that chooses and stops.
        tokens: the vocabulary's file; of a language model, a word in each line.
        device: where to train.
    """

    config: Config
    train: Path
    dev: Path
    tokens: Path
    device: str = "cpu"

    @functools.cached_property
    def id(self) -> str:
        """Hash of what decides a training besides its node: settings, dev set, units, normalisation."""
        digest = hashlib.sha256(self.config.identity().encode())
        digest.update(self._content_hash(self.dev).encode())
        digest.update(self.tokens.read_bytes())
        if not self.config.is_language_model:
            digest.update(self.vocabulary().model)
        if self._has_cmvn:
            digest.update(self._cmvn_file.read_bytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def train_set(self) -> str:
        """Hash of the training data's content."""
        return self._content_hash(self.train)

    def joint(self, seed: int) -> Node:
        """The joint training with initial weights `seed`."""
        return Node(
            experiment=self.id,
            train_set=self.train_set,
            init_seed=seed,
            epochs=self.config.train.epochs,
            patience=self.config.train.patience,
        )

    def vocabulary(self) -> Vocabulary:
        """The units that a recogniser puts out.

        Raises:
            ValueError: naming the file, if it holds other units than the configuration asks for.
        """
        vocabulary, text = Vocabulary.load(self.tokens), self.config.text
        size = text.vocab_size if vocabulary.model else len(vocabulary)
        if (vocabulary.unit, len(vocabulary)) != (text.unit, size):
            raise ValueError(
                f"{self.tokens}: holds {len(vocabulary)} {vocabulary.unit} units, the configuration wants "
                f"{f'{size} ' if vocabulary.unit == text.unit else ''}{text.unit}: "
                "make it again with `asr-topdown tokens`"
            )
        return vocabulary

    def dictionary(self) -> Dictionary:
        """The words that a language model knows."""
        return Dictionary.load(self.tokens)

    def units(self) -> Vocabulary | Dictionary:
        """What the network puts out, whatever its kind."""
        return self.dictionary() if self.config.is_language_model else self.vocabulary()

    def fresh_model(self, init_seed: int) -> nn.Module:
        """A network with the initial weights of `init_seed`."""
        return fresh_model(self.config, len(self.units()), init_seed)

    def layer_names(self) -> tuple[str, ...]:
        """The network's layers, input first."""
        return layers.layer_names(self.fresh_model(0))  # type: ignore[arg-type]

    def cmvn(self) -> Cmvn | None:
        """Global normalisation statistics, if the configuration wants them."""
        return Cmvn.load(self._cmvn_file) if self._has_cmvn else None

    def _content_hash(self, path: Path) -> str:
        return text_hash(path) if self.config.is_language_model else datadir.content_hash(path)

    @property
    def _has_cmvn(self) -> bool:
        return self.config.features.cmvn == "global" and not self.config.is_language_model

    @property
    def _cmvn_file(self) -> Path:
        return self.train / "cmvn.ark"


def run_node(node: Node, experiment: Experiment, store: Store) -> Outcome:
    """Train `node`, or answer from disk if it is finished; killed in between, go on from its checkpoint.

    Of several processes (`train.distributed`) each calls this; rank 0 alone locks and writes.

    Raises:
        ValueError: naming what does not fit: the node and the experiment, a parent's layer, the data.
    """
    world = distributed.current()
    with store.lock(node) if world.leads else contextlib.nullcontext(store.node_dir(node)) as folder:
        finished = world.from_leader(lambda: store.outcome(node))
        if finished is not None:
            return finished
        if node.experiment != experiment.id or node.train_set != experiment.train_set:
            raise ValueError(f"node {node.id} belongs to another configuration or other data than given")
        torch.set_num_threads(experiment.config.train.threads)
        keep_freed_memory()
        if world.leads:
            _write_surroundings(folder, experiment)
        progress = _train(node, experiment, store, folder)
        return world.from_leader(lambda: _finish(node, experiment, store, progress))


def _finish(node: Node, experiment: Experiment, store: Store, progress: Progress) -> Outcome:
    outcome = Outcome(
        node=node,
        error=progress.best_error,
        best_epoch=progress.best_epoch,
        epochs=progress.epoch,
        seconds=round(progress.seconds, 2),
        metrics=progress.best_metrics,
    )
    store.finish(outcome)
    # Only now: a kill before done.json is there must find the checkpoint that says "finished".
    Rotation(store.node_dir(node)).clear()
    EpochWeights(store.node_dir(node), experiment.config.train).finish(progress.errors)
    return outcome


def _write_surroundings(folder: Path, experiment: Experiment) -> None:
    """What makes the folder a model that can be taken away: settings, units, normalisation."""
    write_text(folder / "config.yaml", configuration.dump(experiment.config))
    experiment.units().save(folder / "tokens.txt")
    if (cmvn := experiment.cmvn()) is not None:
        cmvn.save(folder / "cmvn.ark")


def _train(node: Node, experiment: Experiment, store: Store, folder: Path) -> Progress:
    model = prepare_model(node, experiment, store)
    before = layers.fingerprint(model, node.frozen)

    def check_frozen(epoch: int) -> None:
        now = layers.fingerprint(model, node.frozen)
        assert now == before, f"{folder}: frozen layers {node.frozen} changed in epoch {epoch}"

    make_task = _language_task if experiment.config.is_language_model else _task
    trainer = Trainer(
        model,
        make_task(node, experiment, model, check_frozen),
        experiment.config.train,
        epochs=node.epochs,
        patience=node.patience,
        seed=node.init_seed,
        folder=folder,
        device=distributed.local_device(experiment.device),
    )
    progress = trainer.run()
    best, error, metric = progress.best_epoch, progress.best_error, experiment.config.train.metric
    log.info("%s: best epoch %d of %d, dev error (%s) %.4f", node.id, best, progress.epoch, metric, error)
    return progress


def prepare_model(node: Node, experiment: Experiment, store: Store) -> nn.Module:
    """A fresh model with the parent's layers in it as `node` says, its frozen layers frozen."""
    model = experiment.fresh_model(node.init_seed)
    layers.check_partition(model)
    names = list(layers.tensors_by_layer(model))
    frozen = layers.select(names, node.frozen, what="frozen")
    free = [name for name in names if name not in frozen]
    if node.parent is not None:
        _check_units(node, experiment, store, names[-1] in frozen or node.start != "reinit")
        layers.transplant(_parent_weights(node, store), model, frozen)
        if node.rewind_epoch is not None:
            layers.transplant(_weights(store, node.parent.node, node.rewind_epoch), model, free)
        elif node.start == "keep":
            layers.transplant(_parent_weights(node, store), model, free)
    layers.freeze(model, frozen, dropout=node.frozen_dropout == "keep")
    for name in names:
        done = "frozen" if name in frozen else {"reinit": "new weights"}.get(node.start, node.start)
        log.info("layer %s: %s", name, "joint" if node.parent is None else done)
    return model


def _check_units(node: Node, experiment: Experiment, store: Store, output_is_parents: bool) -> None:
    """Refuse an output layer whose units mean something else here, though its shape may fit."""
    assert node.parent is not None
    theirs, units = store.node_dir(node.parent.node) / "tokens.txt", experiment.units()
    if output_is_parents and type(units).load(theirs) != units:
        raise ValueError(
            f"node {node.id}: the units of its parent, {theirs}, are not those of {experiment.tokens}: "
            "the output layer must be new"
        )


def _parent_weights(node: Node, store: Store) -> dict[str, Tensor]:
    assert node.parent is not None
    return _weights(store, node.parent.node, node.parent.epoch)


def _weights(store: Store, node: str, epoch: int) -> dict[str, Tensor]:
    return load_weights(weights_of_epoch(store.node_dir(node), epoch))


def _language_task(
    node: Node, experiment: Experiment, model: nn.Module, check_frozen: Callable[[int], None]
) -> Task:
    return language_task(
        experiment.config,
        experiment.dictionary(),
        experiment.train,
        experiment.dev,
        seed=node.init_seed,
        device=torch.device(experiment.device),
        after_epoch=check_frozen,
    )


def _task(node: Node, experiment: Experiment, model: nn.Module, check_frozen: Callable[[int], None]) -> Task:
    config, vocabulary, cmvn = experiment.config.train, experiment.vocabulary(), experiment.cmvn()
    dev = SpeechDataset.read(experiment.dev, vocabulary, cmvn)
    everything = SpeechDataset.read(experiment.train, vocabulary, cmvn)
    train, dropped = everything.keep_trainable(
        lambda frames: model.output_length(stretched_lengths(frames, 1 - config.stretch)),  # type: ignore[operator]
        model.frames_needed,  # type: ignore[arg-type]
    )
    for line in dropped:
        log.warning("left out of training: %s", line)
    if not len(train):
        raise ValueError(f"{experiment.train}: no utterance is long enough for its transcript")
    if isinstance(model, CtcAttention):
        model.set_prior(utterance.tokens for utterance in train.utterances)

    def batch(indices: Sequence[int], epoch: int) -> SpeechBatch:
        loaded = train.batch(indices)
        seed = derive(node.init_seed, "augmentation", epoch, *loaded.ids)
        return augment(loaded, stretch=config.stretch, specaugment=config.specaugment, seed=seed)

    return Task(
        plan=lambda epoch: epoch_batches(
            train.frames,
            frames_per_batch=config.frames_per_batch,
            utterances_per_batch=config.utterances_per_batch,
            seed=node.init_seed,
            epoch=epoch,
            sorted_epochs=config.sorted_epochs,
        ),
        batch=batch,
        evaluate=lambda network: dev_metrics(
            network, dev, vocabulary, frames_per_batch=2 * config.frames_per_batch
        ),
        after_epoch=check_frozen,
    )
