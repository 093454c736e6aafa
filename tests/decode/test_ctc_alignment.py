"""Forced alignment: against all alignments one by one, and against PyTorch's CTC loss."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from asr_topdown.decode import ctc_alignment
from asr_topdown.decode.ctc_alignment import ctc_align


def log_probs(frames, units, seed, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, units, generator=generator, dtype=torch.float64).mul(sharpness).log_softmax(1)


def collapsed(path):
    return [label for label, _ in itertools.groupby(path) if label]


def loss(values, labels):
    return F.ctc_loss(
        values[:, None], torch.tensor([labels]), (len(values),), (len(labels),), reduction="sum"
    ).item()


@pytest.mark.parametrize("cells", [1 << 26, 1], ids=["whole", "in blocks"])
@pytest.mark.parametrize("seed", range(40))
def test_the_best_of_all_alignments(seed, cells, monkeypatch):
    """4 units, up to 6 frames: each of the 4 ** T paths is looked at."""
    monkeypatch.setattr(ctc_alignment, "_CELLS", cells)
    drawn = np.random.default_rng(seed)
    frames, size = int(drawn.integers(1, 7)), int(drawn.integers(0, 4))
    labels = [int(label) for label in drawn.integers(1, 4, size=size)]
    values = log_probs(frames, 4, seed).numpy()
    scores = {
        path: sum(values[t, label] for t, label in enumerate(path))
        for path in itertools.product(range(4), repeat=frames)
        if collapsed(path) == labels
    }
    if not scores:
        with pytest.raises(ValueError, match=rf"{frames} frames are too few for {size} labels"):
            ctc_align(values, labels)
        return
    best = max(scores, key=scores.__getitem__)
    found = ctc_align(values, labels)
    assert found.score == pytest.approx(scores[best], abs=1e-12)
    # The frames of each label are those of the best path (all probabilities differ, so there is one).
    path = np.zeros(frames, dtype=int)
    for span in found.spans:
        path[span.start : span.end] = span.label
    assert tuple(path) == best
    for span in found.spans:
        assert span.confidence == pytest.approx(np.exp(values[span.start : span.end, span.label]).mean())


@pytest.mark.parametrize("seed", range(5))
def test_ctc_loss_of_sharpened_outputs_tends_to_its_score(seed):
    """The sum over alignments of p ** k, to the power of 1 / k, tends to the largest p as k grows.

    With A alignments the two differ by log(A) / k at most.
    """
    values = log_probs(30, 6, seed)
    labels = [1, 2, 2, 3, 5, 4, 4, 1]
    score = ctc_align(values.numpy(), labels).score
    assert -loss(values, labels) > score
    for k in (10, 1000):
        sharp = loss(values * k, labels) / k
        assert score <= -sharp + 1e-9
        assert -sharp - score < 30 * np.log(6) / k


def test_where_there_is_one_alignment_only_ctc_loss_is_its_score():
    """As many frames as labels plus blanks between equal labels."""
    values = log_probs(6, 4, 0)
    labels = [1, 2, 2, 3, 1]
    found = ctc_align(values.numpy(), labels)
    assert found.score == pytest.approx(-loss(values, labels), abs=1e-9)
    assert [(span.start, span.end) for span in found.spans] == [(0, 1), (1, 2), (3, 4), (4, 5), (5, 6)]


def test_the_greedy_path_is_the_alignment_of_its_own_labels():
    values = log_probs(200, 5, 3).numpy()
    path = values.argmax(1)
    found = ctc_align(values, collapsed(path))
    assert found.score == pytest.approx(values.max(1).sum())
    runs = [(k, len(list(g))) for k, g in itertools.groupby(path)]
    assert [(span.label, span.end - span.start) for span in found.spans] == [(k, n) for k, n in runs if k]


def test_blocks_make_no_difference(monkeypatch):
    values = log_probs(700, 9, 1).numpy()
    labels = [int(label) for label in np.random.default_rng(1).integers(1, 9, size=90)]
    whole = ctc_align(values, labels)
    monkeypatch.setattr(ctc_alignment, "_CELLS", 1)
    assert ctc_align(values, labels) == whole


def test_nothing_to_align():
    assert ctc_align(log_probs(3, 3, 0).numpy(), []).spans == ()
    assert ctc_align(np.empty((0, 3)), []) == (0.0, ())


def test_what_is_impossible_is_said():
    values = np.full((3, 3), -np.inf)
    values[:, 0] = 0.0
    with pytest.raises(ValueError, match="no alignment has a probability above 0"):
        ctc_align(values, [1])
    values[2, 1] = np.nan
    with pytest.raises(ValueError, match="the log-probabilities hold NaN"):
        ctc_align(values, [1])
