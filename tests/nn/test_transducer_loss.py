"""The transducer's loss against the sum over all alignments, its gradient, and other implementations."""

import itertools
import sys
import types

import pytest
import torch
from torch import Tensor

from asr_topdown.nn import transducer_loss as module
from asr_topdown.nn.transducer_loss import transducer_loss, unusable

TARGETS = torch.tensor([[1, 2, 2], [3, 4, 9], [5, 9, 9], [9, 9, 9]])
FRAMES, LABELS = torch.tensor([5, 4, 3, 1]), torch.tensor([3, 2, 1, 0])


def random_logits(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()


def brute_force(logits: Tensor, target: list[int], frames: int) -> Tensor:
    """One utterance (T, U + 1, V): every order of its labels and blanks, the last of which is a blank."""
    log_probs = logits.log_softmax(-1)
    ways = []
    for places in itertools.combinations(range(frames - 1 + len(target)), len(target)):
        frame = label = 0
        score = logits.new_zeros(())
        for place in range(frames - 1 + len(target)):
            if place in places:
                score = score + log_probs[frame, label, target[label]]
                label += 1
            else:
                score = score + log_probs[frame, label, 0]
                frame += 1
        ways.append(score + log_probs[frame, label, 0])
    return -torch.stack(ways).logsumexp(0)


def brute_forces(logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    return torch.stack(
        [
            brute_force(one, target[:size], count)
            for one, target, count, size in zip(
                logits, targets.tolist(), frames.tolist(), labels.tolist(), strict=True
            )
        ]
    )


def test_loss_and_gradient_are_those_of_all_alignments() -> None:
    """Ragged in both directions; the padding holds a unit that exists, and counts for nothing."""
    logits = random_logits(4, 5, 4, 10)
    losses, expected = (
        transducer_loss(logits, TARGETS, FRAMES, LABELS, "torch"),
        brute_forces(logits, TARGETS, FRAMES, LABELS),
    )
    assert torch.allclose(losses, expected, atol=1e-12)
    weights = torch.tensor([1.0, -0.5, 2.0, 3.0], dtype=torch.float64)
    (slope,) = torch.autograd.grad(losses @ weights, logits)
    (expected_slope,) = torch.autograd.grad(expected @ weights, logits)
    assert torch.allclose(slope, expected_slope, atol=1e-12)
    assert slope[1, 4:].abs().sum() == slope[1, :, 3:].abs().sum() == 0


def test_gradient_by_differences() -> None:
    targets, frames, labels = torch.tensor([[1, 2], [3, 0]]), torch.tensor([3, 2]), torch.tensor([2, 1])
    assert torch.autograd.gradcheck(
        lambda logits: transducer_loss(logits, targets, frames, labels, "torch"), random_logits(2, 3, 3, 4)
    )


@pytest.mark.parametrize(("frames", "labels"), [(1, 0), (1, 3), (4, 0), (2, 5)])
def test_the_smallest_lattices(frames: int, labels: int) -> None:
    logits = random_logits(1, frames, labels + 1, 3)
    target = [1 + index % 2 for index in range(labels)]
    loss = transducer_loss(
        logits, torch.tensor([target], dtype=torch.long), torch.tensor([frames]), torch.tensor([labels])
    )
    expected = brute_force(logits[0], target, frames)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    (slope,) = torch.autograd.grad(loss.sum(), logits)
    (expected_slope,) = torch.autograd.grad(expected, logits)
    assert torch.allclose(slope, expected_slope, atol=1e-12)


def test_probabilities_of_all_label_sequences_sum_to_one() -> None:
    """As many labels as one likes may come in a frame, so the sum comes near 1 from below."""
    table = random_logits(2, 3).detach()  # one frame's distribution, whatever the labels before: the next two
    table[:, 0] += 3
    total = 0.0
    for size in range(9):
        logits = table[:, None, :].expand(2, size + 1, 3)[None]
        for target in itertools.product([1, 2], repeat=size):
            labels = torch.tensor([target], dtype=torch.long).view(1, size)
            total += (
                transducer_loss(logits, labels, torch.tensor([2]), torch.tensor([size])).neg().exp().item()
            )
    assert 0.999 < total < 1


def test_no_frames_have_no_alignment_and_no_gradient() -> None:
    logits = random_logits(2, 3, 2, 4)
    losses = transducer_loss(logits, torch.tensor([[1], [2]]), torch.tensor([0, 3]), torch.tensor([1, 1]))
    assert losses[0] == torch.inf
    losses[1].backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() == 0
    assert logits.grad[1].abs().sum() > 0


def test_padding_the_lattice_changes_nothing() -> None:
    logits = random_logits(4, 5, 4, 10, dtype=torch.float32)
    wide = torch.full((4, 9, 8, 10), 5.0)
    wide[:, :5, :4] = logits.detach()
    wide.requires_grad_()
    few = transducer_loss(logits, TARGETS, FRAMES, LABELS, "torch")
    many = transducer_loss(wide, torch.nn.functional.pad(TARGETS, (0, 4)), FRAMES, LABELS, "torch")
    assert torch.allclose(few, many, atol=1e-6)
    few.sum().backward()
    many.sum().backward()
    assert logits.grad is not None
    assert wide.grad is not None
    assert torch.allclose(wide.grad[:, :5, :4], logits.grad, atol=1e-6)
    assert wide.grad.abs().sum() == pytest.approx(logits.grad.abs().sum().item(), rel=1e-5)


def test_float32_under_autocast_and_for_bfloat16() -> None:
    logits = random_logits(4, 5, 4, 10)
    exact = transducer_loss(logits, TARGETS, FRAMES, LABELS, "torch")
    half = logits.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        losses = transducer_loss(half, TARGETS, FRAMES, LABELS, "torch")
    assert losses.dtype == torch.float32
    reference = transducer_loss(half.detach().double(), TARGETS, FRAMES, LABELS, "torch")
    assert torch.allclose(losses.double(), reference, atol=1e-5)
    assert torch.allclose(losses.double(), exact, rtol=0.03)
    losses.sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16


def test_float32_is_near_enough_on_a_long_utterance() -> None:
    """300 frames and 100 labels of 30 units, about 1,300 nats."""
    logits = random_logits(1, 300, 101, 30)
    targets = torch.randint(1, 30, (1, 100), generator=torch.Generator().manual_seed(1))
    sizes = torch.tensor([300]), torch.tensor([100])
    single = logits.detach().float().requires_grad_()
    exact, near = (
        transducer_loss(logits, targets, *sizes, "torch"),
        transducer_loss(single, targets, *sizes, "torch"),
    )
    assert near.item() == pytest.approx(exact.item(), rel=1e-6)
    exact.backward()
    near.backward()
    assert logits.grad is not None
    assert single.grad is not None
    assert torch.allclose(single.grad.double(), logits.grad, atol=3e-3)


@pytest.fixture
def documented_warp_rnnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with warp_rnnt 0.7.0's interface, as its source documents it, on the CPU."""

    def rnnt_loss(
        log_probs: Tensor,
        labels: Tensor,
        frames_lengths: Tensor,
        labels_lengths: Tensor,
        average_frames: bool = False,
        reduction: str | None = None,
        blank: int = 0,
        gather: bool = False,
        fastemit_lambda: float = 0.0,
        compact: bool = False,
    ) -> Tensor:
        assert log_probs.dtype == torch.float32
        assert {labels.dtype, frames_lengths.dtype, labels_lengths.dtype} == {torch.int32}
        assert all(one.is_contiguous() for one in (log_probs, labels, frames_lengths, labels_lengths))
        assert log_probs.shape[2] == labels.shape[1] + 1
        assert torch.allclose(log_probs.exp().sum(-1), torch.ones(()))
        assert (average_frames, reduction, blank, fastemit_lambda, compact) == (False, "none", 0, 0.0, False)
        return brute_forces(log_probs, labels, frames_lengths, labels_lengths)

    fake = types.ModuleType("warp_rnnt")
    fake.rnnt_loss = rnnt_loss  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "warp_rnnt", fake)
    monkeypatch.setattr(module, "unusable", lambda backend, logits: None)


@pytest.mark.usefixtures("documented_warp_rnnt")
def test_warp_rnnt_is_called_as_it_is_documented() -> None:
    logits = random_logits(4, 5, 4, 10, dtype=torch.float32)
    ours = transducer_loss(logits, TARGETS, FRAMES, LABELS, "torch")
    theirs = transducer_loss(logits, TARGETS, FRAMES, LABELS, "warp_rnnt")
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.equal(theirs, transducer_loss(logits, TARGETS, FRAMES, LABELS, "auto"))


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backend", ["torch", "torchaudio", "warp_rnnt"])
@pytest.mark.parametrize("shape", [(4, 5, 4, 10), (5, 41, 13, 30)])
def test_every_back_end_agrees(backend: str, device: str, shape: tuple[int, int, int, int]) -> None:
    """Losses and gradients within 1e-4 of ours in float64 on the CPU."""
    batch, time, width, units = shape
    logits = random_logits(*shape, dtype=torch.float32)
    reason = unusable(backend, logits.detach().to(device))
    if reason is not None:
        pytest.skip(f"{backend} on {device}: {reason}")
    generator = torch.Generator().manual_seed(2)
    # No utterance is as large as the lattice: some back ends insist that one is.
    targets = torch.randint(1, units, (batch, width - 1), generator=generator)
    frames = torch.randint(1, time, (batch,), generator=generator)
    labels = torch.randint(0, width - 1, (batch,), generator=generator)
    exact = logits.detach().double().requires_grad_()
    expected = transducer_loss(exact, targets, frames, labels, "torch")
    found = transducer_loss(
        logits.to(device), targets.to(device), frames.to(device), labels.to(device), backend
    )
    assert torch.allclose(found.cpu().double(), expected, rtol=1e-6, atol=1e-4)
    (found.sum() / 2).backward()
    (expected.sum() / 2).backward()
    assert logits.grad is not None
    assert exact.grad is not None
    assert torch.allclose(logits.grad.double(), exact.grad, atol=1e-4)


def test_a_back_end_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = random_logits(4, 5, 4, 10, dtype=torch.float32)
    with pytest.raises(ValueError, match="'rnnt' is none of auto, torch, torchaudio, warp_rnnt"):
        transducer_loss(logits, TARGETS, FRAMES, LABELS, "rnnt")
    with pytest.raises(ValueError, match=r"'warp_rnnt': it computes on CUDA devices only.*use 'torch'"):
        transducer_loss(logits, TARGETS, FRAMES, LABELS, "warp_rnnt")
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    with pytest.raises(ValueError, match="'torchaudio': cannot be imported here"):
        transducer_loss(logits, TARGETS, FRAMES, LABELS, "torchaudio")
    assert torch.isfinite(transducer_loss(logits, TARGETS, FRAMES, LABELS, "auto")).all()
