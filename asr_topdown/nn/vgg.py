"""The VGG front end of Hori et al. 2017: four convolutions and two poolings, time and frequency / 4."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.images import channels_last_image
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.stage import Stage


class Vgg(Stage):
    """Two blocks of [3 x 3 convolution, ReLU] twice and 2 x 2 max pooling.

    A single frame left for pooling at the end is kept, so T frames become ceil(T / 4). Frames just
    after an utterance's end are kept at zero, as at the end of a batch, wherever a convolution
    or a pooling would read them: a batch gives the same as its utterances alone.

    Args:
        input_size: size of a feature frame.
        channels: input channels of equal size into which a frame is split (3: static, first and second
            derivatives).
        filters: of both convolutions of the first block, and of the second.

    Raises:
        ValueError: if the frame cannot be split in this way.
    """

    name = "vgg"
    numbered = False

    def __init__(self, *, input_size: int, channels: int, filters: Sequence[int]) -> None:
        super().__init__()
        if input_size % channels:
            raise ValueError(
                f"a frame of {input_size} features cannot be cut into {channels} channels "
                f"(channels must be 1, or the number of derivatives plus 1)"
            )
        self.channels = channels
        first, second = filters
        sizes = [channels, first, first, second, second]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(sizes)
        )
        self.output_size = second * -(-input_size // channels // 4)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`; T' = ceil(T / 4)."""
        batch, time, _ = x.shape
        x = x.masked_fill(~mask(lengths, time)[:, :, None], 0.0)
        image = channels_last_image(x.view(batch, time, self.channels, -1).transpose(2, 3))
        for index, convolution in enumerate(self.convolutions):
            image = convolution(image)
            _silence_behind(image, lengths)
            image = torch.relu_(image)
            if index % 2:
                image = F.max_pool2d(image, 2, ceil_mode=True)
                lengths = -(-lengths // 2)
        return image.transpose(1, 2).flatten(2), lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """ceil(T / 4)."""
        return -(-lengths // 4)


def vgg_stages(input_size: int, *, channels: int, filters: Sequence[int]) -> list[Vgg]:
    """The one stage; for the arguments see `Vgg`."""
    return [Vgg(input_size=input_size, channels=channels, filters=filters)]


def _silence_behind(image: Tensor, lengths: Tensor) -> None:
    """Zero the frames after each utterance's end that the next layers can read.

    There are three: with an odd length, pooling makes the frame after the end from the second and the third,
    and the next convolution reads it.

    This is done in place and hidden from autograd, which saves two passes over a large tensor. The gradients
    are still right: a convolution's backward pass does not read its output, and the ReLU that must follow
    passes nothing back where its output is zero.
    """
    data = image.detach()
    rows = torch.arange(len(lengths), device=lengths.device)
    last = image.shape[2] - 1
    for offset in range(3):
        frame = (lengths + offset).clamp(max=last)
        inside = lengths + offset > last
        data[rows, :, frame] *= inside[:, None, None].to(data.dtype)
