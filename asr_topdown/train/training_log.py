"""The output of a training: records for programs, and log lines for people."""

import logging
from collections.abc import Mapping

from asr_topdown.train.loss_meter import LossSummary
from asr_topdown.train.metrics import MetricsLog
from asr_topdown.train.plateau import Plateau
from asr_topdown.train.progress import Progress

log = logging.getLogger(__name__)


class TrainingLog:
    """Logs the steps and epochs of one training.

    Args:
        metrics: receives the records.
        max_epochs: maximum number of epochs.
        plateau: whether epochs count.
    """

    def __init__(self, metrics: MetricsLog, max_epochs: int, plateau: Plateau) -> None:
        self._metrics = metrics
        self._max_epochs = max_epochs
        self._plateau = plateau

    def step(self, progress: Progress, summary: LossSummary, *, lr: float, batches: int) -> None:
        """Record the steps since the last call, in an epoch of `batches` batches."""
        self._metrics.write(
            "step",
            epoch=progress.epoch,
            step=progress.step,
            loss=summary.mean,
            lr=lr,
            frames_per_second=round(summary.frames / summary.seconds),
        )
        log.debug(
            "epoch %d: %d/%d batches, loss %.3f",
            progress.epoch, progress.batches_done, batches, summary.mean,
        )  # fmt: skip

    def epoch(
        self, progress: Progress, dev: Mapping[str, float], *, seconds: float, best: bool, last: bool
    ) -> None:
        """Record an epoch: its dev metrics, its time, and whether it is the best or the last."""
        train_loss = progress.loss_sum / max(progress.utterances, 1)
        self._metrics.write(
            "epoch",
            epoch=progress.epoch,
            step=progress.step,
            train_loss=train_loss,
            **{f"dev_{name}": value for name, value in dev.items()},
            best=best,
            seconds=round(seconds, 2),
        )
        log.info(
            "epoch %d/%d: train loss %.4g, dev %s%s, %.1f s%s",
            progress.epoch, self._max_epochs, train_loss, numbers(dev), " *" if best else "", seconds,
            "" if last else progress.eta(self._max_epochs),
        )  # fmt: skip
        if self._plateau.in_grace(progress.scores):
            log.info(
                "nothing is recognised yet (greedy dev CER 100 %%): neither patience nor decay counts before "
                "it is, or before epoch %d (train.grace_epochs)", self._plateau.grace + 1,
            )  # fmt: skip


def numbers(metrics: Mapping[str, float]) -> str:
    """Metrics in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
