"""One training loop for every model. It knows nothing of schedules: it trains what requires a gradient."""

import copy
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asr_topdown.config import TrainConfig
from asr_topdown.losses import Loss
from asr_topdown.train import optim, rng
from asr_topdown.train.checkpoint import Rotation
from asr_topdown.train.metrics import MetricsLog
from asr_topdown.train.nt_asgd import NtAsgd
from asr_topdown.train.task import Batch, Progress, Task, Window, weights_of_epoch
from asr_topdown.weights import save_weights

log = logging.getLogger(__name__)


class Trainer:
    """Train `model` until the dev error has not improved for `patience` epochs, or for `epochs` epochs.

    Killed at any moment, a new `Trainer` with the same arguments goes on from the last checkpoint and
    ends, on the CPU, with the very same bits.

    Args:
        model: the network, layers already frozen; only what requires a gradient is trained.
        task: the data.
        config: the training settings.
        epochs: most epochs.
        patience: epochs without improvement before it stops; 0 = never.
        seed: of dropout.
        folder: the run's folder: checkpoints, metrics, weights.
        device: where to train.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        config: TrainConfig,
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
        self.epochs = epochs
        self.patience = patience
        self.seed = seed
        self.folder = folder
        self.device = device
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = optim.build_optimizer(model, config.optimizer)
        self.checkpoints = Rotation(folder)
        self.progress = Progress()
        self._best_state: dict[str, Tensor] | None = None
        self._best_before = 0
        self._carried: tuple[Tensor, ...] = ()

    def run(self) -> Progress:
        """Train, and return where it ended; `best_epoch`'s weights lie in the folder.

        Raises:
            ValueError: if a loss is not finite (naming the utterances), or the checkpoint cannot be used.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(rng.derive(self.seed, "dropout"))
        self._resume()
        with MetricsLog(self.folder, resume_after=self.progress.step) as metrics:
            while not self.progress.finished:
                started = time.monotonic()
                self._train_epoch(metrics)
                self._end_epoch(metrics, started)
        return self.progress

    # --- one epoch -----------------------------------------------------------------------------------

    def _train_epoch(self, metrics: MetricsLog) -> None:
        progress, config = self.progress, self.config
        plan = self.task.plan(progress.epoch)
        self.model.train()
        if not progress.batches_done:
            self._carried = ()
        window = Window()
        saved = time.monotonic()
        for indices in plan[progress.batches_done :]:
            batch = self.task.batch(indices, progress.epoch)
            with optim.scaled_lr(self.optimizer, self.task.lr_scale(indices)):
                window.add(batch, self._step(batch))
            progress.batches_done += 1
            progress.step += 1
            due = time.monotonic() - saved > 60 * config.checkpoint_minutes
            last = progress.batches_done == len(plan)
            if due or last or progress.step % config.log_interval == 0:
                self._read(window, metrics, len(plan))
                window = Window()
            if due and not last:
                self._save()
                saved = time.monotonic()

    def _step(self, batch: Batch) -> Tensor:
        """One update; returns the losses of the utterances, still on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        loss.total.backward()
        nn.utils.clip_grad_norm_(self.trainable, self.config.grad_clip)
        self.optimizer.step()
        return loss.per_utterance

    def _loss(self, batch: Batch) -> Loss:
        bf16 = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            inputs = batch.to(self.device).inputs
            loss: Loss = self.model.loss(*inputs, *self._carried)  # type: ignore[operator]
        self._carried = loss.carried
        return loss

    def _read(self, window: Window, metrics: MetricsLog, total: int) -> None:
        """Bring the losses since the last reading to the host, check and log them."""
        progress = self.progress
        losses = window.losses()
        culprits = [name for name, loss in zip(window.ids, losses, strict=True) if not math.isfinite(loss)]
        if culprits:
            raise ValueError(
                f"{self.folder}: the loss is not finite in epoch {progress.epoch}, at or before step "
                f"{progress.step}; first utterances: {', '.join(culprits[:5])} "
                f"(try a lower train.optimizer.lr or train.grad_clip)"
            )
        # One by one: the sum must not depend on where the readings fall, or a resumed log would differ.
        for loss in losses:
            progress.loss_sum += loss
        progress.utterances += len(losses)
        if window.steps:
            rate = window.frames / window.seconds
            mean = math.fsum(losses) / len(losses)
            metrics.write(
                "step",
                epoch=progress.epoch,
                step=progress.step,
                loss=mean,
                lr=self.optimizer.param_groups[0]["lr"],
                frames_per_second=round(rate),
            )
            log.debug("epoch %d: %d/%d steps, loss %.3f", progress.epoch, progress.batches_done, total, mean)

    def _end_epoch(self, metrics: MetricsLog, started: float) -> None:
        progress = self.progress
        self.task.after_epoch(progress.epoch)
        self.model.eval()
        with optim.averaged_weights(self.optimizer):
            with torch.no_grad():
                dev = dict(self.task.evaluate(self.model))
            improved = self._judge(dev)
        if isinstance(self.optimizer, NtAsgd) and self.optimizer.after_epoch(dev[self.config.metric]):
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
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in dev.items())
        log.info(
            "epoch %d/%d: train loss %.4g, dev %s%s, %.1f s%s",
            progress.epoch, self.epochs, train_loss, numbers, " *" if improved else "", seconds,
            self._ahead(),
        )  # fmt: skip
        self._advance()
        self._save()
        if self.config.keep_epochs == "best":
            self._prune()

    def _ahead(self) -> str:
        """The longest that the rest can take, in words."""
        progress = self.progress
        impatient = bool(self.patience) and progress.bad_epochs >= self.patience
        left = 0 if impatient else self.epochs - progress.epoch
        return f", at most {left * progress.seconds / progress.epoch / 60:.1f} min to go" if left else ""

    # --- the dev metric ------------------------------------------------------------------------------

    def _judge(self, dev: Mapping[str, float]) -> bool:
        """Keep the weights if the dev error is the lowest so far; else be patient, or decay."""
        progress, config = self.progress, self.config
        error = dev[config.metric]
        improved = error < progress.best_error
        path = weights_of_epoch(self.folder, progress.epoch)
        if improved or config.keep_epochs == "all":
            save_weights(self.model, path)
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
        out_of_patience = bool(self.patience) and progress.bad_epochs >= self.patience
        progress.finished = out_of_patience or progress.epoch >= self.epochs
        if not progress.finished:
            progress.epoch += 1
        progress.batches_done = 0
        progress.loss_sum, progress.utterances = 0.0, 0

    def _prune(self) -> None:
        """Remove weights that neither of the two checkpoints on disk calls the best."""
        keep = {
            weights_of_epoch(self.folder, epoch) for epoch in (self.progress.best_epoch, self._best_before)
        }
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in keep:
                path.unlink()
        self._best_before = self.progress.best_epoch

    # --- checkpoints ---------------------------------------------------------------------------------

    def _save(self) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "best": self._best_state,
            "optimizer": self.optimizer.state_dict(),
            "parameters": optim.describe_state(self.optimizer, self.model),
            "rng": rng.state(),
            "progress": asdict(self.progress),
        }
        if self._carried:
            state["carried"] = list(self._carried)
        self.checkpoints.save(state)

    def _resume(self) -> None:
        state, remark = self.checkpoints.load()
        if remark:
            log.warning("%s; resuming from the one before", remark)
        if state is None:
            return
        self._check_parameters(state)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._best_state = state["best"]
        self._carried = tuple(tensor.to(self.device) for tensor in state.get("carried", []))
        self.progress = Progress(**state["progress"])
        self._best_before = self.progress.best_epoch
        rng.restore(state["rng"])
        log.info("resuming in epoch %d at step %d", self.progress.epoch, self.progress.step)

    def _check_parameters(self, state: Mapping[str, Any]) -> None:
        saved = [(name, tuple(shape)) for name, shape in state["parameters"]]
        here = optim.describe_state(self.optimizer, self.model)
        if saved != here:
            differing = next((pair for pair in zip(saved, here, strict=False) if pair[0] != pair[1]), None)
            raise ValueError(
                f"{self.checkpoints.newest}: made for {len(saved)} trainable tensors, here are {len(here)}; "
                f"first difference: {differing}"
            )
