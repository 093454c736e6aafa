"""Depthwise convolution over time: each channel separately, with as many output as input frames."""

from torch import nn


def depthwise_conv(channels: int, kernel_size: int, *, name: str) -> nn.Conv1d:
    """The convolution, (B, C, T) -> (B, C, T), with zero padding.

    Raises:
        ValueError: naming the setting `name`, if `kernel_size` is even.
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"{name} must be odd, got {kernel_size}")
    return nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
