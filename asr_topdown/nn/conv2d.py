"""Convolutional subsampling: time / 4 (Dong et al. 2018)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asr_topdown.nn.images import channels_last_image
from asr_topdown.nn.stage import Stage

LEAST_FRAMES = 7  # fewer do not fill two windows of 3 frames, 2 apart


class Conv2dSubsampling(Stage):
    """Two 3 x 3 convolutions of stride 2 with ReLU, then a linear layer (ESPnet's `conv2d`).

    The convolutions are not padded, so that a batch gives the same as its utterances alone. T frames become
    ((T - 1) // 2 - 1) // 2, and 0 if T is less than 7: such an utterance has no output, which the
    loss refuses and a search decodes as empty.

    Args:
        input_size: size of a feature frame, at least 7.
        output_size: size of an output frame.
        channels: of both convolutions.

    Raises:
        ValueError: if `input_size` is too small.
    """

    name = "subsample"
    numbered = False

    def __init__(self, *, input_size: int, output_size: int, channels: int) -> None:
        super().__init__()
        if input_size < LEAST_FRAMES:
            raise ValueError(
                f"convolutional subsampling needs at least {LEAST_FRAMES} features, got {input_size}"
            )
        self.output_size = output_size
        self.conv1 = nn.Conv2d(1, channels, 3, stride=2)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2)
        self.linear = nn.Linear(channels * _quarter(input_size), output_size)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`, with at least one output frame; the length of an utterance below 7 frames is 0."""
        x = F.pad(x, (0, 0, 0, max(0, LEAST_FRAMES - x.shape[1])))
        image = channels_last_image(x[..., None])
        image = torch.relu_(self._conv2(torch.relu_(self.conv1(image))))
        return self.linear(image.transpose(1, 2).flatten(2)), self.output_lengths(lengths)

    def _conv2(self, image: Tensor) -> Tensor:
        # Of ten features or fewer one column is left, for which oneDNN's kernel in bfloat16 reads memory that
        # nobody has written (PyTorch 2.11 to 2.13).
        sound = image.dtype == torch.bfloat16 and image.shape[3] >= 5
        if image.device.type != "cpu" or sound:
            out: Tensor = self.conv2(image)
            return out
        weight, bias = self.conv2.weight, self.conv2.bias
        assert bias is not None
        exact = torch.promote_types(image.dtype, torch.float32)
        with torch.autocast("cpu", enabled=False):
            wide = _StridedConvolution.apply(image.to(exact), weight.to(exact), bias.to(exact))
        return wide.to(image.dtype)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """((T - 1) // 2 - 1) // 2."""
        return ((((lengths - 1) // 2) - 1) // 2).clamp(min=0)


def conv2d_stages(input_size: int, *, channels: int, output_size: int) -> list[Conv2dSubsampling]:
    """The one stage; for the arguments see `Conv2dSubsampling`."""
    return [Conv2dSubsampling(input_size=input_size, output_size=output_size, channels=channels)]


class _StridedConvolution(torch.autograd.Function):
    """A convolution of stride 2 over channels-last images, with the weight's gradient as matrix products.

    There is one product per tap of the filter. oneDNN's own kernel for this gradient runs at a quarter of the
    matrix-product rate in float32, and took as long as the rest of a Transformer step's front end. In
    bfloat16 it is as fast as the products, and 1.5 times as fast with AMX.
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


def _quarter(size: int) -> int:
    return ((size - 1) // 2 - 1) // 2
