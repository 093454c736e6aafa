"""Convolutional subsampling: the plain network it must equal, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from asr_topdown.nn.conv2d import Conv2dSubsampling


def plain(layer: Conv2dSubsampling, frames: torch.Tensor) -> torch.Tensor:
    """A plain restatement."""
    image = F.relu(layer.conv2(F.relu(layer.conv1(frames[:, None]))))
    out: torch.Tensor = layer.linear(image.transpose(1, 2).flatten(2))
    return out


@pytest.mark.parametrize("time", [7, 8, 9, 10, 23])
@pytest.mark.parametrize("size", [7, 10, 12])
def test_values_and_gradients_are_those_of_plain_convolutions(time: int, size: int) -> None:
    torch.manual_seed(time)
    layer = Conv2dSubsampling(input_size=size, output_size=6, channels=5).double()
    frames = torch.randn(3, time, size, dtype=torch.float64)
    out, lengths = layer(frames, torch.full((3,), time))
    assert lengths.tolist() == [out.shape[1]] * 3
    expected = plain(layer, frames)
    torch.testing.assert_close(out, expected)
    weight = torch.randn_like(out)
    ours = torch.autograd.grad((out * weight).sum(), list(layer.parameters()))
    theirs = torch.autograd.grad((expected * weight).sum(), list(layer.parameters()))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("size", [7, 8, 10, 11, 13, 20, 41])
def test_gradients_under_autocast(size: int) -> None:
    """With NaN left in memory: oneDNN's kernels are to read none of it."""
    torch.manual_seed(0)
    layer = Conv2dSubsampling(input_size=size, output_size=16, channels=16)
    frames, lengths = torch.randn(2, 30, size), torch.tensor([30, 30])
    exact = torch.autograd.grad(layer(frames, lengths)[0].square().sum(), list(layer.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(frames, lengths)[0]
    assert out.dtype == torch.bfloat16
    poison = [torch.full((count,), torch.nan, dtype=torch.bfloat16) for count in range(250, 9000, 250)]
    del poison
    rough = torch.autograd.grad(out.float().square().sum(), list(layer.parameters()))
    for one, other in zip(rough, exact, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.05 * other.norm()


@pytest.mark.parametrize("size", [7, 8, 10, 11])
def test_few_features_under_autocast(size: int) -> None:
    """One column behind the second convolution, in memory that held NaN before: oneDNN would read it."""
    torch.manual_seed(0)
    layer = Conv2dSubsampling(input_size=size, output_size=6, channels=8)
    frames, lengths = torch.randn(4, 48, size), torch.full((4,), 48)
    exact = layer(frames, lengths)[0]
    for _ in range(10):
        poison = [torch.full((count,), torch.nan, dtype=torch.bfloat16) for count in range(500, 9000, 250)]
        del poison
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(frames, lengths)[0]
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.float(), exact, rtol=0.05, atol=0.05)
