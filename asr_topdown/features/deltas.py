"""Time derivatives of features, as Kaldi's `add-deltas` appends them (src/feat/feature-functions.cc)."""

import torch
from torch import Tensor

_WINDOW = 2
"""Kaldi's default: the first derivative is a regression over two frames to each side."""


def add_deltas(feats: Tensor, order: int) -> Tensor:
    """Append the first `order` derivatives to each frame.

    The filter of order k is the regression filter [-2 -1 0 1 2] / 10 convolved k times with itself, on the
    static features. The ends are padded with the first and the last frame.

    Args:
        feats: (T, D).
        order: 0 returns `feats`.

    Returns:
        (T, D * (order + 1)): static features, then first derivatives, then second, ...
    """
    assert feats.dim() == 2
    assert order >= 0
    if order == 0 or len(feats) == 0:
        return feats.repeat(1, order + 1)
    reach = _WINDOW * order
    first, last = feats[:1].expand(reach, -1), feats[-1:].expand(reach, -1)
    padded = torch.cat((first, feats, last))
    parts = [feats]
    for k in range(1, order + 1):
        taps = delta_filter(k)
        offset = reach - _WINDOW * k
        part = torch.zeros_like(feats)
        for j, tap in enumerate(taps):
            if tap:
                part.add_(padded[offset + j : offset + j + len(feats)], alpha=tap)
        parts.append(part)
    return torch.cat(parts, dim=1)


def delta_filter(order: int) -> list[float]:
    """4 * order + 1 taps, from the earliest frame to the latest."""
    step = [j / 10 for j in range(-_WINDOW, _WINDOW + 1)]
    taps = [1.0]
    for _ in range(order):
        longer = [0.0] * (len(taps) + 2 * _WINDOW)
        for i, tap in enumerate(taps):
            for j, weight in enumerate(step):
                longer[i + j] += tap * weight
        taps = longer
    return taps
