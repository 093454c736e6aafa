"""Frames as images, for two-dimensional convolutions."""

from torch import Tensor


def channels_last_image(frames: Tensor) -> Tensor:
    """(B, T, D, C) -> (B, C, T, D) in the memory format that oneDNN's and cuDNN's fast kernels want.

    With one channel, `contiguous(memory_format=torch.channels_last)` leaves the strides as they are, since
    both formats hold the same numbers in the same order; PyTorch then takes the image for one in the other
    format, and what it computes from it too, with a copy each way around every convolution.
    """
    batch, time, _, channels = frames.shape
    return frames.reshape(batch, time, -1).view(batch, time, -1, channels).permute(0, 3, 1, 2)
