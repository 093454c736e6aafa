"""Filter banks, derivatives and normalisation as ONNX nodes: from samples to the encoder's input."""

import numpy as np
import torch

from asr_topdown.export.graph import Graph, Value
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.deltas import delta_filter
from asr_topdown.features.fbank import INT16_SCALE, LOG_FLOOR, fbank_window, mel_bank
from asr_topdown.features.fbank_options import FbankOptions

_FLOAT, _DOUBLE = 1, 11  # onnx.TensorProto


def write_fbank(graph: Graph, options: FbankOptions, sound: Value, lengths: Value) -> tuple[Value, Value]:
    """Add nodes from (B, N) samples in [-1, 1], (B,) lengths to (B, T, D) log mel energies, (B,) frames.

    Raises:
        ValueError: for settings that only PyTorch's front end supports.
    """
    for name, plain in (("dither", 0.0), ("snip_edges", True)):
        if getattr(options, name) != plain:
            raise ValueError(
                f"features.fbank.{name} must be {plain} for sound as input, got {getattr(options, name)}; "
                "--input features exports the rest"
            )
    starts = graph.op("Mul", _range(graph, _frames(graph, graph.size(sound, 1), options)), options.shift)
    places = graph.op("Add", graph.op("Unsqueeze", starts, [1]), np.arange(options.length))
    samples = graph.op("Cast", graph.op("Gather", sound, places, axis=1), to=_DOUBLE)
    frames = graph.op("Mul", samples, np.float64(INT16_SCALE))
    frames = graph.op("Sub", frames, graph.op("ReduceMean", frames, axes=[-1]))
    power = _power(graph, frames, options)
    energies = graph.op("MatMul", power, mel_bank(options, options.fft_size).t())
    if options.energy:
        whole = graph.op("ReduceSumSquare", frames, axes=[-1])
        energies = graph.op("Concat", whole, energies, axis=-1)
    logs = graph.op("Log", graph.op("Max", energies, np.float64(LOG_FLOOR)))
    return graph.op("Cast", logs, to=_FLOAT), _frames(graph, lengths, options)


def write_deltas(graph: Graph, order: int, feats: Value, lengths: Value) -> Value:
    """Add `order` derivatives to (B, T, D); an utterance's padding repeats its first and last frame."""
    last = graph.op("Unsqueeze", graph.op("Max", graph.op("Sub", lengths, 1), 0), [1])
    time = graph.op("Unsqueeze", _range(graph, graph.size(feats, 1)), [0])
    parts = [feats]
    for degree in range(1, order + 1):
        taps = delta_filter(degree)
        summed: Value | None = None
        for offset, tap in enumerate(taps, -(len(taps) // 2)):
            if tap:
                place = graph.op("Min", graph.op("Max", graph.op("Add", time, offset), 0), last)
                frames = graph.op("GatherND", feats, graph.op("Unsqueeze", place, [2]), batch_dims=1)
                weighted = graph.op("Mul", frames, np.float32(tap))
                summed = weighted if summed is None else graph.op("Add", summed, weighted)
        assert summed is not None
        parts.append(summed)
    return graph.op("Concat", *parts, axis=-1) if order else feats


def write_cmvn(graph: Graph, cmvn: Cmvn, feats: Value) -> Value:
    """Normalise mean and variance, as `Cmvn.apply`."""
    return graph.op("Mul", graph.op("Sub", feats, cmvn.mean), cmvn.scale)


def _power(graph: Graph, frames: Value, options: FbankOptions) -> Value:
    """Compute the power spectrum of pre-emphasised and windowed frames, at the frequencies of the filters.

    Pre-emphasis, window and Fourier transform are one matrix.
    """
    length = options.length
    emphasis = torch.eye(length, dtype=torch.float64)
    emphasis[torch.arange(1, length), torch.arange(length - 1)] = -options.preemphasis
    emphasis[0, 0] = 1 - options.preemphasis
    windowed = fbank_window(options)[:, None] * emphasis
    angles = torch.arange(length, dtype=torch.float64)[:, None] * torch.arange(options.fft_size // 2)
    angles *= 2 * torch.pi / options.fft_size
    parts = [graph.op("MatMul", frames, windowed.t() @ table) for table in (angles.cos(), angles.sin())]
    return graph.op("Add", *(graph.op("Mul", part, part) for part in parts))


def _frames(graph: Graph, samples: Value, options: FbankOptions) -> Value:
    """Compute the number of frames, as `FbankOptions.num_frames`."""
    reached = graph.op("Max", graph.op("Add", samples, options.shift - options.length), 0)
    return graph.op("Div", reached, options.shift)


def _range(graph: Graph, size: Value) -> Value:
    """Return 0, 1, … size - 1, for a size of shape (1,)."""
    return graph.op("Range", np.int64(0), graph.op("Squeeze", size, [0]), np.int64(1))
