"""Multi-head scaled dot-product attention (Vaswani 2017), with PyTorch's fused kernels if they are fast."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.key_value_pool import KeyValuePool
from asr_topdown.nn.lengths import mask

KeyValue = tuple[Tensor, Tensor]


def attention_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, 1, 1, size), true on the frames that are attended to; at least on one.

    An utterance without frames attends to the first one: an empty row would be NaN in some kernels.
    """
    return mask(lengths.clamp(min=1), size)[:, None, None]


class SelfAttention(nn.Module):
    """Attention of a sequence to itself.

    Args:
        d_model: size of a frame.
        num_heads: number of heads; must divide `d_model`.
        dropout: on the attention weights.
    """

    def __init__(self, *, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        _check_heads(d_model, num_heads)
        self.num_heads = num_heads
        self.in_proj = nn.Linear(d_model, 3 * d_model)  # query, key and value in one product
        self.out_proj = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, attn_mask: Tensor | None) -> Tensor:
        """(B, T, D) and a mask from `attention_mask`, or None for causal attention -> (B, T, D)."""
        query, key, value = (_split(part, self.num_heads) for part in self.in_proj(frames).chunk(3, dim=-1))
        return self.out_proj(_attend(query, key, value, attn_mask, self.dropout, causal=attn_mask is None))

    def step(
        self, frames: Tensor, pool: KeyValuePool | None, ancestors: Tensor
    ) -> tuple[Tensor, KeyValuePool]:
        """The next label (B, k, D) of k hypotheses per utterance -> (B, k, D) and the pool with these labels.

        Args:
            frames: the labels' frames.
            pool: the labels of all hypotheses so far, P per utterance; None at first.
            ancestors: (B, k, P + k), true on those that a hypothesis attends to, itself included.
        """
        parts = self.in_proj(frames).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        pool = KeyValuePool.of(parts[1:]) if pool is None else pool.append(parts[1:])
        key, value = pool.entries
        return self.out_proj(_attend(parts[0], key, value, ancestors[:, None], self.dropout)), pool


class CrossAttention(nn.Module):
    """Attention of a sequence to an encoder's output.

    Args:
        d_model: size of a frame of either.
        num_heads: number of heads; must divide `d_model`.
        dropout: on the attention weights.
    """

    def __init__(self, *, d_model: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        _check_heads(d_model, num_heads)
        self.num_heads = num_heads
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def prepare(self, memory: Tensor) -> KeyValue:
        """Keys and values of the encoder's output (B, T, D), shared by all labels."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return _split(key, self.num_heads), _split(value, self.num_heads)

    def forward(self, frames: Tensor, prepared: KeyValue, attn_mask: Tensor) -> Tensor:
        """(B, L, D) frames, the output of `prepare`, a mask from `attention_mask` -> (B, L, D)."""
        query = _split(self.query(frames), self.num_heads)
        return self.out_proj(_attend(query, *prepared, attn_mask, self.dropout))


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout: nn.Dropout,
    *,
    causal: bool = False,
) -> Tensor:
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and torch.is_grad_enabled():
        attended = _attend_in_parts(query, key, value, attn_mask, dropout, causal=causal)
    else:
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attn_mask,
            dropout_p=dropout.p if dropout.training else 0.0,
            is_causal=causal,
        )
    return attended.transpose(1, 2).flatten(2)


def _attend_in_parts(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout: nn.Dropout, *, causal: bool
) -> Tensor:
    """The same from single operations: in bfloat16 on a CPU, 2 to 5 times as fast as the fused kernel."""
    scores = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2)
    if causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    weights: Tensor = dropout(scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype))
    return weights @ value


def _split(frames: Tensor, num_heads: int) -> Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)."""
    return frames.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _check_heads(d_model: int, num_heads: int) -> None:
    if d_model % num_heads:
        raise ValueError(f"num_heads must divide the size of a frame, {d_model}, got {num_heads}")
