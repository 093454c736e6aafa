"""Run one node: prepare its network, train it, and record the outcome."""

import contextlib
import logging
from collections.abc import Container
from pathlib import Path

import torch

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.data.inputs import read_utterances
from asr_topdown.engines import interruption
from asr_topdown.files import write_text
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn import matrix_product
from asr_topdown.nn.reuse import keep_memory_and_kernels
from asr_topdown.runs import about, continuation, frozen_prefix, lora
from asr_topdown.runs.dev_error import decoder_of, with_dev_error
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.initialise import prepare_model
from asr_topdown.runs.layer_plan import layer_plan
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import LOWEST_LOSS_EPOCH, Node, Outcome
from asr_topdown.train import distributed
from asr_topdown.train.checkpoint import CheckpointPair
from asr_topdown.train.epochs import EpochWeights
from asr_topdown.train.language_task import LanguageTask
from asr_topdown.train.speech_task import SpeechTask, check_dev, trainable
from asr_topdown.train.task import Task
from asr_topdown.train.trainer import Trainer

log = logging.getLogger(__name__)


def run_node(node: Node, experiment: Experiment, store: Store) -> Outcome:
    """Train `node`, or read it from disk if it is finished; after a kill, resume from its checkpoint.

    With several processes (`train.distributed`) each calls this; only rank 0 locks and writes.

    Raises:
        ValueError: naming a mismatch: of node and experiment, of a parent's layer, in the data.
    """
    world = distributed.current()
    with store.lock(node) if world.leads else contextlib.nullcontext(store.node_dir(node)) as folder:
        trained = world.from_leader(lambda: store.outcome(node))
        if not world.from_leader(lambda: experiment.owns(node)):
            raise ValueError(
                f"node {node.id} belongs to another configuration or to other data than these are"
            )
        torch.set_num_threads(experiment.config.run.threads)
        if trained is None:
            keep_memory_and_kernels()
            # No rank goes on before rank 0 has laid out the folder: a checkpoint may be put there.
            world.from_leader(lambda: _lay_out(folder, node, experiment, store))
            trained = _train(node, experiment, store, folder)
        outcome = trained
        return world.from_leader(lambda: _finish(outcome, experiment, store))


def _lay_out(folder: Path, node: Node, experiment: Experiment, store: Store) -> None:
    """Write what makes the folder a self-contained model: settings, units, normalisation."""
    write_text(folder / "config.yaml", configuration.dump(experiment.config))
    experiment.units().save(folder / "tokens.txt")
    if (cmvn := experiment.cmvn()) is not None:
        cmvn.save(folder / "cmvn.ark")
    if experiment.config.schedule.continues:
        continuation.continue_from_shorter(node, store)
    if not CheckpointPair(folder).exist and any(folder.glob("epoch-*.safetensors")):
        log.warning(
            "%s: has weights, but neither done.json nor a checkpoint: it is trained again from the start",
            folder,
        )


def _train(node: Node, experiment: Experiment, store: Store, folder: Path) -> Outcome:
    """The outcome of the training without its error, which is not known yet."""
    config = experiment.config.train
    model = prepare_model(node, experiment, store)
    task = make_task(node, experiment, model, folder)
    if distributed.current().leads:
        about.write(folder, model, experiment, task)
    still = frozenset(name for name, one in model.named_parameters() if not one.requires_grad)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    frozen = _frozen(model, node, still)
    trainer = Trainer(
        model,
        task,
        config,
        experiment.config.run,
        max_epochs=node.epochs,
        patience=node.patience,
        seed=node.init_seed,
        folder=folder,
        device=distributed.local_device(experiment.device),
        layerwise=layer_plan(node, model, config.layer_l2),
    )
    for epoch in trainer.epochs():
        now = _frozen(model, node, still)
        assert now == frozen, f"{folder}: frozen layers {node.frozen} or parameters changed in epoch {epoch}"
    if distributed.current().leads:
        about.add_products(folder, _products(trainer))
    return _outcome(node, trainer, config.metric, trained)


def _products(trainer: Trainer) -> str:
    products, asked = matrix_product.described(trainer.products), trainer.config.precision
    return products if trainer.precision == asked else f"{products}; {trainer.precision}, not {asked}"


def _outcome(node: Node, trainer: Trainer, metric: str, trained: int) -> Outcome:
    progress, best = trainer.progress, trainer.progress.best_score
    log.info(
        "%s: best epoch %d of %d, dev %s %.4f",
        node.id, progress.best_epoch, progress.epoch, metric, best.error,
    )  # fmt: skip
    if best.silent:
        log.warning(
            "%s: the training ended with a greedy dev CER of 100 %%: its network recognises nothing; it may "
            "need more epochs (train.epochs, patience, grace_epochs) or smaller batches", node.id,
        )  # fmt: skip
    return Outcome(
        node=node,
        error=best.error,
        best_epoch=progress.best_epoch,
        epochs=progress.epoch,
        seconds=round(progress.seconds, 2),
        metrics={
            **progress.dev_metrics(),
            LOWEST_LOSS_EPOCH: progress.lowest_loss_epoch,
            "trainable_parameters": trained,
            "peak_memory": progress.peak_memory,
        },
    )


def _frozen(model: Model, node: Node, still: Container[str]) -> tuple[str, str]:
    """Fingerprints of the frozen layers, their buffers too, and of all parameters `still` in others."""
    others = [name for name in layers.layer_names(model) if name not in node.frozen]
    return (
        layers.fingerprint(model, node.frozen, ignore=lora.MARK),
        layers.fingerprint(model, others, only=still),
    )


def make_task(node: Node, experiment: Experiment, model: Model, folder: Path) -> Task:
    """The training data of `node`, batched for `model`; `folder` is for temporary files.

    Raises:
        ValueError: naming data that are missing, damaged, or unusable for this network.
    """
    device = distributed.local_device(experiment.device)
    if experiment.config.is_language_model:
        return LanguageTask(
            experiment.train,
            experiment.dev,
            experiment.word_vocabulary(),
            experiment.config.language_model,
            seed=node.init_seed,
            device=device,
        )
    assert isinstance(model, Recognizer)
    config, features = experiment.config.train, experiment.config.features
    vocabulary, cmvn = experiment.vocabulary(), experiment.cmvn()
    train = trainable(read_utterances(experiment.train, vocabulary, features, cmvn), model, config)
    dev = read_utterances(experiment.dev, vocabulary, features, cmvn)
    check_dev(dev, model)
    model.set_prior(utterance.tokens for utterance in train.utterances)
    train, dev = frozen_prefix.compute_once(model, node, experiment.config, train, dev, device, folder)
    return SpeechTask(train, dev, vocabulary, config, seed=node.init_seed)


def _finish(outcome: Outcome, experiment: Experiment, store: Store) -> Outcome:
    """Decode the dev set if necessary, write the outcome, and clean up.

    After a kill, running the node again completes this.
    """
    node, folder = outcome.node, store.node_dir(outcome.node)
    decoded = store.outcome(node) is not None and outcome.decoder == decoder_of(experiment)
    if not decoded:
        outcome = with_dev_error(outcome, experiment, folder)
        if not experiment.owns(node):
            CheckpointPair(folder).clear()
            raise ValueError(f"{folder}: the data were changed while this was trained; it is not kept")
    # A request to stop would release the lock, and a finished node without one is not looked at again.
    with interruption.unbroken():
        if not decoded:
            store.finish(outcome)
        # As it was trained: a later study, which may keep less, has only come to decode the dev set again.
        trained = configuration.load_saved(folder / "config.yaml")
        # Only now: a kill before done.json is there must find the checkpoint that says "finished".
        if not (trained.schedule.continues and node.epochs < trained.train.epochs):
            CheckpointPair(folder).clear()
        EpochWeights(folder, trained.train, trained.run).finish(outcome.best_epoch)
    return outcome
