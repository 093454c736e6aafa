"""Dropped recurrent weights: really dropped, one mask per pass, and nothing left behind."""

import pytest
import torch
from torch import Tensor, nn

from asr_topdown.nn.cudnn_lstm import one_direction, weights_of
from asr_topdown.nn.weight_drop import WeightDrop


@pytest.fixture
def lstm() -> nn.LSTM:
    torch.manual_seed(0)
    return nn.LSTM(3, 4)


FRAMES = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(1))
STATE = (torch.full((1, 2, 4), 0.3), torch.full((1, 2, 4), -0.2))


def run(lstm: nn.LSTM, p: float, *, training: bool = True) -> Tensor:
    output, _ = WeightDrop(p).train(training)(lstm, FRAMES, STATE)
    return output


def test_drop_0_is_a_plain_lstm(lstm: nn.LSTM) -> None:
    assert torch.equal(run(lstm, 0.0), lstm(FRAMES, STATE)[0])


def test_drop_1_is_an_lstm_without_recurrence(lstm: nn.LSTM) -> None:
    dropped = run(lstm, 1.0)
    assert not torch.allclose(dropped, lstm(FRAMES, STATE)[0], atol=1e-3)
    nn.init.zeros_(lstm.weight_hh_l0)
    torch.testing.assert_close(dropped, lstm(FRAMES, STATE)[0])


def test_one_mask_for_the_whole_sequence_and_another_in_the_next_pass(lstm: nn.LSTM) -> None:
    """Among the LSTMs with some elements zeroed and the others doubled, one gives the very output."""
    torch.manual_seed(7)
    first, second = run(lstm, 0.5), run(lstm, 0.5)
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    kept = torch.nn.functional.dropout(torch.ones_like(lstm.weight_hh_l0), 0.5)
    with torch.no_grad():
        lstm.weight_hh_l0.mul_(kept)
    torch.testing.assert_close(first, lstm(FRAMES, STATE)[0])


def test_an_evaluation_in_between_changes_nothing(lstm: nn.LSTM) -> None:
    """On recent PyTorch the published implementation fails at the first training batch after one."""
    plain = lstm(FRAMES, STATE)[0]
    run(lstm, 0.5).sum().backward()
    assert torch.equal(run(lstm, 0.5, training=False), plain)
    lstm.zero_grad()
    run(lstm, 0.5).sum().backward()
    assert lstm.weight_hh_l0.grad is not None


def test_the_gradient_reaches_the_parameter_where_it_was_kept(lstm: nn.LSTM) -> None:
    torch.manual_seed(3)
    run(lstm, 0.5).square().sum().backward()
    torch.manual_seed(3)
    kept = torch.nn.functional.dropout(torch.ones_like(lstm.weight_hh_l0), 0.5) > 0
    gradient = lstm.weight_hh_l0.grad
    assert gradient is not None
    assert torch.equal(gradient != 0, kept)


def test_names_and_values_stay_those_of_a_plain_lstm(lstm: nn.LSTM) -> None:
    before = {name: value.clone() for name, value in lstm.state_dict().items()}
    run(lstm, 0.5)
    assert list(lstm.state_dict()) == list(nn.LSTM(3, 4).state_dict())
    assert all(torch.equal(before[name], value) for name, value in lstm.state_dict().items())
    assert isinstance(lstm.weight_hh_l0, nn.Parameter)


@pytest.mark.parametrize("state", [STATE, None])
def test_weights_in_one_block_give_the_same(lstm: nn.LSTM, state: tuple[Tensor, Tensor] | None) -> None:
    outputs, ends = one_direction(weights_of(lstm), FRAMES, state, training=True)
    expected, expected_ends = lstm(FRAMES, state)
    torch.testing.assert_close((outputs, *ends), (expected, *expected_ends))
