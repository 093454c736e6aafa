"""The Conformer block (Gulati et al. 2020): attention and convolution between two half feed-forwards."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.attention import SelfAttention, attention_mask
from asr_topdown.nn.block import Block
from asr_topdown.nn.depthwise import depthwise_conv
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import InputLayer
from asr_topdown.nn.transformer import FeedForward


class ConformerLayer(Block):
    """The block, with absolute positions in its input rather than relative ones in its attention.

    Args:
        d_model: size of a frame.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layers.
        kernel_size: of the depthwise convolution in frames, odd.
        conv_norm: in the convolution module: "layer", or "batch" over the real frames of the batch (then,
            in training, an utterance's output depends on its batch).
        dropout: after each module and inside the feed-forward.
        attention_dropout: on the attention weights.
        input_layer: in front of the stack's first block; None in the others.
    """

    def __init__(
        self,
        *,
        d_model: int,
        num_heads: int,
        ffn_dim: int,
        kernel_size: int,
        conv_norm: str,
        dropout: float,
        attention_dropout: float,
        input_layer: InputLayer | None,
    ) -> None:
        super().__init__(d_model=d_model, input_layer=input_layer)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(5))
        self.ffn1 = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.SiLU(), dropout=dropout)
        self.attention = SelfAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.convolution = ConvolutionModule(d_model=d_model, kernel_size=kernel_size, norm=conv_norm)
        self.ffn2 = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.SiLU(), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        x = self.input_layer(x)
        attn_mask = attention_mask(lengths, x.shape[1])
        frames = attn_mask[:, 0, 0, :, None]
        x = x + 0.5 * self.dropout(self.ffn1(self.norms[0](x)))
        x = x + self.dropout(self.attention(self.norms[1](x), attn_mask))
        x = x + self.dropout(self.convolution(self.norms[2](x), frames))
        x = x + 0.5 * self.dropout(self.ffn2(self.norms[3](x)))
        return self.norms[4](x), lengths


class ConvolutionModule(nn.Module):
    """Pointwise and GLU, depthwise over time, norm, SiLU, pointwise; padding never affects the result."""

    def __init__(self, *, d_model: int, kernel_size: int, norm: str) -> None:
        super().__init__()
        self.pointwise_conv1 = nn.Linear(d_model, 2 * d_model)
        self.depthwise_conv = depthwise_conv(d_model, kernel_size, name="kernel_size")
        self.norm = MaskedBatchNorm(d_model) if norm == "batch" else nn.LayerNorm(d_model)
        self.pointwise_conv2 = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) and (B, T, 1), true on real frames -> (B, T, D)."""
        hidden = F.glu(self.pointwise_conv1(x), dim=-1) * mask
        hidden = self.depthwise_conv(hidden.transpose(1, 2)).transpose(1, 2)
        normed = self.norm(hidden, mask) if isinstance(self.norm, MaskedBatchNorm) else self.norm(hidden)
        out: Tensor = self.pointwise_conv2(F.silu(normed))
        return out


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the real frames only."""

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """(B, T, D) and (B, T, 1), true on real frames -> (B, T, D), at least float32."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
            if self.training:
                mean, variance = self._observe(frames, mask)
            else:
                mean, variance = self._running()
            return (frames - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    def _observe(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of this batch; also updates the running ones."""
        count = mask.sum()
        mean = (frames * mask).sum((0, 1)) / count
        variance = ((frames - mean).square() * mask).sum((0, 1)) / count
        with torch.no_grad():
            running_mean, running_variance = self._running()
            assert self.momentum is not None
            unbiased = variance * count / (count - 1).clamp(min=1)
            running_mean.lerp_(mean, self.momentum)
            running_variance.lerp_(unbiased, self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return mean, variance

    def _running(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var
