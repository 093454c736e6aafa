"""Dev metrics: what counts in them, and a network of which only one head has diverged."""

from pathlib import Path

import pytest
import torch
from networks import make

from asr_topdown.data.dataset import SpeechDataset, Utterance
from asr_topdown.decode.recognize import dev_metrics
from asr_topdown.decode.result import NotANumberError
from asr_topdown.text import Vocabulary

VOCABULARY = Vocabulary(("<blank>", "<unk>", *"abcd"), "char")


class Noise(SpeechDataset):
    """Utterances of noise, of these numbers of frames and these labels."""

    def __init__(self, **said: tuple[int, tuple[int, ...]]) -> None:
        super().__init__(Path("noise"), [Utterance(name, "", *one) for name, one in said.items()], None)

    def load(self, index: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(index)
        return torch.randn(self.utterances[index].frames, 9, generator=generator)


def test_an_utterance_that_ctc_cannot_align_counts_in_the_errors_alone() -> None:
    model = make("blstm").eval()
    kept = Noise(long=(45, (2, 3, 3, 5)), short=(30, (2,)))
    both = Noise(long=(45, (2, 3, 3, 5)), short=(30, (2,)), tiny=(4, (2, 3, 4)))
    one, other = (dev_metrics(model, data, VOCABULARY, frames_per_batch=50) for data in (kept, both))
    assert other["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert 1 <= round(8 * other["cer"] - 5 * one["cer"]) <= 3  # errors in the third one's three labels


def test_a_head_that_greedy_decoding_does_not_read_has_diverged() -> None:
    """CTC alone gives the error, and a loss of NaN would be that of no utterance at all."""
    model = make("blstm").eval()
    data = Noise(long=(45, (2, 3, 3, 5)), short=(30, (2,)))
    assert model.attention is not None
    with torch.no_grad():
        model.attention.output.linear.bias[3] = torch.nan
    with pytest.raises(NotANumberError, match="utterance long: its log-probabilities hold NaN"):
        dev_metrics(model, data, VOCABULARY, frames_per_batch=50)
