"""SpecAugment (Park et al. 2019, arXiv:1904.08779): time warping and masks, drawn for each utterance."""

import torch
from torch import Tensor

from asr_topdown.features.specaug_options import SpecAugmentOptions


def spec_augment(
    feats: Tensor, lengths: Tensor, options: SpecAugmentOptions, generator: torch.Generator
) -> Tensor:
    """Warp and mask a batch.

    Args:
        feats: (B, T, D).
        lengths: (B,) frames of each utterance; the padding is unchanged.
        options: see `SpecAugmentOptions`.
        generator: a CPU generator; the same state gives the same masks on every device.

    Returns:
        (B, T, D), a new tensor.
    """
    num_frames, dim = feats.shape[1:]
    count = lengths.to("cpu", torch.float32)
    if options.time_warp:
        feats = _time_warp(feats, count, options.time_warp, generator)
    largest = torch.clamp(options.time_ratio * count, max=options.time_width)
    in_time = _masks(options.time_masks, largest, count, num_frames, generator)
    widest = torch.full_like(count, min(options.freq_width, dim))
    in_freq = _masks(options.freq_masks, widest, torch.full_like(count, dim), dim, generator)
    real = torch.arange(num_frames) < count[:, None]
    masked = ((in_time[:, :, None] | in_freq[:, None, :]) & real[:, :, None]).to(feats.device)
    if options.replace_with == "zero":
        return feats.masked_fill(masked, 0.0)
    total = (feats * real[:, :, None].to(feats)).sum((1, 2), keepdim=True)
    mean = total / (count.clamp(min=1) * dim)[:, None, None].to(feats)
    return torch.where(masked, mean, feats)


def _masks(number: int, largest: Tensor, extent: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Union of `number` runs within the first `extent` places, each of 0 to `largest` (both (B,)) places.

    Returns:
        (B, size), true where masked.
    """
    draws = torch.rand(2, len(extent), number, generator=generator)
    width = (draws[0] * (largest.floor() + 1)[:, None]).floor()
    start = (draws[1] * (extent[:, None] - width + 1)).floor()
    place = torch.arange(size)[:, None, None]
    return ((place >= start) & (place < start + width)).any(-1).T


def _time_warp(feats: Tensor, count: Tensor, window: int, generator: torch.Generator) -> Tensor:
    """Move one frame of each utterance by up to `window`, and stretch linearly what is before and after it.

    Utterances of up to 2 · window frames are unchanged, since the paper draws the frame at least `window`
    away from both ends.
    """
    draws = torch.rand(2, len(count), 1, generator=generator)
    room = (count[:, None] - 2 * window).clamp(min=0)
    centre = window + (draws[0] * room).floor()
    moved = centre + (draws[1] * (2 * window - 1)).floor() - (window - 1)
    last = count[:, None] - 1
    time = torch.arange(feats.shape[1], dtype=torch.float32).expand(len(count), -1)
    before = time * centre / moved.clamp(min=1)
    after = last - (last - time) * (last - centre) / (last - moved).clamp(min=1)
    warped = (time <= last) & (room > 0)
    source = torch.where(warped, torch.where(time <= moved, before, after), time).to(feats.device)
    low = source.floor().long()
    share = (source - low)[:, :, None].to(feats.dtype)
    following = (low + 1).clamp(max=feats.shape[1] - 1)
    return (_frames(feats, low) * (1 - share)).add_(_frames(feats, following).mul_(share))


def _frames(feats: Tensor, index: Tensor) -> Tensor:
    """Frames `index` (B, T) of `feats` (B, T, D), whole rows at a time."""
    batch, num_frames, dim = feats.shape
    first = num_frames * torch.arange(batch, device=index.device)[:, None]
    return feats.reshape(-1, dim).index_select(0, (first + index).reshape(-1)).view(batch, num_frames, dim)
