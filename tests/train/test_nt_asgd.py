"""NT-ASGD: PyTorch's own SGD and ASGD as the measure, and the state on disk; its trigger is a `Plateau`."""

import io

import pytest
import torch
from torch import nn

from asr_topdown.train.nt_asgd import NtAsgd

LRS = [0.3, 0.6, 0.1, 0.4, 0.5, 0.2, 0.7, 0.3]


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (4,))]


def step(optimizer: torch.optim.Optimizer, params: list[nn.Parameter], lr: float) -> None:
    """One step downhill on a function of the parameters, with a learning rate of its own."""
    optimizer.zero_grad()
    sum((param**2).sum() + param.sin().sum() for param in params).backward()
    optimizer.param_groups[0]["lr"] = lr
    optimizer.step()


def switched(params: list[nn.Parameter], *, lr: float = 0.3) -> NtAsgd:
    optimizer = NtAsgd(params, lr=lr, weight_decay=0.01)
    assert not optimizer.averaging
    optimizer.begin_averaging()
    assert optimizer.averaging
    return optimizer


def test_before_the_trigger_it_is_sgd() -> None:
    ours, theirs = parameters(), parameters()
    mine = NtAsgd(ours, lr=0.3, weight_decay=0.01)
    reference = torch.optim.SGD(theirs, lr=0.3, weight_decay=0.01)
    for lr in LRS:
        step(mine, ours, lr)
        step(reference, theirs, lr)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_after_the_trigger_it_is_asgd_averages_and_all() -> None:
    ours, theirs = parameters(), parameters()
    mine = switched(ours)
    reference = torch.optim.ASGD(theirs, lr=0.3, t0=0, lambd=0.0, weight_decay=0.01)
    for lr in LRS:
        step(mine, ours, lr)
        step(reference, theirs, lr)
        with mine.averaged():
            averages = [param.detach().clone() for param in ours]
        for one, other, average in zip(ours, theirs, averages, strict=True):
            torch.testing.assert_close(one, other)
            torch.testing.assert_close(average, reference.state[other]["ax"])
    assert not torch.allclose(averages[0], ours[0], atol=1e-3)


def test_the_state_survives_a_file_with_plain_values_only() -> None:
    ours = parameters()
    optimizer = switched(ours)
    for lr in LRS[:4]:
        step(optimizer, ours, lr)
    buffer = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "weights": [param.detach() for param in ours]}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    others = [nn.Parameter(weight) for weight in saved["weights"]]
    resumed = NtAsgd(others, lr=0.3, weight_decay=0.01)
    resumed.load_state_dict(saved["optimizer"])
    for lr in LRS[4:]:
        step(optimizer, ours, lr)
        step(resumed, others, lr)
    with optimizer.averaged(), resumed.averaged():
        assert all(torch.equal(one, other) for one, other in zip(ours, others, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(ours, others, strict=True))
    assert resumed.averaging


def test_the_raw_weights_come_back_even_after_an_error() -> None:
    ours = parameters()
    optimizer = switched(ours)
    for lr in LRS:
        step(optimizer, ours, lr)
    raw = [param.detach().clone() for param in ours]
    with pytest.raises(RuntimeError), optimizer.averaged():
        raise RuntimeError
    assert all(torch.equal(one, other) for one, other in zip(ours, raw, strict=True))


def test_before_the_first_averaging_step_there_are_no_averages_to_take() -> None:
    ours = parameters()
    raw = [param.detach().clone() for param in ours]
    with switched(ours).averaged():
        assert all(torch.equal(one, other) for one, other in zip(ours, raw, strict=True))
