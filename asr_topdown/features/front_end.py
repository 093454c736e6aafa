"""From a waveform to the features of a recogniser: the same function for training data and for new audio."""

import numpy as np
import torch
from torch import Tensor

from asr_topdown.features.deltas import add_deltas
from asr_topdown.features.fbank import fbank
from asr_topdown.features.fbank_options import FbankOptions


def front_end(
    waveform: np.ndarray | Tensor,
    rate: int,
    options: FbankOptions,
    deltas: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log mel energies and their derivatives; CMVN is applied later, where features are loaded.

    Args:
        waveform: (n,) samples in [-1, 1].
        rate: of the waveform, Hz.
        options: the filter bank.
        deltas: how many derivatives to append.
        generator: draws the dither, see `fbank`.

    Returns:
        (T, front_end_dim(options, deltas)) float32.

    Raises:
        ValueError: if the sampling rate is not the filter bank's, or the waveform is too short for a frame.
    """
    if rate != options.sample_rate:
        raise ValueError(
            f"sampling rate is {rate} Hz, features.fbank.sample_rate is {options.sample_rate} (a file "
            "`sample_rate` with that number in the data directory resamples)"
        )
    return add_deltas(fbank(torch.as_tensor(waveform), options, generator), deltas)


def front_end_dim(options: FbankOptions, deltas: int = 0) -> int:
    """Feature dimension."""
    return options.dim * (deltas + 1)
