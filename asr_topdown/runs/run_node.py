"""Run one node: prepare its network, train it, and say how it went."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.data.augmentation import augment
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import epoch_batches
from asr_topdown.decode.recognize import dev_metrics
from asr_topdown.features.stretch import stretched_lengths
from asr_topdown.files import write_text
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.models.model import Model
from asr_topdown.runs import continuation, lora
from asr_topdown.runs import frozen_prefix as bottom
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.initialise import prepare_model
from asr_topdown.runs.language import language_task
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.train import distributed
from asr_topdown.train.allocator import keep_freed_memory
from asr_topdown.train.checkpoint import Rotation
from asr_topdown.train.epochs import EpochWeights
from asr_topdown.train.rng import derive
from asr_topdown.train.task import Progress, Task
from asr_topdown.train.trainer import Trainer

log = logging.getLogger(__name__)


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
        torch.set_num_threads(experiment.config.run.threads)
        keep_freed_memory()
        # No rank goes on before rank 0 has laid out the folder: a checkpoint may be put there.
        world.from_leader(lambda: _lay_out(folder, node, experiment, store))
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
    if not (experiment.config.schedule.continues and node.epochs < experiment.config.train.epochs):
        Rotation(store.node_dir(node)).clear()
    EpochWeights(store.node_dir(node), experiment.config.train, experiment.config.run).finish(progress.errors)
    return outcome


def _lay_out(folder: Path, node: Node, experiment: Experiment, store: Store) -> None:
    """What makes the folder a model that can be taken away: settings, units, normalisation."""
    write_text(folder / "config.yaml", configuration.dump(experiment.config))
    experiment.units().save(folder / "tokens.txt")
    if (cmvn := experiment.cmvn()) is not None:
        cmvn.save(folder / "cmvn.ark")
    if experiment.config.schedule.continues:
        continuation.take_up(node, store)


def _train(node: Node, experiment: Experiment, store: Store, folder: Path) -> Progress:
    model = prepare_model(node, experiment, store)
    before = layers.fingerprint(model, node.frozen, ignore=lora.MARK)

    def check_frozen(epoch: int) -> None:
        now = layers.fingerprint(model, node.frozen, ignore=lora.MARK)
        assert now == before, f"{folder}: frozen layers {node.frozen} changed in epoch {epoch}"

    make_task = _language_task if experiment.config.is_language_model else _task
    trainer = Trainer(
        model,
        make_task(node, experiment, model, check_frozen),
        experiment.config.train,
        experiment.config.run,
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


def _language_task(
    node: Node, experiment: Experiment, model: Model, check_frozen: Callable[[int], None]
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


def _task(node: Node, experiment: Experiment, model: Model, check_frozen: Callable[[int], None]) -> Task:
    config, vocabulary, cmvn = experiment.config.train, experiment.vocabulary(), experiment.cmvn()
    dev = SpeechDataset.read(experiment.dev, vocabulary, cmvn)
    everything = SpeechDataset.read(experiment.train, vocabulary, cmvn)
    train, dropped = everything.keep_trainable(
        lambda frames: model.output_length(stretched_lengths(frames, 1 - config.tempo_perturb)),  # type: ignore[operator]
        model.frames_needed,  # type: ignore[arg-type]
        config.max_frames,
    )
    for line in dropped:
        log.warning("left out of training: %s", line)
    if not len(train):
        raise ValueError(
            f"{experiment.train}: every utterance is too short for its transcript or too long for max_frames"
        )
    device = distributed.local_device(experiment.device)
    train, dev = bottom.compute_once(model, node, experiment.config, train, dev, device)
    if isinstance(model, CtcAttention):
        model.set_prior(utterance.tokens for utterance in train.utterances)

    def batch(indices: Sequence[int], epoch: int) -> SpeechBatch:
        loaded = train.batch(indices)
        seed = derive(node.init_seed, "augmentation", epoch, *loaded.ids)
        return augment(loaded, tempo_perturb=config.tempo_perturb, specaugment=config.specaugment, seed=seed)

    return Task(
        plan=lambda epoch: epoch_batches(
            train.frames,
            frames_per_batch=config.frames_per_batch,
            utterances_per_batch=config.utterances_per_batch,
            seed=node.init_seed,
            epoch=epoch,
            sortagrad_epochs=config.sortagrad_epochs,
        ),
        batch=batch,
        evaluate=lambda network: dev_metrics(
            network, dev, vocabulary, frames_per_batch=2 * config.frames_per_batch
        ),
        after_epoch=check_frozen,
    )
