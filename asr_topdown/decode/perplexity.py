"""How well a language model foretells a text: perplexity as published with the AWD-LSTM."""

import math

import torch
from torch import Tensor, nn

from asr_topdown.data.language_model import cut


@torch.no_grad()
def perplexity(model: nn.Module, text: Tensor, bptt: int) -> dict[str, float]:
    """Cross-entropy in nats per word ("loss") and its exponential ("ppl"), in the mode that `model` is in.

    The text is read from top to bottom, `bptt` rows at a time, the state handed on. The sum of the losses of
    the N - 1 predictions is divided by N, the number of rows, as in Merity et al.'s `main.py`.

    Args:
        model: a language model (`models.awd_lstm`), on the device of `text`.
        text: (N, B) columns of word ids (`data.language_model.columns`).
        bptt: rows at a time; changes nothing but rounding and memory.
    """
    total = torch.zeros((), dtype=torch.float64, device=text.device)
    state: tuple[Tensor, ...] = ()
    for start in range(0, len(text) - 1, bptt):
        batch = cut(text, start, bptt)
        loss, state = model.cross_entropy(batch.words, batch.targets, state)  # type: ignore[operator]
        total += len(batch.words) * loss.double()
    loss = total.item() / len(text)
    return {"loss": loss, "ppl": math.exp(loss) if loss < 700 else math.inf}
