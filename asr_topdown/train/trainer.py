"""One training loop for every model. It knows nothing of schedules: it trains what requires a gradient."""

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_topdown.config.run import RunConfig
from asr_topdown.config.train import TrainConfig
from asr_topdown.engines import interruption
from asr_topdown.models.model import Model
from asr_topdown.train import distributed, optim, precision, rng
from asr_topdown.train.checkpoint import Rotation
from asr_topdown.train.epochs import EpochWeights, dev_error
from asr_topdown.train.metrics import MetricsLog
from asr_topdown.train.nt_asgd import NtAsgd
from asr_topdown.train.task import Progress, Task, Window
from asr_topdown.train.updates import Updates
from asr_topdown.weights import load_weights

log = logging.getLogger(__name__)


class Trainer:
    """Train `model` until the dev error has not improved for `patience` epochs, or for `epochs` epochs.

    Killed at any moment, a new `Trainer` with the same arguments goes on from the last checkpoint and
    ends, on the CPU and with as many processes, with the very same bits.

    Args:
        model: the network, layers already frozen; only what requires a gradient is trained.
        task: the data.
        config: the training settings.
        run: how it runs, which changes no result.
        epochs: most epochs.
        patience: epochs without improvement before it stops; 0 = never.
        seed: of dropout.
        folder: the run's folder: checkpoints, metrics, weights.
        device: where to train.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        config: TrainConfig,
        run: RunConfig,
        *,
        epochs: int,
        patience: int,
        seed: int,
        folder: Path,
        device: torch.device,
    ) -> None:
        self.model = model.to(device)
        self.task = task
        self.config = config
        self.run_config = run
        self.epochs = epochs
        self.patience = patience
        self.seed = seed
        self.folder = folder
        self.device = device
        self.world = distributed.current()
        self.updates = Updates(self.model, config, self.world)
        self.optimizer = self.updates.optimizer
        self.checkpoints = Rotation(folder)
        self.weights = EpochWeights(folder, config, run)
        self.progress = Progress()
        self._best_state: dict[str, Tensor] | None = None

    def run(self) -> Progress:
        """Train, and return where it ended; `best_epoch`'s weights lie in the folder, and the average.

        Raises:
            ValueError: if a loss is not finite (naming the utterances), or the checkpoint cannot be used.
            Interrupted: after a checkpoint, if the process was asked to end.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if remark := precision.slowness(self.config.precision, self.device):
            log.warning(remark)
        rng.seed_dropout(self.seed, self.world.rank)
        self._resume()
        if not self.progress.finished and self.world.leads:
            self.weights.forget_average()
        with (
            MetricsLog(self.folder, resume_after=self.progress.step, write=self.world.leads) as metrics,
            interruption.deferred(),
        ):
            while not self.progress.finished:
                started = time.monotonic()
                self._train_epoch(metrics)
                self._end_epoch(metrics, started)
                if not self.progress.finished:
                    interruption.check()
        if self.config.average:
            self._average()
        return self.progress

    # --- one epoch -----------------------------------------------------------------------------------

    def _train_epoch(self, metrics: MetricsLog) -> None:
        progress, config, run = self.progress, self.config, self.run_config
        plan = self.task.plan(progress.epoch)
        self.model.train()
        if not progress.batches_done:
            self.updates.hidden_state = ()
        window = Window()
        saved = time.monotonic()
        for first in range(progress.batches_done, len(plan), config.grad_accumulation):
            batches = plan[first : first + config.grad_accumulation]
            progress.step += 1
            self.updates.step(self.task, batches, epoch=progress.epoch, number=progress.step, window=window)
            progress.batches_done += len(batches)
            last = progress.batches_done == len(plan)
            due = interruption.requested() or time.monotonic() - saved > 60 * run.checkpoint_minutes
            reading = last or progress.step % run.log_interval == 0
            if not self.world.alone:  # one clock for all, and asked only where they meet anyway
                due = reading and self.world.from_leader(lambda due=due: due)  # type: ignore[misc]
            if due or reading:
                self._read(window, metrics, len(plan))
                window = Window()
            if due and not last:
                self._save()
                interruption.check()
                saved = time.monotonic()

    def _read(self, window: Window, metrics: MetricsLog, total: int) -> None:
        """Bring the losses since the last reading to the host, check and log them."""
        progress, reading = self.progress, window.read(self.world)
        if reading.culprits:
            raise ValueError(
                f"{self.folder}: the loss is not finite in epoch {progress.epoch}, at or before step "
                f"{progress.step}; first utterances: {', '.join(reading.culprits[:5])} "
                f"(try a lower train.optimizer.lr or train.grad_clip)"
            )
        # One by one: the sum must not depend on where the readings fall, or a resumed log would differ.
        for loss in reading.losses:
            progress.loss_sum += loss
        progress.utterances += len(reading.losses)
        metrics.write(
            "step",
            epoch=progress.epoch,
            step=progress.step,
            loss=reading.mean,
            lr=self.updates.lr(progress.step),
            frames_per_second=round(reading.frames / reading.seconds),
        )
        log.debug(
            "epoch %d: %d/%d batches, loss %.3f", progress.epoch, progress.batches_done, total, reading.mean
        )

    def _end_epoch(self, metrics: MetricsLog, started: float) -> None:
        progress = self.progress
        self.task.after_epoch(progress.epoch)
        self.world.settle(self.model)
        with optim.averaged_weights(self.optimizer):
            dev = self._evaluate()
            improved = self._judge(dev)
        if isinstance(self.optimizer, NtAsgd) and self.optimizer.after_epoch(progress.errors[-1]):
            log.info("dev %s no longer falls: the weights are averaged from now on", self.config.metric)
        seconds = time.monotonic() - started
        progress.seconds += seconds
        train_loss = progress.loss_sum / max(progress.utterances, 1)
        metrics.write(
            "epoch",
            epoch=progress.epoch,
            step=progress.step,
            train_loss=train_loss,
            **{f"dev_{name}": value for name, value in dev.items()},
            best=improved,
            seconds=round(seconds, 2),
        )
        log.info(
            "epoch %d/%d: train loss %.4g, dev %s%s, %.1f s%s",
            progress.epoch, self.epochs, train_loss, _numbers(dev), " *" if improved else "", seconds,
            self._ahead(),
        )  # fmt: skip
        self._advance()
        self._save()
        if self.world.leads:
            self.weights.prune(progress.errors)

    def _evaluate(self) -> dict[str, float]:
        """The dev metrics, measured by rank 0."""
        self.model.eval()
        with torch.no_grad():
            return self.world.from_leader(lambda: dict(self.task.evaluate(self.model)))

    def _ahead(self) -> str:
        """The longest that the rest can take, in words."""
        progress = self.progress
        left = 0 if self._out_of_patience else self.epochs - progress.epoch
        return f", at most {left * progress.seconds / progress.epoch / 60:.1f} min to go" if left else ""

    # --- the dev metric ------------------------------------------------------------------------------

    def _judge(self, dev: Mapping[str, float]) -> bool:
        """Keep the weights if the dev error is the lowest so far; else be patient, or decay."""
        progress, config = self.progress, self.config
        error = dev_error(dev, config.metric)
        improved = error < progress.best_error
        progress.errors.append(error)
        if self.world.leads:
            self.weights.save(self.model, progress.errors)
        if improved:
            progress.best_epoch, progress.best_error = progress.epoch, error
            progress.best_metrics = {name: float(value) for name, value in dev.items()}
            progress.bad_epochs = progress.since_decay = 0
            if config.optimizer.plateau == "decay_eps":
                self._best_state = copy.deepcopy(self.model.state_dict())
        else:
            progress.bad_epochs += 1
            progress.since_decay += 1
            if (
                config.optimizer.plateau != "none"
                and progress.since_decay > config.optimizer.plateau_patience
            ):
                self._decay()
        return improved

    def _decay(self) -> None:
        done = optim.decay(self.optimizer, self.config.optimizer)
        if self.config.optimizer.plateau == "decay_eps" and self._best_state is not None:
            self.model.load_state_dict(self._best_state)
            done = f"back to epoch {self.progress.best_epoch}, {done}"
        self.progress.since_decay = 0
        log.info("no improvement: %s", done)

    def _advance(self) -> None:
        progress = self.progress
        progress.finished = self._out_of_patience or progress.epoch >= self.epochs
        if not progress.finished:
            progress.epoch += 1
        progress.batches_done = 0
        progress.loss_sum, progress.utterances = 0.0, 0

    def _reopen(self) -> None:
        """A run that ended because its epochs were over goes on, as if it never had, if it has more now."""
        progress = self.progress
        if progress.finished and not self._out_of_patience and progress.epoch < self.epochs:
            progress.finished = False
            progress.epoch += 1

    @property
    def _out_of_patience(self) -> bool:
        return bool(self.patience) and self.progress.bad_epochs >= self.patience

    def _average(self) -> None:
        """Leave the average's weights in the folder and in the model, and say how good they are."""
        path = self.world.from_leader(lambda: self.weights.average(self.progress.errors))
        self.model.load_state_dict(load_weights(path))
        dev = self._evaluate()
        self.progress.best_metrics |= {f"average_{name}": float(value) for name, value in dev.items()}
        log.info("average of %s: dev %s", self.weights.averaged(self.progress.errors), _numbers(dev))

    # --- checkpoints ---------------------------------------------------------------------------------

    def _save(self) -> None:
        generators = self.world.gather(rng.state(self.device))
        if not self.world.leads:
            return
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "best": self._best_state,
            "optimizer": self.optimizer.state_dict(),
            "parameters": optim.describe_state(self.optimizer, self.model),
            "rng": generators,
            "progress": asdict(self.progress),
        }
        if self.updates.hidden_state:
            state["hidden_state"] = list(self.updates.hidden_state)
        self.checkpoints.save(state)

    def _resume(self) -> None:
        state, remark = self.checkpoints.load()
        if remark:
            log.warning("%s; resuming from the one before", remark)
        if state is not None:
            try:
                optim.check_state(state["parameters"], self.optimizer, self.model)
            except ValueError as error:
                raise ValueError(f"{self.checkpoints.newest}: {error}") from None
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self._best_state = state["best"]
            self.updates.hidden_state = tuple(
                tensor.to(self.device) for tensor in state.get("hidden_state", [])
            )
            self.progress = Progress(**state["progress"])
            self._reopen()
            self._restore_dropout(state["rng"])
            log.info("resuming in epoch %d at step %d", self.progress.epoch, self.progress.step)
        # Nobody writes before all have read, and all must have read the same.
        steps = self.world.gather(self.progress.step)
        assert len(set(steps)) == 1, (
            f"{self.checkpoints.newest}: not the same in all processes, steps {steps}"
        )

    def _restore_dropout(self, generators: Sequence[dict[str, Tensor]]) -> None:
        if len(generators) == self.world.size:
            rng.restore(generators[self.world.rank], self.device)
        else:
            log.info("the checkpoint is of %d processes, here are %d", len(generators), self.world.size)
            rng.seed_dropout(self.seed, self.world.rank, "resumed", self.progress.step)


def _numbers(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
