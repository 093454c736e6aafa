"""LSTM layers in cuDNN's format: weights contiguous in memory, sequences packed."""

from collections.abc import Sequence

import torch
from torch import _VF, Tensor, nn

from asr_topdown.nn.transfer import to_device

State = tuple[Tensor, Tensor]

_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def weights_of(lstm: nn.LSTM) -> list[Tensor]:
    """The four tensors of one layer in one direction, in PyTorch's order."""
    return [getattr(lstm, name) for name in _NAMES]


def side_by_side(weights: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of a layer, of one direction or of both, as parts of one block of memory.

    The block has cuDNN's layout, all matrices before all biases; PyTorch copies weights with another layout
    into such a block in every call, with a warning. The gradients reach the given tensors.

    Args:
        weights: input matrix, state matrix and two biases per direction.
    """
    order = [*(index for index in range(len(weights)) if index % 4 < 2)]
    order += [index for index in range(len(weights)) if index % 4 > 1]
    block = torch.cat([weights[index].flatten() for index in order])
    parts = block.split([weights[index].numel() for index in order])
    placed = {index: part.view_as(weights[index]) for index, part in zip(order, parts, strict=True)}
    return [placed[index] for index in range(len(weights))]


def packed_bidirectional(forward: nn.LSTM, backward: nn.LSTM, x: Tensor, host_lengths: Tensor) -> Tensor:
    """Both directions of a layer over a ragged batch in one call, without its padding.

    Args:
        forward: one layer, one direction.
        backward: likewise, for each sequence reversed.
        x: (B, T, D).
        host_lengths: (B,) lengths, on the CPU, to avoid waiting for the device; for a length of 0 the first
            frame is read.

    Returns:
        (B, T, 2 H), zero in the padding.
    """
    lengths, order = host_lengths.clamp(min=1).sort(descending=True, stable=True)
    there, back = (to_device(index, x.device) for index in (order, order.argsort()))
    rows, batch_sizes = _VF._pack_padded_sequence(x.index_select(0, there), lengths, True)
    zeros = x.new_zeros(2, len(x), forward.hidden_size)
    weights = side_by_side([*weights_of(forward), *weights_of(backward)])
    outputs, _, _ = _VF.lstm(rows, batch_sizes, (zeros, zeros), weights, True, 1, 0.0, forward.training, True)
    padded, _ = _VF._pad_packed_sequence(outputs, batch_sizes, True, 0.0, x.shape[1])
    aligned: Tensor = padded.index_select(0, back)
    return aligned


def one_direction(
    weights: Sequence[Tensor], frames: Tensor, state: State | None, *, training: bool
) -> tuple[Tensor, State]:
    """One layer over (T, B, D) frames, with given weights, from a state; None = zeros."""
    if state is None:
        zeros = frames.new_zeros(1, frames.shape[1], weights[1].shape[1])
        state = zeros, zeros
    outputs, hidden, cell = _VF.lstm(
        frames, state, side_by_side(weights), True, 1, 0.0, training, False, False
    )
    return outputs, (hidden, cell)
