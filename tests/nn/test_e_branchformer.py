"""The E-Branchformer block against its equations, written out in float64 for one utterance at a time."""

import math

import pytest
import torch
from torch import Tensor

from asr_topdown.nn.block import stack
from asr_topdown.nn.e_branchformer import EBranchformerLayer


def norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def feed_forward(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    hidden = linear(x, weights, f"{name}.linear1")
    return linear(hidden / (1 + (-hidden).exp()), weights, f"{name}.linear2")


def attend(x: Tensor, weights: dict[str, Tensor], heads: int) -> Tensor:
    query, key, value = linear(x, weights, "attention.in_proj").chunk(3, dim=1)
    size = x.shape[1] // heads
    parts = []
    for head in range(heads):
        q, k, v = (part[:, head * size : (head + 1) * size] for part in (query, key, value))
        scores = (q @ k.T / math.sqrt(size)).exp()
        parts.append(scores / scores.sum(1, keepdim=True) @ v)
    return linear(torch.cat(parts, 1), weights, "attention.out_proj")


def convolve(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    """Frame by frame and tap by tap; what lies outside the utterance is zero."""
    kernel, bias = weights[f"{name}.weight"][:, 0], weights[f"{name}.bias"]
    middle = kernel.shape[1] // 2
    out = bias.repeat(len(x), 1)
    for time in range(len(x)):
        for tap in range(kernel.shape[1]):
            place = time + tap - middle
            if 0 <= place < len(x):
                out[time] += kernel[:, tap] * x[place]
    return out


def by_the_book(x: Tensor, layer: EBranchformerLayer) -> Tensor:
    """(T, D) -> (T, D), Kim et al. 2022, section 2 and figure 2."""
    weights = {key: value.double() for key, value in layer.state_dict().items()}
    x = x + 0.5 * feed_forward(norm(x, weights, "norms.0"), weights, "ffn1")
    whole = attend(norm(x, weights, "norms.1"), weights, layer.attention.num_heads)
    hidden = linear(norm(x, weights, "norms.2"), weights, "cgmlp.linear1")
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    value, gate = hidden.chunk(2, dim=1)
    gate = convolve(norm(gate, weights, "cgmlp.norm"), weights, "cgmlp.depthwise_conv")
    near = linear(value * gate, weights, "cgmlp.linear2")
    both = torch.cat([whole, near], 1)
    x = x + linear(both + convolve(both, weights, "merge.depthwise_conv"), weights, "merge.linear")
    x = x + 0.5 * feed_forward(norm(x, weights, "norms.3"), weights, "ffn2")
    return norm(x, weights, "norms.4")


def make(**settings: int) -> EBranchformerLayer:
    torch.manual_seed(0)
    sizes = {"d_model": 12, "num_heads": 3, "ffn_dim": 20, "cgmlp_dim": 14, "kernel_size": 7}
    (layer,) = stack(
        EBranchformerLayer,
        12,
        num_layers=1,
        **{**sizes, "merge_kernel_size": 5, **settings},
        dropout=0.3,
        attention_dropout=0.2,
    )
    layer.input_layer = torch.nn.Identity()
    for parameter in layer.parameters():  # norms of ones and gates that start open would hide much
        torch.nn.init.normal_(parameter, std=0.5)
    return layer.eval()


@pytest.mark.parametrize("kernels", [{"kernel_size": 7, "merge_kernel_size": 5}, {"kernel_size": 1}])
def test_it_is_the_papers_block_whatever_stands_in_the_padding(kernels: dict[str, int]) -> None:
    layer = make(**kernels).double()
    lengths = torch.tensor([9, 4, 1])
    frames = torch.randn(3, 11, 12, dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        frames[row, length:] = 1e3
    out, after = layer(frames, lengths)
    assert torch.equal(after, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(out[row, :length], by_the_book(frames[row, :length], layer))


def test_gradients_do_not_reach_the_padding() -> None:
    layer, lengths = make(), torch.tensor([9, 4])
    frames = torch.randn(2, 11, 12, requires_grad=True)
    out, _ = layer(frames, lengths)
    (out[0, :9].square().sum() + out[1, :4].square().sum()).backward()
    assert frames.grad[0, 9:].abs().max() == frames.grad[1, 4:].abs().max() == 0
    assert (frames.grad[0, :9].abs().sum(-1) > 0).all()


def test_gates_start_open() -> None:
    (layer,) = stack(
        EBranchformerLayer,
        8, num_layers=1, d_model=8, num_heads=2, ffn_dim=8, cgmlp_dim=8, kernel_size=3, merge_kernel_size=3,
        dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    x, mask = torch.randn(1, 6, 8), torch.ones(1, 6, 1, dtype=torch.bool)
    value, _ = torch.nn.functional.gelu(layer.cgmlp.linear1(x)).chunk(2, dim=-1)
    torch.testing.assert_close(layer.cgmlp(x, mask), layer.cgmlp.linear2(value), atol=1e-4, rtol=1e-4)
