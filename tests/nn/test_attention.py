"""Attention in bfloat16 on a CPU, made of single operations, against PyTorch's fused kernel."""

import pytest
import torch
from torch import Tensor

from asr_topdown.nn.attention import SelfAttention, attention_mask


def gradients(
    attention: SelfAttention, frames: Tensor, attn_mask: Tensor | None, *, bfloat16: bool
) -> list[Tensor]:
    """The output, and the gradients of its product with fixed weights: of input and parameters."""
    frames = frames.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = attention(frames, attn_mask)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [
        out.detach().float(),
        *torch.autograd.grad((out * weight).sum(), [frames, *attention.parameters()]),
    ]


@pytest.mark.parametrize("lengths", [None, [7, 1, 0]])
def test_bfloat16_gives_what_float32_gives_but_for_rounding(lengths: list[int] | None) -> None:
    """With the mask of padded frames, and (None) with each frame looking at those before it."""
    torch.manual_seed(0)
    attention, frames = SelfAttention(d_model=32, num_heads=4, dropout=0.0), torch.randn(3, 7, 32)
    attn_mask = None if lengths is None else attention_mask(torch.tensor(lengths), 7)
    exact = gradients(attention, frames, attn_mask, bfloat16=False)
    rounded = gradients(attention, frames, attn_mask, bfloat16=True)
    for ours, right in zip(rounded, exact, strict=True):
        assert torch.linalg.vector_norm(ours - right) <= 0.015 * torch.linalg.vector_norm(right)


def test_dropout_in_bfloat16_drops_weights_and_keeps_their_mean() -> None:
    """The mean of many draws is the attention without dropout; one draw is not."""
    torch.manual_seed(0)
    attention, frames = (
        SelfAttention(d_model=8, num_heads=2, dropout=0.25),
        torch.randn(1, 5, 8).expand(4000, 5, 8),
    )
    attn_mask = attention_mask(torch.full((4000,), 5), 5)
    [dropped, *_] = gradients(attention.train(), frames, attn_mask, bfloat16=True)
    [kept, *_] = gradients(attention.eval(), frames, attn_mask, bfloat16=True)
    assert (dropped[0] - kept[0]).abs().max() > 0.05
    assert torch.allclose(dropped.mean(dim=0), kept[0], atol=0.02)
