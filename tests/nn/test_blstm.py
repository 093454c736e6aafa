"""A BLSTM layer without packing equals a packed bidirectional nn.LSTM."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from asr_topdown.nn.blstm import BlstmLayer
from asr_topdown.nn.cudnn_lstm import packed_bidirectional, side_by_side, weights_of
from asr_topdown.nn.lengths import mask, reversal, reverse_time
from asr_topdown.nn.precision import has_bfloat16
from asr_topdown.nn.stacking import stack_frames


def make(input_size: int, hidden_size: int, **settings: Any) -> BlstmLayer:
    plain = {"projection_size": 0, "tanh": True, "norm": False, "dropout": 0.0, "subsample": 1, "stack": 1}
    return BlstmLayer(input_size=input_size, hidden_size=hidden_size, **{**plain, **settings})


def packed_twin(layer: BlstmLayer, input_size: int, hidden_size: int) -> nn.LSTM:
    """A bidirectional nn.LSTM with the same weights."""
    twin = nn.LSTM(input_size, hidden_size, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(twin, name).copy_(getattr(layer.lstm_fwd, name))
            getattr(twin, f"{name}_reverse").copy_(getattr(layer.lstm_bwd, name))
    return twin


def test_outputs_and_gradients_equal_a_packed_lstm() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([9, 4, 1])
    layer = make(5, 7)
    twin = packed_twin(layer, 5, 7)
    frames = torch.randn(3, 9, 5)
    real = mask(lengths, 9)[:, :, None]
    ours_in, theirs_in = frames.clone().requires_grad_(), frames.clone().requires_grad_()

    ours = layer(ours_in, lengths)[0] * real
    packed, _ = twin(pack_padded_sequence(theirs_in, lengths, batch_first=True))
    theirs, _ = pad_packed_sequence(packed, batch_first=True)

    assert torch.allclose(ours, theirs, atol=1e-6)
    weight = torch.randn_like(theirs)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    assert torch.allclose(ours_in.grad * real, theirs_in.grad, atol=1e-6)
    assert torch.allclose(layer.lstm_bwd.weight_hh_l0.grad, twin.weight_hh_l0_reverse.grad, atol=1e-5)


def test_padding_never_reaches_real_frames() -> None:
    torch.manual_seed(0)
    layer = make(3, 4, projection_size=5, subsample=2)
    lengths = torch.tensor([6, 3])
    frames = torch.randn(2, 6, 3)
    polluted = torch.where(mask(lengths, 6)[:, :, None], frames, torch.full_like(frames, 1e3))
    kept = mask(layer.output_lengths(lengths), 3)[:, :, None]
    clean, out = layer(frames, lengths)
    assert clean.shape == (2, 3, 5)
    assert out.tolist() == [3, 2]
    assert torch.equal(clean * kept, layer(polluted, lengths)[0] * kept)


@pytest.mark.parametrize("subsample", [1, 2, 3])
@pytest.mark.parametrize("stack", [1, 3])
def test_length_formula(subsample: int, stack: int) -> None:
    layer = make(2, 2, subsample=subsample, stack=stack)
    for time in range(1, 12):
        lengths = torch.tensor([time])
        out, after = layer(torch.zeros(1, time, 2), lengths)
        assert out.shape[1] == after.item() == layer.output_lengths(lengths).item()


def test_reversal_is_its_own_inverse() -> None:
    lengths = torch.tensor([4, 2, 1])
    index = reversal(lengths, 4)
    assert index.tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]
    frames = torch.randn(3, 4, 2)
    assert torch.equal(reverse_time(reverse_time(frames, index), index), frames)


def test_stacking_completes_the_last_run_with_zeros() -> None:
    """The padding has no effect."""
    frames = torch.tensor([[1.0, 2, 3, 4, 5, 9, 9]])[:, :, None]
    stacked, lengths = stack_frames(frames, torch.tensor([5]), 3)
    assert stacked.tolist() == [[[1, 2, 3], [4, 5, 0], [0, 0, 0]]]
    assert lengths.tolist() == [2]


@pytest.mark.parametrize("stack", [1, 2])
def test_both_ways_to_run_it_are_one_function(stack: int) -> None:
    """Over the padding, for CPUs, and packed, for cuDNN: outputs, and gradients of input and parameters."""
    torch.manual_seed(0)
    layer = make(3, 4, stack=stack)
    lengths = torch.tensor([3, 8, 0, 5, 8])
    frames = torch.randn(5, 8, 3 * stack)
    real = mask(lengths, 8)[:, :, None]
    weight = torch.randn(5, 8, 8)

    def both(run: Callable[[Tensor], Tensor]) -> list[Tensor]:
        layer.zero_grad()
        given = frames.clone().requires_grad_()
        out = run(given) * real
        (out * weight).sum().backward()
        return [out, given.grad * real, *(parameter.grad.clone() for parameter in layer.parameters())]

    padded = both(lambda given: layer.over_padding(given, lengths))
    packed = both(lambda given: packed_bidirectional(layer.lstm_fwd, layer.lstm_bwd, given, lengths))
    for ours, theirs in zip(padded, packed, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


class InputSizes(TorchDispatchMode):
    """The sizes of the frames that oneDNN's LSTMs are given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mkldnn_rnn_layer.default:
            self.seen.append(args[0].shape[-1])
        return func(*args, **(kwargs or {}))


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16")
@pytest.mark.parametrize("size", [6, 7])
def test_bfloat16_reads_an_even_number_and_gives_what_float32_gives_but_for_rounding(size: int) -> None:
    torch.manual_seed(0)
    layer = make(size, 8)
    lengths = torch.tensor([30, 12])
    frames, weight = torch.randn(2, 30, size), torch.randn(2, 30, 16)

    def all_of(bfloat16: bool) -> tuple[list[Tensor], list[int]]:
        layer.zero_grad()
        given = frames.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16), InputSizes() as sizes:
            out, _ = layer(given, lengths)
        (out.float() * weight).sum().backward()
        return [
            out.float(),
            given.grad,
            *(parameter.grad.clone() for parameter in layer.parameters()),
        ], sizes.seen

    exact, plain = all_of(bfloat16=False)
    rounded, read = all_of(bfloat16=True)
    assert (plain, read) == ([size] * 2, [size + size % 2] * 2)
    errors = [float((a - b).detach().norm() / b.norm()) for a, b in zip(rounded, exact, strict=True)]
    assert 1e-4 < max(errors) < 0.02


def test_weights_side_by_side_are_one_block_in_cudnns_order() -> None:
    """All matrices, then all biases, direction after direction; and the gradient reaches each."""
    layer = make(3, 4)
    given = [*weights_of(layer.lstm_fwd), *weights_of(layer.lstm_bwd)]
    placed = side_by_side(given)
    assert all(torch.equal(*pair) for pair in zip(placed, given, strict=True))
    offsets = [tensor.storage_offset() for tensor in placed]
    sizes = [tensor.numel() for tensor in placed]
    order = [0, 1, 4, 5, 2, 3, 6, 7]
    assert len({tensor.untyped_storage().data_ptr() for tensor in placed}) == 1
    assert [offsets[index] for index in order] == [0, *itertools.accumulate(sizes[index] for index in order)][
        :-1
    ]
    sum((place * number).sum() for number, place in enumerate(placed, 1)).backward()
    assert all((tensor.grad == number).all() for number, tensor in enumerate(given, 1))
