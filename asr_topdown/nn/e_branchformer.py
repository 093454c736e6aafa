"""The E-Branchformer block (Kim et al. 2022, arXiv:2210.00077): attention and a gated convolution, merged.

One branch covers the whole utterance, by self-attention; the other a neighbourhood, by a multi-layer
perceptron with a depthwise convolution as its gate (Sakuma et al. 2021, "MLP-based architecture with variable
length input for automatic speech recognition"). A depthwise convolution over both, added to both, lets
adjacent frames influence how they are merged. As in the Conformer, the two are between half feed-forward
layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.attention import SelfAttention, attention_mask
from asr_topdown.nn.block import Block
from asr_topdown.nn.depthwise import depthwise_conv
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import InputLayer
from asr_topdown.nn.transformer import FeedForward


class EBranchformerLayer(Block):
    """The block, with absolute positions in its input rather than relative ones in its attention.

    Args:
        d_model: size of a frame.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layers.
        cgmlp_dim: size of the gated branch, even; half of it is gated by the other half.
        kernel_size: of the gate in frames, odd.
        merge_kernel_size: of the merging convolution in frames, odd.
        dropout: after each module and inside feed-forward and gate.
        attention_dropout: on the attention weights.
        input_layer: in front of the stack's first block; None in the others.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_heads: int,
        ffn_dim: int,
        cgmlp_dim: int,
        kernel_size: int,
        merge_kernel_size: int,
        dropout: float,
        attention_dropout: float,
        input_layer: InputLayer | None,
    ) -> None:
        super().__init__(d_model=d_model, input_layer=input_layer)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(5))
        self.ffn1 = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.SiLU(), dropout=dropout)
        self.attention = SelfAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.cgmlp = ConvolutionalGatingMlp(
            d_model=d_model, cgmlp_dim=cgmlp_dim, kernel_size=kernel_size, dropout=dropout
        )
        self.merge = Merge(d_model=d_model, kernel_size=merge_kernel_size)
        self.ffn2 = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.SiLU(), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        x = self.input_layer(x)
        attn_mask = attention_mask(lengths, x.shape[1])
        frames = attn_mask[:, 0, 0, :, None]
        x = x + 0.5 * self.dropout(self.ffn1(self.norms[0](x)))
        whole = self.dropout(self.attention(self.norms[1](x), attn_mask))
        near = self.dropout(self.cgmlp(self.norms[2](x), frames))
        x = x + self.dropout(self.merge(torch.cat([whole, near], dim=-1), frames))
        x = x + 0.5 * self.dropout(self.ffn2(self.norms[3](x)))
        return self.norms[4](x), lengths


class ConvolutionalGatingMlp(nn.Module):
    """Linear and GELU, one half times the other half's depthwise convolution over time, dropout, linear."""

    def __init__(self, *, d_model: int, cgmlp_dim: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        if cgmlp_dim % 2:
            raise ValueError(f"cgmlp_dim must be even, got {cgmlp_dim}")
        half = cgmlp_dim // 2
        self.linear1 = nn.Linear(d_model, cgmlp_dim)
        self.norm = nn.LayerNorm(half)
        self.depthwise_conv = depthwise_conv(half, kernel_size, name="kernel_size")
        self.dropout = Dropout(dropout)
        self.linear2 = nn.Linear(half, d_model)
        # The gate starts open: it is one whatever comes in (Liu et al. 2021, "Pay attention to MLPs").
        nn.init.normal_(self.depthwise_conv.weight, std=1e-6)
        assert self.depthwise_conv.bias is not None
        nn.init.ones_(self.depthwise_conv.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) and (B, T, 1), true on real frames -> (B, T, D)."""
        value, gate = F.gelu(self.linear1(x)).chunk(2, dim=-1)
        gate = self.depthwise_conv((self.norm(gate) * mask).mT).mT
        out: Tensor = self.linear2(self.dropout(value * gate))
        return out


class Merge(nn.Module):
    """Both branches concatenated, plus their depthwise convolution over time, through a linear layer."""

    def __init__(self, *, d_model: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise_conv = depthwise_conv(2 * d_model, kernel_size, name="merge_kernel_size")
        self.linear = nn.Linear(2 * d_model, d_model)

    def forward(self, branches: Tensor, mask: Tensor) -> Tensor:
        """(B, T, 2 D) and (B, T, 1), true on real frames -> (B, T, D)."""
        out: Tensor = self.linear(branches + self.depthwise_conv((branches * mask).mT).mT)
        return out
