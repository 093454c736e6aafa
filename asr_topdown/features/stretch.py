"""Stretch the time axis of features: a cheap alternative to speed perturbation."""

import torch
import torch.nn.functional as F
from torch import Tensor


def stretch_time(feats: Tensor, lengths: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Interpolate a padded batch linearly in time, to `factor` times its length.

    Args:
        feats: (B, T, D).
        lengths: (B,) frames.
        factor: above 1 is slower speech, more frames.

    Returns:
        (B, round(T x factor), D) and (B,) lengths, floor(length x factor) but at least 1.
    """
    size = max(1, round(feats.shape[1] * factor))
    stretched = F.interpolate(feats.transpose(1, 2), size=size, mode="linear", align_corners=False)
    return stretched.transpose(1, 2), stretched_lengths(lengths, factor).clamp(max=size)


def stretched_lengths(lengths: Tensor, factor: float) -> Tensor:
    """(B,) frames after `stretch_time`."""
    return (lengths * factor).floor().long().clamp(min=1)


def draw_factor(spread: float, generator: torch.Generator) -> float:
    """A factor drawn uniformly from [1 - spread, 1 + spread]."""
    return 1.0 + spread * (2.0 * torch.rand((), generator=generator).item() - 1.0)
