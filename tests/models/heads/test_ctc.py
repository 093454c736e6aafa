"""The CTC head: its loss against the enumeration of all paths."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from networks import alone, blstm_ctc, make, make_batch


def test_loss_equals_the_sum_over_all_alignments() -> None:
    model = make(blstm_ctc(1, 2), features=2, vocab_size=3)
    target = [1, 1]
    batch = alone(make_batch([4], [target], features=2), 0)
    output = model.forward_with_loss(batch)
    log_probs = model.ctc.log_probs(output.memory).detach()
    total = -torch.inf
    for path in itertools.product(range(3), repeat=4):
        collapsed = [unit for unit, _ in itertools.groupby(path) if unit]
        if collapsed == target:
            score = sum(log_probs[0, time, unit] for time, unit in enumerate(path))
            total = torch.logaddexp(torch.as_tensor(total), score)
    assert output.loss.item() == pytest.approx(-float(total), rel=1e-5)
    assert output.lengths.item() == 4


def test_gradient_of_the_loss() -> None:
    """Central differences on a few weights; float32, so the tolerance is wide."""
    model = make(blstm_ctc(2, 2, subsample=(2,)), features=2, vocab_size=3)
    batch = make_batch([8, 6], [[1, 2], [2]], features=2)
    model.forward_with_loss(batch).loss.backward()
    first, second = (model.stages.get_submodule(name) for name in ("blstm.0", "blstm.1"))
    for parameter in (first.lstm_fwd.weight_ih_l0, second.lstm_bwd.weight_hh_l0):
        ends = []
        for step in (1e-2, -2e-2, 1e-2):
            with torch.no_grad():
                parameter[0, 0] += step
            ends.append(model.forward_with_loss(batch).loss.item())
        assert parameter.grad[0, 0].item() == pytest.approx((ends[0] - ends[1]) / 2e-2, abs=2e-3)


def test_smoothing_is_a_share_of_the_training_loss_only() -> None:
    section = blstm_ctc(1, 4)
    plain, smooth = make(section), make({**section, "ctc": {"label_smoothing": 0.25}})
    smooth.load_state_dict(plain.state_dict())
    batch = make_batch()
    output = plain.forward_with_loss(batch)
    log_probs = plain.ctc.log_probs(output.memory)
    uniform = torch.full_like(log_probs[0], 1 / log_probs.shape[-1]).log()
    rows = zip(log_probs, output.lengths.tolist(), strict=True)
    sure = torch.stack([F.kl_div(uniform[:n], row[:n], reduction="sum", log_target=True) for row, n in rows])
    mixed = smooth.train().forward_with_loss(batch).losses
    assert torch.allclose(mixed, 0.75 * output.losses + 0.25 * sure, rtol=1e-5)
    assert torch.equal(
        smooth.eval().forward_with_loss(batch).losses, plain.eval().forward_with_loss(batch).losses
    )
