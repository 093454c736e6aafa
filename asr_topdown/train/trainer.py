"""One training loop for all models. It knows nothing about schedules: it trains what requires a gradient."""

import contextlib
import copy
import itertools
import logging
import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_topdown.config.run import RunConfig
from asr_topdown.config.train import TrainConfig
from asr_topdown.engines import interruption
from asr_topdown.models.model import Model
from asr_topdown.nn import matrix_product, precision
from asr_topdown.train import distributed, optim, peak_memory, products, rng
from asr_topdown.train.checkpoint import CheckpointPair
from asr_topdown.train.compiled import compile_blocks
from asr_topdown.train.epochs import EpochWeights
from asr_topdown.train.layerwise import Layerwise
from asr_topdown.train.loss_meter import LossMeter
from asr_topdown.train.metrics import MetricsLog
from asr_topdown.train.plateau import DevScore, Plateau, Verdict
from asr_topdown.train.progress import Progress
from asr_topdown.train.read_ahead import read_ahead, usual_workers
from asr_topdown.train.task import Task
from asr_topdown.train.training_log import TrainingLog, numbers
from asr_topdown.train.updates import BatchShare, Updates
from asr_topdown.weights import load_weights

log = logging.getLogger(__name__)

Plan = Sequence[Sequence[int]]


class Trainer:
    """Train `model` until the dev error has not improved for `patience` epochs, or for `max_epochs` epochs.

    After a kill at any moment, a new `Trainer` with the same arguments resumes from the last checkpoint and
    ends, on the CPU and with the same number of processes, with exactly the same bits.

    Args:
        model: the network, layers already frozen; only what requires a gradient is trained.
        task: the data.
        config: the training settings.
        run: how it runs, which changes no result.
        max_epochs: maximum number of epochs.
        patience: epochs without improvement before it stops; 0 = never.
        seed: of dropout.
        folder: the run's folder: checkpoints, metrics, weights.
        device: where to train.
        layerwise: layer-specific settings.

    Attributes:
        progress: of the run.
        precision: what it computes in, which is `train.precision` if the device has it.
        products: which library computes which matrix product; known once it has begun.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        config: TrainConfig,
        run: RunConfig,
        *,
        max_epochs: int,
        patience: int,
        seed: int,
        folder: Path,
        device: torch.device,
        layerwise: Layerwise | None = None,
    ) -> None:
        self.model = model.to(device)
        self.task = task
        self.config = config
        self.run_config = run
        self.max_epochs = max_epochs
        self.plateau = Plateau.of(config, patience)
        self.seed = seed
        self.folder = folder
        self.device = device
        self.world = distributed.current()
        if config.compile:
            compile_blocks(self.model)
        self.updates = Updates(self.model, config, self.world, layerwise)
        self.optimizer = self.updates.optimizer
        self.checkpoints = CheckpointPair(folder)
        self.weights = EpochWeights(folder, config, run)
        self.progress = Progress()
        self.precision = precision.available(config.precision, device)
        self.products: matrix_product.Choices = {}
        self._workers = usual_workers(device) if run.num_workers is None else run.num_workers
        self._best_state: dict[str, Tensor] | None = None

    def epochs(self) -> Iterator[int]:
        """Train, and yield each epoch's number after its last step, before it is evaluated and saved.

        At the end the folder has the weights of the best epoch, and the average if requested.

        Raises:
            ValueError: if a loss is not finite (naming the utterances), or the checkpoint cannot be used.
            Interrupted: after a checkpoint, if the process was asked to stop.
        """
        self._begin()
        with (
            MetricsLog(self.folder, resume_after=self.progress.step, write=self.world.leads) as metrics,
            interruption.deferred(),
            matrix_product.installed(self.products),
        ):
            told = TrainingLog(metrics, self.max_epochs, self.plateau)
            while not self.progress.finished:
                started = time.monotonic() - self.progress.epoch_seconds
                self._train_epoch(told, started)
                yield self.progress.epoch
                self._end_epoch(told, started)
                if not self.progress.finished:
                    self._end_if_asked()
        if self.config.average:
            self._average()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if remark := precision.slowness(self.config.precision, self.device):
            log.warning(remark)
        precision.set_tf32(self.config.precision, self.device)
        peak_memory.reset(self.device)
        rng.seed_dropout(self.seed, self.world.rank)
        kept = self._resume()
        self.products = products.chosen(
            self.model, self.run_config, self.precision, self.device, self.world, kept
        )
        if not self.progress.finished and self.world.leads:
            self.weights.forget_average()

    def _train_epoch(self, told: TrainingLog, started: float) -> None:
        progress, run = self.progress, self.run_config
        plan = self.task.epoch(progress.epoch)
        self.model.train()
        self.updates.holding.start_epoch()
        if not progress.batches_done:
            self.updates.start_epoch()
        meter, saved = LossMeter(), time.monotonic()
        with contextlib.closing(self._steps(plan)) as steps:
            for indices, shares in steps:
                progress.step += 1
                lr_scale = math.fsum(map(self.task.lr_scale, indices)) / len(indices)
                self.updates.step(
                    shares, lr_scale=lr_scale, epoch=progress.epoch, number=progress.step, meter=meter
                )
                meter.frames += sum(map(self.task.frames, indices))
                progress.batches_done += len(indices)
                last = progress.batches_done == len(plan)
                due = interruption.requested() or time.monotonic() - saved > 60 * run.checkpoint_minutes
                reading = last or progress.step % run.log_interval == 0
                if not self.world.alone:  # one clock for all, and asked only where they meet anyway
                    due = reading and self.world.from_leader(lambda due=due: due)  # type: ignore[misc]
                if due or reading:
                    self._read(meter, told, len(plan))
                if due and not last:
                    progress.epoch_seconds = time.monotonic() - started
                    self._save()
                    self._end_if_asked()
                    saved = time.monotonic()

    def _steps(self, plan: Plan) -> Generator[tuple[Plan, list[BatchShare]], None, None]:
        """The batches of each remaining step of an epoch, as indices and loaded."""
        epoch, count = self.progress.epoch, self.config.grad_accumulation
        left = plan[self.progress.batches_done :]

        def load(indices: Sequence[int]) -> BatchShare:
            return self.updates.share(self.task.load(indices, epoch))

        with contextlib.closing(read_ahead(load, left, workers=self._workers)) as loaded:
            for first in range(0, len(left), count):
                yield left[first : first + count], list(itertools.islice(loaded, count))

    def _read(self, meter: LossMeter, told: TrainingLog, batches: int) -> None:
        """Copy the losses since the last reading to the host, check and log them."""
        progress, summary = self.progress, meter.read(self.world)
        if summary.culprits:
            raise ValueError(
                f"{self.folder}: the loss is not finite in epoch {progress.epoch}, at or before step "
                f"{progress.step}; first utterances: {', '.join(summary.culprits[:5])} "
                f"(try a lower train.optimizer.lr or train.grad_clip)"
            )
        # One by one: the sum must not depend on where the readings fall, or a resumed log would differ.
        for loss in summary.losses:
            progress.loss_sum += loss
        progress.utterances += len(summary.losses)
        told.step(progress, summary, lr=self.updates.lr(progress.step), batches=batches)

    def _end_epoch(self, told: TrainingLog, started: float) -> None:
        progress = self.progress
        self.world.settle(self.model)
        with optim.averaged_weights(self.optimizer):
            dev = self._evaluate()
            progress.scores.append(DevScore.of(dev, self.config.metric))
            if self.world.leads:
                self.weights.save(self.model, progress.scores)
        verdict = self.plateau.verdict(progress.scores)
        self._obey(verdict, dev)
        seconds = time.monotonic() - started
        progress.seconds += seconds
        progress.peak_memory = max(progress.peak_memory, peak_memory.read(self.device))
        best, last = verdict is Verdict.BEST, verdict is Verdict.STOP
        told.epoch(progress, dev, seconds=seconds, best=best, last=last)
        progress.advance(finished=last or progress.epoch >= self.max_epochs)
        self._save()
        if self.world.leads:
            self.weights.prune(progress.scores)

    def _evaluate(self) -> dict[str, float]:
        """The dev metrics, measured by rank 0."""
        self.model.eval()
        with torch.no_grad():
            return self.world.from_leader(lambda: dict(self.task.evaluate(self.model)))

    def _obey(self, verdict: Verdict, dev: Mapping[str, float]) -> None:
        """Keep the best epoch's metrics, or adapt the optimiser."""
        progress, rule = self.progress, self.config.optimizer
        if verdict is Verdict.BEST:
            progress.best_metrics = {name: float(value) for name, value in dev.items()}
            if rule.plateau == "decay_eps":
                self._best_state = copy.deepcopy(self.model.state_dict())
        elif verdict is Verdict.DECAY:
            done = optim.decay(self.optimizer, rule)
            if rule.plateau == "decay_eps" and self._best_state is not None:
                self.model.load_state_dict(self._best_state)
                done = f"back to epoch {progress.best_epoch}, {done}"
            log.info("dev %s no longer falls: %s", self.config.metric, done)

    def _average(self) -> None:
        """Store the averaged weights in the folder and the model, and evaluate them."""
        path = self.world.from_leader(lambda: self.weights.average(self.progress.scores))
        self.model.load_state_dict(load_weights(path))
        dev = self._evaluate()
        self.progress.best_metrics |= {f"average_{name}": float(value) for name, value in dev.items()}
        log.info("average of %s: dev %s", self.weights.averaged(self.progress.scores), numbers(dev))

    def _end_if_asked(self) -> None:
        if interruption.requested():
            log.warning("asked to end: saved in epoch %d, step %d", self.progress.epoch, self.progress.step)
        interruption.check()

    def _save(self) -> None:
        generators = self.world.gather(rng.state(self.device))
        if not self.world.leads:
            return
        self.checkpoints.save(
            {
                "model": self.model.state_dict(),
                "best": self._best_state,
                "updates": self.updates.state(),
                "rng": generators,
                "progress": self.progress.state(),
                "products": dict(self.products),
            }
        )

    def _resume(self) -> matrix_product.Choices | None:
        """Continue from the checkpoint, and return its choice of matrix products; None if there is none."""
        state, remark = self.checkpoints.load()
        if remark:
            log.warning("%s; resuming from the one before", remark)
        if state is not None:
            self._restore(state)
            log.info("resuming in epoch %d at step %d", self.progress.epoch, self.progress.step)
        # Nobody writes before all have read, and all must have read the same.
        steps = self.world.gather(self.progress.step)
        assert len(set(steps)) == 1, (
            f"{self.checkpoints.newest}: not the same in all processes, steps {steps}"
        )
        return None if state is None else state.get("products")

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            self.updates.restore(state["updates"])
        except ValueError as error:
            raise ValueError(f"{self.checkpoints.newest}: {error}") from None
        self.model.load_state_dict(state["model"])
        self._best_state = state["best"]
        self.progress = progress = Progress.restored(state["progress"])
        stopped = self.plateau.verdict(progress.scores) is Verdict.STOP
        if progress.finished and not stopped and progress.epoch < self.max_epochs:
            # It ended because its epochs were over, and has more now: it goes on as if it never had.
            progress.finished = False
            progress.epoch += 1
        generators = state["rng"]
        if len(generators) == self.world.size:
            rng.restore(generators[self.world.rank], self.device)
        else:
            log.info("the checkpoint is of %d processes, here are %d", len(generators), self.world.size)
            rng.seed_dropout(self.seed, self.world.rank, "resumed", progress.step)
