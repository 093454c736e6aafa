"""The CTC output of a network, whatever its kind, and how long its frames are."""

import torch
from torch import Tensor, nn

from asr_topdown.models.ctc_attention import CtcAttention

_MANY = 100_000  # frames, to see how many of them become one


def has_ctc(network: nn.Module) -> bool:
    """Whether the network has a CTC output."""
    return isinstance(network, CtcAttention) or network.output_kind == "ctc"


def ctc_log_probs(network: nn.Module, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T', V) log-probabilities and (B,) lengths of a network that has a CTC output."""
    if isinstance(network, CtcAttention):
        memory, lengths = network.encode(feats, lengths)
        return network.ctc_log_probs(memory), lengths
    log_probs, lengths = network(feats, lengths)
    return log_probs, lengths


def frames_joined(network: nn.Module) -> int:
    """How many frames of the features become one of the output."""
    length = network.output_length(torch.tensor(_MANY))  # type: ignore[operator]
    return max(1, round(_MANY / int(length)))
