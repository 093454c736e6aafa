"""Utterances whose features have been computed beforehand, by the lowest layers of a network."""

from collections.abc import Sequence

from torch import Tensor

from asr_topdown.data.dataset import SpeechDataset


class ComputedDataset(SpeechDataset):
    """The utterances of another data set; `frames` is still what went in, so the batches are the same.

    Args:
        source: the data set.
        hidden: (T', H) of each utterance, what `load` gives.
    """

    def __init__(self, source: SpeechDataset, hidden: Sequence[Tensor]) -> None:
        super().__init__(source.folder, source.utterances, None)
        self._hidden = hidden

    def load(self, index: int) -> Tensor:
        """What the lowest layers make of one utterance."""
        return self._hidden[index]
