"""Frames as images, for two-dimensional convolutions."""

from torch import Tensor


def channels_last_image(frames: Tensor) -> Tensor:
    """(B, T, D, C) -> (B, C, T, D) in the memory format of oneDNN's and cuDNN's fast kernels.

    With one channel, `contiguous(memory_format=torch.channels_last)` leaves the strides unchanged, since
    both formats hold the same numbers in the same order; PyTorch then treats the image, and everything
    computed from it, as being in the other format, with a copy each way around every convolution.
    """
    batch, time, _, channels = frames.shape
    return frames.reshape(batch, time, -1).view(batch, time, -1, channels).permute(0, 3, 1, 2)
