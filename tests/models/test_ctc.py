"""The BLSTM-CTC model: layers, lengths, batching, gradients."""

import itertools

import pytest
import torch

from asr_topdown import layers
from asr_topdown.models.ctc import BlstmCtc

SHAPES = [
    {"layers": 1},
    {"layers": 2, "projection": 3, "stack": 3, "norm": True},
    {"layers": 3, "subsample": (2, 2), "stack": 2},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_layers_are_a_partition(shape: dict[str, int]) -> None:
    model = BlstmCtc(4, 6, cells=3, **shape)
    layers.check_partition(model)
    assert layers.layer_names(model) == (*(f"blstm.{i}" for i in range(shape["layers"])), "softmax")


@pytest.mark.parametrize("shape", SHAPES)
def test_length_formula_is_the_real_length(shape: dict[str, int]) -> None:
    model = BlstmCtc(4, 6, cells=3, **shape).eval()
    for time in range(1, 30):
        log_probs, lengths = model(torch.randn(1, time, 4), torch.tensor([time]))
        assert log_probs.shape[1] == lengths.item() == model.output_length(torch.tensor([time])).item()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_gives_what_its_utterances_give_alone(shape: dict[str, int]) -> None:
    torch.manual_seed(0)
    model = BlstmCtc(4, 6, cells=3, dropout=0.5, **shape).eval()
    sizes = [17, 11, 5, 1]
    feats = [torch.randn(size, 4) for size in sizes]
    # What stands in the padding must not matter.
    batch = torch.full((4, 17, 4), 99.0)
    for row, item in zip(batch, feats, strict=True):
        row[: len(item)] = item
    together, lengths = model(batch, torch.tensor(sizes))
    for row, item, length in zip(together, feats, lengths.tolist(), strict=True):
        alone, _ = model(item[None], torch.tensor([len(item)]))
        assert torch.allclose(row[:length], alone[0], atol=1e-5)


def test_loss_equals_the_sum_over_all_alignments() -> None:
    torch.manual_seed(0)
    model = BlstmCtc(2, 3, layers=1, cells=2)
    feats, target = torch.randn(1, 4, 2), [1, 1]
    log_probs, lengths = model(feats, torch.tensor([4]))
    log_probs = log_probs.detach()
    total = -torch.inf
    for path in itertools.product(range(3), repeat=4):
        collapsed = [unit for unit, _ in itertools.groupby(path) if unit]
        if collapsed == target:
            score = sum(log_probs[0, time, unit] for time, unit in enumerate(path))
            total = torch.logaddexp(torch.as_tensor(total), score)
    loss = model.loss(feats, torch.tensor([4]), torch.tensor([target]), torch.tensor([2]))
    assert loss.total.item() == pytest.approx(-float(total), rel=1e-5)
    assert lengths.item() == 4


def test_gradient_of_the_loss() -> None:
    """Central differences on a few weights; float32, so the tolerance is wide."""
    torch.manual_seed(0)
    model = BlstmCtc(2, 3, layers=2, cells=2, subsample=(2,))
    args = (torch.randn(2, 8, 2), torch.tensor([8, 6]), torch.tensor([[1, 2], [2, 0]]), torch.tensor([2, 1]))
    model.loss(*args).total.backward()
    for parameter in (model.blstm[0].forwards.weight_ih_l0, model.blstm[1].backwards.weight_hh_l0):
        with torch.no_grad():
            parameter[0, 0] += 1e-2
            above = model.loss(*args).total.item()
            parameter[0, 0] -= 2e-2
            below = model.loss(*args).total.item()
            parameter[0, 0] += 1e-2
        assert parameter.grad is not None
        assert parameter.grad[0, 0].item() == pytest.approx((above - below) / 2e-2, abs=2e-3)


def test_gradient_flows_through_a_frozen_top() -> None:
    torch.manual_seed(0)
    model = BlstmCtc(2, 3, layers=2, cells=2)
    layers.freeze(model, ["blstm.1", "softmax"], dropout=True)
    args = (torch.randn(1, 6, 2), torch.tensor([6]), torch.tensor([[1]]), torch.tensor([1]))
    model.loss(*args).total.backward()
    assert model.blstm[0].forwards.weight_ih_l0.grad.abs().sum() > 0
    assert model.softmax.weight.grad is None


def test_too_many_subsampling_factors() -> None:
    with pytest.raises(ValueError, match="3 factors for 2 layers"):
        BlstmCtc(2, 3, layers=2, subsample=(1, 1, 2))
