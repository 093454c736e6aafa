"""Convolutional subsampling in front of a Transformer: time / 4 (Dong et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_FRAMES = 7  # fewer do not fill two windows of 3 frames, 2 apart


class ConvSubsampling(nn.Module):
    """Two 3 x 3 convolutions of stride 2 with ReLU, then a linear layer (ESPnet's `conv2d`).

    The convolutions are not padded, so that a batch gives what its utterances give alone. T frames become
    ((T - 1) // 2 - 1) // 2, and 0 if T is less than 7: such an utterance has no output, which is for the
    loss to refuse and for a search to call empty.

    Args:
        inputs: size of a feature frame, at least 7.
        outputs: size of an output frame.
        channels: of both convolutions; 0 = `outputs`, as in ESPnet.

    Raises:
        ValueError: if `inputs` is too small.
    """

    def __init__(self, inputs: int, outputs: int, *, channels: int = 0) -> None:
        super().__init__()
        if inputs < LEAST_FRAMES:
            raise ValueError(
                f"convolutional subsampling needs at least {LEAST_FRAMES} features, got {inputs}"
            )
        channels = channels or outputs
        self.first = nn.Conv2d(1, channels, 3, stride=2)
        self.second = nn.Conv2d(channels, channels, 3, stride=2)
        self.linear = nn.Linear(channels * _quarter(inputs), outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, max(1, T'), outputs), (B,) lengths T', 0 for an utterance below 7 frames."""
        frames = F.pad(frames, (0, 0, 0, max(0, LEAST_FRAMES - frames.shape[1])))
        image = channels_last_image(frames[..., None])
        image = torch.relu_(self.second(torch.relu_(self.first(image))))
        return self.linear(image.transpose(1, 2).flatten(2)), self.output_length(lengths)

    def output_length(self, length: Tensor) -> Tensor:
        """Frames that come out for `length` frames."""
        return ((((length - 1) // 2) - 1) // 2).clamp(min=0)


def channels_last_image(frames: Tensor) -> Tensor:
    """(B, T, D, C) -> (B, C, T, D) in the memory format that oneDNN's and cuDNN's fast kernels want.

    With one channel, `contiguous(memory_format=torch.channels_last)` leaves the strides as they are, since
    both formats hold the same numbers in the same order; PyTorch then takes the image for one in the other
    format, and what it computes from it too, with a copy each way around every convolution.
    """
    batch, time, _, channels = frames.shape
    return frames.reshape(batch, time, -1).view(batch, time, -1, channels).permute(0, 3, 1, 2)


def _quarter(size: int) -> int:
    return ((size - 1) // 2 - 1) // 2
