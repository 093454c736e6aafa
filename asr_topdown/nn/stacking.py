"""Frame stacking: join adjacent input frames into one, to shorten the sequence."""

import torch.nn.functional as F
from torch import Tensor

from asr_topdown.nn.lengths import mask


def stack_frames(frames: Tensor, lengths: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Join each run of `size` frames: (B, T, D), (B,) -> (B, ceil(T/size), size*D), (B,) ceil(lengths/size).

    The last run of an utterance is completed with zeros, whatever the padding holds.
    """
    if size == 1:
        return frames, lengths
    batch, time, dim = frames.shape
    frames = frames.masked_fill(~mask(lengths, time)[:, :, None], 0.0)
    frames = F.pad(frames, (0, 0, 0, -time % size))
    return frames.reshape(batch, -1, size * dim), -(-lengths // size)
