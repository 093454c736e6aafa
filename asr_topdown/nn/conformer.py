"""The Conformer block (Gulati et al. 2020): attention and convolution between two half feed-forwards."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.attention import SelfAttention
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.transformer import FeedForward


class ConformerBlock(nn.Module):
    """The block, with absolute positions in its input rather than relative ones in its attention.

    Args:
        dim: size of a frame.
        heads: attention heads.
        hidden: size of the feed-forward layers.
        kernel: frames that the depthwise convolution sees, odd.
        norm: in the convolution module: "layer", or "batch" over the real frames of the batch (then, while
            training, what an utterance gives depends on its batch).
        dropout: after each module and inside the feed-forward.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        *,
        kernel: int = 31,
        norm: str = "layer",
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(5))
        self.before = FeedForward(dim, hidden, activation=nn.SiLU(), dropout=dropout)
        self.attention = SelfAttention(dim, heads, dropout=attention_dropout)
        self.convolution = ConvolutionModule(dim, kernel=kernel, norm=norm)
        self.after = FeedForward(dim, hidden, activation=nn.SiLU(), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, may_look: Tensor) -> Tensor:
        """(B, T, D) and a mask from `nn.attention.key_mask` -> (B, T, D)."""
        first, second, third, fourth, last = self.norms
        real = may_look[:, 0, 0, :, None]
        frames = frames + 0.5 * self.dropout(self.before(first(frames)))
        frames = frames + self.dropout(self.attention(second(frames), may_look))
        frames = frames + self.dropout(self.convolution(third(frames), real))
        frames = frames + 0.5 * self.dropout(self.after(fourth(frames)))
        out: Tensor = last(frames)
        return out


class ConvolutionModule(nn.Module):
    """Pointwise and GLU, depthwise over time, norm, SiLU, pointwise; padding stays out of all of it."""

    def __init__(self, dim: int, *, kernel: int, norm: str) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the depthwise convolution must see an odd number of frames, got {kernel}")
        self.widen = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = MaskedBatchNorm(dim) if norm == "batch" else nn.LayerNorm(dim)
        self.narrow = nn.Linear(dim, dim)

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """(B, T, D) and (B, T, 1), true on real frames -> (B, T, D)."""
        hidden = F.glu(self.widen(frames), dim=-1) * real
        hidden = self.depthwise(hidden.transpose(1, 2)).transpose(1, 2)
        normed = self.norm(hidden, real) if isinstance(self.norm, MaskedBatchNorm) else self.norm(hidden)
        out: Tensor = self.narrow(F.silu(normed))
        return out


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the real frames only."""

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]
        """(B, T, D) and (B, T, 1), true on real frames -> (B, T, D), at least float32."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
            if self.training:
                mean, variance = self._observe(frames, real)
            else:
                mean, variance = self._running()
            return (frames - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    def _observe(self, frames: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of this batch, which also move the running ones."""
        count = real.sum()
        mean = (frames * real).sum((0, 1)) / count
        variance = ((frames - mean).square() * real).sum((0, 1)) / count
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
