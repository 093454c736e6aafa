"""Depthwise convolution over time: each channel by itself, of as many frames as go in."""

from torch import nn


def depthwise_conv(channels: int, kernel_size: int, *, name: str) -> nn.Conv1d:
    """The convolution, (B, C, T) -> (B, C, T); beyond the ends it sees zeros.

    Raises:
        ValueError: naming the setting `name`, if `kernel_size` is even and so has no middle.
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"{name} must be odd, got {kernel_size}")
    return nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
