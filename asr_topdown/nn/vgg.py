"""The VGG front end of Hori et al. 2017: four convolutions and two poolings, time and frequency / 4."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.lengths import mask
from asr_topdown.nn.subsampling import channels_last_image

FILTERS = (64, 128)


class Vgg(nn.Module):
    """Two blocks of [3 x 3 convolution, ReLU] twice and 2 x 2 max pooling.

    A frame that pooling meets alone at the end is kept, so T frames become ceil(T / 4). What lies just
    behind an utterance's last frame is kept at zero, as it is at the end of a batch, wherever a convolution
    or a pooling would see it: a batch gives what its utterances give alone.

    Args:
        inputs: size of a feature frame.
        channels: the frame is cut into so many channels of equal size (3: static, first and second
            derivatives).
        filters: of both convolutions of the first block, and of the second.

    Raises:
        ValueError: if the frame cannot be cut so.
    """

    def __init__(self, inputs: int, *, channels: int = 1, filters: Sequence[int] = FILTERS) -> None:
        super().__init__()
        if inputs % channels:
            raise ValueError(
                f"a frame of {inputs} features cannot be cut into {channels} channels "
                f"(channels must be 1, or the number of derivatives plus 1)"
            )
        self.channels = channels
        first, second = filters
        sizes = [channels, first, first, second, second]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(sizes)
        )
        self.outputs = second * -(-inputs // channels // 4)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, ceil(T / 4), outputs), (B,) lengths."""
        batch, time, _ = frames.shape
        frames = frames.masked_fill(~mask(lengths, time)[:, :, None], 0.0)
        image = channels_last_image(frames.view(batch, time, self.channels, -1).transpose(2, 3))
        for index, convolution in enumerate(self.convolutions):
            image = convolution(image)
            _silence_behind(image, lengths)
            image = torch.relu_(image)
            if index % 2:
                image = F.max_pool2d(image, 2, ceil_mode=True)
                lengths = -(-lengths // 2)
        return image.transpose(1, 2).flatten(2), lengths

    def output_length(self, length: Tensor) -> Tensor:
        """Frames that come out for `length` frames."""
        return -(-length // 4)


def _silence_behind(image: Tensor, lengths: Tensor) -> None:
    """Put zeros into the frames behind each utterance's end that the next layers can see.

    They are three: with an odd length, pooling makes the frame behind the end from the second and the third,
    and the next convolution sees it.

    In place and unseen by autograd, which spares two passes over a large tensor. The gradients are right all
    the same: a convolution's backward pass does not read its output, and the ReLU that must follow passes
    nothing back where its output is zero.
    """
    data = image.detach()
    rows = torch.arange(len(lengths), device=lengths.device)
    last = image.shape[2] - 1
    for offset in range(3):
        frame = (lengths + offset).clamp(max=last)
        inside = lengths + offset > last
        data[rows, :, frame] *= inside[:, None, None].to(data.dtype)
