"""Multi-head scaled dot-product attention (Vaswani 2017), by PyTorch's fused kernels where they are fast."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.lengths import mask

KeyValue = tuple[Tensor, Tensor]


def key_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, 1, 1, size), true where attention may look; never nowhere.

    An utterance of no frames may look at the first one: a row without any would be NaN in some kernels.
    """
    return mask(lengths.clamp(min=1), size)[:, None, None]


class SelfAttention(nn.Module):
    """Attention of a sequence to itself.

    Args:
        dim: size of a frame.
        heads: number of heads; must divide `dim`.
        dropout: on the attention weights.
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        _check_heads(dim, heads)
        self.heads = heads
        self.inputs = nn.Linear(dim, 3 * dim)  # query, key and value in one product
        self.outputs = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, may_look: Tensor | None) -> Tensor:
        """(B, T, D) and a mask from `key_mask`, or None for "each frame at itself and those before"."""
        query, key, value = (_split(part, self.heads) for part in self.inputs(frames).chunk(3, dim=-1))
        return self.outputs(_attend(query, key, value, may_look, self.dropout, causal=may_look is None))

    def step(self, frames: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """One frame (N, 1, D) after those in the cache -> (N, 1, D) and the longer cache.

        The cache holds a key and a value of each frame, (N, L, 2 D), frame after frame: that is the fewest
        pieces to copy when a search reorders its hypotheses.
        """
        dim = frames.shape[-1]
        query, fresh = self.inputs(frames).split([dim, 2 * dim], dim=-1)
        cache = fresh if cache is None else torch.cat([cache, fresh], dim=1)
        query, key, value = (_split(part, self.heads) for part in (query, *cache.chunk(2, dim=-1)))
        return self.outputs(_attend(query, key, value, None, self.dropout)), cache


class CrossAttention(nn.Module):
    """Attention of a sequence to an encoder's output.

    Args:
        dim: size of a frame of either.
        heads: number of heads; must divide `dim`.
        dropout: on the attention weights.
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        _check_heads(dim, heads)
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.outputs = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def prepare(self, memory: Tensor) -> KeyValue:
        """Keys and values of the encoder's output (B, T, D), which serve all labels."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return _split(key, self.heads), _split(value, self.heads)

    def forward(self, frames: Tensor, prepared: KeyValue, may_look: Tensor) -> Tensor:
        """(B, L, D) frames, what `prepare` gave, a mask from `key_mask` -> (B, L, D)."""
        query = _split(self.query(frames), self.heads)
        return self.outputs(_attend(query, *prepared, may_look, self.dropout))


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    may_look: Tensor | None,
    dropout: nn.Dropout,
    *,
    causal: bool = False,
) -> Tensor:
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and torch.is_grad_enabled():
        attended = _attend_in_parts(query, key, value, may_look, dropout, causal=causal)
    else:
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=may_look,
            dropout_p=dropout.p if dropout.training else 0.0,
            is_causal=causal,
        )
    return attended.transpose(1, 2).flatten(2)


def _attend_in_parts(
    query: Tensor, key: Tensor, value: Tensor, may_look: Tensor | None, dropout: nn.Dropout, *, causal: bool
) -> Tensor:
    """The same of single operations: in bfloat16 on a CPU, 2 to 5 times as fast as the fused kernel."""
    scores = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2)
    if causal:
        may_look = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if may_look is not None:
        scores = scores.masked_fill(~may_look, -math.inf)
    weights: Tensor = dropout(scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype))
    return weights @ value


def _split(frames: Tensor, heads: int) -> Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)."""
    return frames.unflatten(-1, (heads, -1)).transpose(1, 2)


def _check_heads(dim: int, heads: int) -> None:
    if dim % heads:
        raise ValueError(f"{heads} attention heads cannot share {dim} dimensions")
