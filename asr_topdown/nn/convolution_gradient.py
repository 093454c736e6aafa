"""The gradient of a convolution's weight as matrix products, on CPUs where oneDNN's kernel for it is slow.

On processors without AVX-512, the larger an image in the channels-last format, the slower oneDNN computes
this gradient in float32: for 8 s of speech at a sixth to a quarter of the rate of a matrix product (the
convolution itself and the gradient of its input at 0.7 to 1.0 of it), and a VGG front end spends most of its
time there. With AVX-512 it has kept up. `is_faster` measures which holds here; `nn.matrix_product` replaces
PyTorch's kernel accordingly.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

CHANNELS = 32
"""The fewest, in or out, for which the products are of a reasonable width."""
ROWS = 4096
"""Places of the image in one product: a megabyte of each operand, which stays in the cache for all taps."""


def applies(image: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> bool:
    """Return whether `weight_gradient` can compute it: stride 1, "same" padding, float32, channels last."""
    if image.dim() != 4 or image.dtype != torch.float32 or min(weight.shape[:2]) < CHANNELS:
        return False
    taps = weight.shape[2:]
    same = all(size % 2 and margin == size // 2 for size, margin in zip(taps, padding, strict=True))
    return same and set(stride) == {1} and image.is_contiguous(memory_format=torch.channels_last)


def weight_gradient(image: Tensor, grad: Tensor, taps: Sequence[int]) -> Tensor:
    """Return the gradient of the weight of a convolution of stride 1 with "same" padding.

    One image after the other, with a frame of zeros around it and around its gradient. Of the rows of
    channels that then lie in memory, a tap of the filter has seen those a fixed number of rows away: all
    operands are views, and the zeros around the gradient leave out what wraps around an edge.

    Args:
        image: (B, C, T, D), channels last.
        grad: (B, O, T, D), the gradient of the output.
        taps: odd sizes of the filter.

    Returns:
        (O, C, *taps).
    """
    (height, width), (channels, outputs) = taps, (image.shape[1], grad.shape[1])
    above, beside = height // 2, width // 2
    shifts = [
        (row - above) * (image.shape[3] + 2 * beside) + column - beside
        for row in range(height)
        for column in range(width)
    ]
    margin = shifts[-1]
    total = image.new_zeros(len(shifts), outputs, channels)
    for seen, slopes in zip(_framed(image, above, beside), _framed(grad, above, beside), strict=True):
        for start in range(margin, len(seen) - margin, ROWS):
            end = min(start + ROWS, len(seen) - margin)
            by_output = slopes[start:end].t()
            for tap, shift in zip(total, shifts, strict=True):
                tap.addmm_(by_output, seen[start + shift : end + shift])
    return total.view(height, width, outputs, channels).permute(2, 3, 0, 1).contiguous()


def _framed(images: Tensor, above: int, beside: int) -> Iterator[Tensor]:
    """(B, C, T, D) -> for each image ((T + 2 above) (D + 2 beside), C), one at a time."""
    around = (0, 0, beside, beside, above, above)
    for image in images.unbind():
        yield torch.nn.functional.pad(image.permute(1, 2, 0), around).flatten(0, 1)


def occurs_in(model: nn.Module) -> bool:
    """Return whether the network has a convolution to which `weight_gradient` can apply."""
    return any(
        isinstance(layer, nn.Conv2d)
        and min(layer.in_channels, layer.out_channels) >= CHANNELS
        and set(layer.stride) == {1}
        for layer in model.modules()
    )


def is_faster(timer: Callable[[Callable[[], object]], float], margin: float) -> bool:
    """Return whether `weight_gradient` is `margin` times as fast here, for two seconds of speech.

    The least of two rounds after a first one counts: 0.2 s of slow processor time.

    Args:
        timer: the seconds that a call takes.
        margin: above 1, for a clear gain.
    """
    image, grad = (torch.ones(1, 200, 80, 64).permute(0, 3, 1, 2) for _ in range(2))
    others = None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
    calls = [
        functools.partial(
            torch.ops.aten.convolution_backward, grad, image, torch.ones(64, 64, 3, 3), *others
        ),
        functools.partial(weight_gradient, image, grad, [3, 3]),
    ]
    times = [[timer(call) for call in calls] for _ in range(3)][1:]
    theirs, ours = map(min, zip(*times, strict=True))
    return theirs > margin * ours
