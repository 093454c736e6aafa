"""Utterances whose features have been computed beforehand, by the lowest stages of an encoder."""

from collections.abc import Sequence

from torch import Tensor

from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset


class ComputedDataset(SpeechDataset):
    """The utterances of another data set; `frames` is still what went in, so the batches are the same.

    Args:
        source: the data set.
        hidden: (T', H) of each utterance, what stage `start` - 1 gave.
        start: the stage at which batches enter the encoder.
    """

    def __init__(self, source: SpeechDataset, hidden: Sequence[Tensor], start: int) -> None:
        super().__init__(source.folder, source.utterances, None)
        self._hidden = hidden
        self._start = start

    def load(self, index: int) -> Tensor:
        """What the lowest stages make of one utterance."""
        return self._hidden[index]

    def batch(self, indices: Sequence[int]) -> SpeechBatch:
        """As of any data set, entering the encoder at `start`."""
        return super().batch(indices)._replace(start=self._start)
