"""Convolutional subsampling in front of a Transformer: time / 4 (Dong et al. 2018)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
        image = torch.relu_(self._second(torch.relu_(self.first(image))))
        return self.linear(image.transpose(1, 2).flatten(2)), self.output_length(lengths)

    def _second(self, image: Tensor) -> Tensor:
        if image.device.type != "cpu":
            out: Tensor = self.second(image)
            return out
        weight, bias = self.second.weight, self.second.bias
        assert bias is not None
        return _StridedConvolution.apply(image, weight.to(image.dtype), bias.to(image.dtype))

    def output_length(self, length: Tensor) -> Tensor:
        """Frames that come out for `length` frames."""
        return ((((length - 1) // 2) - 1) // 2).clamp(min=0)


class _StridedConvolution(torch.autograd.Function):
    """A convolution of stride 2 over images in channels last, with the weight's gradient in matrix products.

    One for each tap of the filter. oneDNN's own kernel for this gradient runs at a quarter of the rate of
    matrix products in float32, and took as long as all else that a Transformer's step does in its front end.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return F.conv2d(image, weight, bias, stride=2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        d_image = None
        if ctx.needs_input_grad[0]:
            d_image, _, _ = torch.ops.aten.convolution_backward(
                grad, image, weight, None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
            )
        return d_image, _weight_gradient(image, grad, weight.shape), grad.sum((0, 2, 3))


def _weight_gradient(image: Tensor, grad: Tensor, shape: torch.Size) -> Tensor:
    """Of stride 2: (B, C, T, D) and (B, O, T', D') -> (O, C, taps in time, taps in frequency)."""
    frames, slopes = image.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    _, time, size, outputs = slopes.shape
    by_output = slopes.reshape(-1, outputs).t()
    taps = []
    for first in range(shape[2]):
        for second in range(shape[3]):
            seen = frames[:, first : first + 2 * time - 1 : 2, second : second + 2 * size - 1 : 2]
            taps.append(by_output @ seen.reshape(-1, shape[1]))
    return torch.stack(taps, dim=-1).view(shape)


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
