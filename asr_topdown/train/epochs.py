"""The weights of epochs on disk: which are kept, and their average."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import nn

from asr_topdown.config.run import RunConfig
from asr_topdown.config.train import AverageConfig, TrainConfig
from asr_topdown.train.plateau import DevScore, ranked
from asr_topdown.weights import AVERAGE, average_weights, save_state, save_weights, weights_of_epoch


def averaged_epochs(scores: Sequence[DevScore], average: AverageConfig) -> list[int]:
    """The epochs to average, in order: all of them if there are fewer than requested."""
    if average.last:
        return list(range(1, len(scores) + 1))[-average.last :]
    return sorted(ranked(scores)[: average.best])


class EpochWeights:
    """The weights that a run keeps: the best epoch's, and those that the average will need.

    Args:
        folder: where they are.
        config: which epochs to average.
        run: whether to keep all epochs.
    """

    def __init__(self, folder: Path, config: TrainConfig, run: RunConfig) -> None:
        self.folder = folder
        self.config = config
        self.keep_all = run.keep_epochs == "all"

    def save(self, model: nn.Module, scores: Sequence[DevScore]) -> None:
        """Write the last epoch's weights, if they are needed; `scores` are those of all epochs so far."""
        if self.keep_all or len(scores) in self._wanted(scores):
            save_weights(model, weights_of_epoch(self.folder, len(scores)))

    def prune(self, scores: Sequence[DevScore]) -> None:
        """Remove what neither of the two newest checkpoints needs: the one at the end of the last epoch, and
        the one before it, which has all scores except the last.
        """
        self._keep(self._wanted(scores) | self._wanted(scores[:-1]))

    def averaged(self, scores: Sequence[DevScore]) -> str:
        """A description of the averaged epochs."""
        assert self.config.average is not None
        return f"epochs {', '.join(map(str, averaged_epochs(scores, self.config.average)))}"

    def average(self, scores: Sequence[DevScore]) -> Path:
        """The file with the average, created if it does not exist."""
        assert self.config.average is not None
        path = self.folder / AVERAGE
        if not path.exists():
            epochs = averaged_epochs(scores, self.config.average)
            save_state(average_weights([weights_of_epoch(self.folder, epoch) for epoch in epochs]), path)
        return path

    def forget_average(self) -> None:
        """Remove an average left from before a run was restarted."""
        (self.folder / AVERAGE).unlink(missing_ok=True)

    def finish(self, best_epoch: int) -> None:
        """Remove what only the average needed. Call this when nothing can be resumed any more."""
        self._keep([best_epoch])

    def _wanted(self, scores: Sequence[DevScore]) -> set[int]:
        average = self.config.average
        return {*ranked(scores)[:1], *(averaged_epochs(scores, average) if average else ())}

    def _keep(self, epochs: Iterable[int]) -> None:
        if self.keep_all:
            return
        keep = {weights_of_epoch(self.folder, epoch) for epoch in epochs}
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in keep:
                path.unlink()
