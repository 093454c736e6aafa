"""The weights of epochs on disk: how an epoch is judged, whose weights are kept, and their average."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import nn

from asr_topdown.config.run import RunConfig
from asr_topdown.config.train import AverageConfig, TrainConfig
from asr_topdown.train.task import weights_of_epoch
from asr_topdown.weights import AVERAGE, average_weights, save_state, save_weights


def dev_error(metrics: Mapping[str, float], metric: str) -> float:
    """What `train.metric` makes of the dev metrics: smaller is better.

    Raises:
        ValueError: if the task does not measure it.
    """
    if metric not in metrics:
        raise ValueError(f"train.metric: there is no dev {metric}, only {', '.join(sorted(metrics))}")
    return 1 - metrics[metric] if metric == "accuracy" else metrics[metric]


def ranked(errors: Sequence[float]) -> list[int]:
    """Epochs, counted from 1, from the smallest error to the largest; of equal ones the earlier first."""
    return sorted(
        range(1, len(errors) + 1), key=lambda epoch: (math.isnan(errors[epoch - 1]), errors[epoch - 1], epoch)
    )


def averaged_epochs(errors: Sequence[float], average: AverageConfig) -> list[int]:
    """The epochs that the average is made of, in order: all of them if there are fewer than wanted."""
    if average.last:
        return list(range(1, len(errors) + 1))[-average.last :]
    return sorted(ranked(errors)[: average.best])


class EpochWeights:
    """The weights that a run keeps: the best epoch's, and what the average will want.

    Args:
        folder: where they lie.
        config: says what is averaged.
        run: says whether all epochs stay.
    """

    def __init__(self, folder: Path, config: TrainConfig, run: RunConfig) -> None:
        self.folder = folder
        self.config = config
        self.keep_all = run.keep_epochs == "all"

    def save(self, model: nn.Module, errors: Sequence[float]) -> None:
        """Write the last epoch's weights, if they are wanted; `errors` are those of all epochs so far."""
        if self.keep_all or len(errors) in self._wanted(errors):
            save_weights(model, weights_of_epoch(self.folder, len(errors)))

    def prune(self, errors: Sequence[float]) -> None:
        """Remove what neither of the two newest checkpoints wants: the one at the last epoch's end, and one
        from before that, which knows all errors but the last.
        """
        self._keep(self._wanted(errors) | self._wanted(errors[:-1]))

    def averaged(self, errors: Sequence[float]) -> str:
        """What the average is made of, in words."""
        assert self.config.average is not None
        return f"epochs {', '.join(map(str, averaged_epochs(errors, self.config.average)))}"

    def average(self, errors: Sequence[float]) -> Path:
        """The file with the average, which is made if it is not there."""
        assert self.config.average is not None
        path = self.folder / AVERAGE
        if not path.exists():
            epochs = averaged_epochs(errors, self.config.average)
            save_state(average_weights([weights_of_epoch(self.folder, epoch) for epoch in epochs]), path)
        return path

    def forget_average(self) -> None:
        """Remove an average left by a run that was begun again."""
        (self.folder / AVERAGE).unlink(missing_ok=True)

    def finish(self, errors: Sequence[float]) -> None:
        """Remove what only the average wanted: to be called when nothing can be resumed any more."""
        self._keep(ranked(errors)[:1])

    def _wanted(self, errors: Sequence[float]) -> set[int]:
        average = self.config.average
        return {*ranked(errors)[:1], *(averaged_epochs(errors, average) if average else ())}

    def _keep(self, epochs: Iterable[int]) -> None:
        if self.keep_all:
            return
        keep = {weights_of_epoch(self.folder, epoch) for epoch in epochs}
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in keep:
                path.unlink()
