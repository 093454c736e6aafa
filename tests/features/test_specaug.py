import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.features.specaug import spec_augment
from asr_topdown.features.specaug_options import SpecAugmentOptions

OFF = SpecAugmentOptions(freq_masks=0, time_masks=0, time_warp=0)


def only(**changes: Any) -> SpecAugmentOptions:
    return dataclasses.replace(OFF, **changes)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(lengths: list[int], dim: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Values 1 to 2 in real frames, 7 in padding."""
    feats = 1 + torch.rand(len(lengths), max(lengths) + 5, dim, generator=seeded(9))
    for row, length in enumerate(lengths):
        feats[row, length:] = 7.0
    return feats, torch.tensor(lengths)


def runs(mask: torch.Tensor) -> list[int]:
    """Lengths of the runs of True in a vector."""
    text = "".join("x" if value else " " for value in mask.tolist())
    return [len(run) for run in text.split()]


def test_nothing_asked_nothing_done() -> None:
    feats, lengths = batch([50, 20])
    assert torch.equal(spec_augment(feats, lengths, OFF, seeded()), feats)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    warp=st.integers(0, 10),
    replace_with=st.sampled_from(["zero", "mean"]),
)
def test_padding_is_never_touched(lengths: list[int], seed: int, warp: int, replace_with: Any) -> None:
    feats, counts = batch(lengths)
    before = feats.clone()
    options = SpecAugmentOptions(time_ratio=1.0, time_warp=warp, replace_with=replace_with)
    changed = spec_augment(feats, counts, options, seeded(seed))
    assert torch.equal(feats, before)  # not in place
    for row, length in enumerate(lengths):
        assert torch.equal(changed[row, length:], before[row, length:])
        real = changed[row, :length]
        assert ((real == 0) | ((real >= 1) & (real <= 2))).all()  # nothing leaks in from the padding


def test_the_generator_decides() -> None:
    feats, lengths = batch([200, 150, 90])
    options = SpecAugmentOptions(time_warp=5)
    one = spec_augment(feats, lengths, options, seeded(1))
    assert torch.equal(one, spec_augment(feats, lengths, options, seeded(1)))
    assert not torch.equal(one, spec_augment(feats, lengths, options, seeded(2)))
    # Each utterance has masks of its own.
    same = feats[:1].expand(3, -1, -1)
    hidden = spec_augment(same, torch.tensor([200] * 3), options, seeded(1)) == 0
    assert not torch.equal(hidden[0], hidden[1])


@given(seed=st.integers(0, 10_000))
def test_masks_keep_to_their_widths(seed: int) -> None:
    lengths = [100, 30, 4]
    feats, counts = batch(lengths, dim=40)
    freq = spec_augment(feats, counts, only(freq_masks=1, freq_width=8), seeded(seed)) == 0
    time = spec_augment(feats, counts, only(time_masks=1, time_width=12, time_ratio=0.25), seeded(seed)) == 0
    for row, length in enumerate(lengths):
        bands = freq[row, :length]
        assert (bands == bands[0]).all()  # the same dimensions in all frames
        assert len(runs(bands[0])) <= 1
        assert sum(runs(bands[0])) <= 8
        frames = time[row, :length]
        assert (frames == frames[:, :1]).all()
        assert len(runs(frames[:, 0])) <= 1
        assert sum(runs(frames[:, 0])) <= min(12, length // 4)


def test_widths_and_places_are_uniform() -> None:
    count = 20_000
    feats, lengths = torch.ones(count, 10, 6), torch.full((count,), 10)
    time = (
        spec_augment(feats, lengths, only(time_masks=1, time_width=4, time_ratio=1.0), seeded())[:, :, 0] == 0
    )
    widths = time.sum(1).bincount(minlength=5) / count
    assert (widths - 1 / 5).abs().max() < 0.015  # standard deviation 0.003
    singles = time[time.sum(1) == 1].float().mean(0)
    assert (singles - 1 / 10).abs().max() < 0.03  # standard deviation 0.005
    freq = spec_augment(feats, lengths, only(freq_masks=1, freq_width=3), seeded())[:, 0] == 0
    assert (freq.sum(1).bincount(minlength=4) / count - 1 / 4).abs().max() < 0.015
    # A width beyond the features is cut to them.
    wide = spec_augment(feats, lengths, only(freq_masks=1, freq_width=99), seeded())[:, 0] == 0
    assert (wide.sum(1).bincount(minlength=7) / count - 1 / 7).abs().max() < 0.015


def test_two_masks_hide_up_to_twice_as_much() -> None:
    feats, lengths = torch.ones(5000, 100, 4), torch.full((5000,), 100)
    hidden = [
        (
            spec_augment(feats, lengths, only(time_masks=n, time_width=20, time_ratio=1.0), seeded())[:, :, 0]
            == 0
        )
        .sum(1)
        .float()
        for n in (1, 2)
    ]
    assert hidden[0].max() == 20
    assert abs(float(hidden[0].mean()) - 10) < 0.5
    assert 36 <= hidden[1].max() <= 40
    assert 18 < float(hidden[1].mean()) < 20  # overlaps


def test_the_mean_is_that_of_the_utterance_alone() -> None:
    feats, lengths = batch([40, 25])
    options = only(time_masks=5, time_width=4, time_ratio=1.0, replace_with="mean")
    changed = spec_augment(feats, lengths, options, seeded(3))
    for row, length in enumerate((40, 25)):
        differs = changed[row] != feats[row]
        assert differs.any()
        expected = feats[row, :length].mean()
        torch.testing.assert_close(changed[row][differs], expected.expand(int(differs.sum())))


@given(seed=st.integers(0, 10_000), length=st.integers(1, 80), window=st.integers(1, 20))
def test_time_warp_stretches_within_its_window(seed: int, length: int, window: int) -> None:
    feats = torch.arange(90.0)[None, :, None].expand(1, -1, 3).contiguous()
    warped = spec_augment(feats, torch.tensor([length]), only(time_warp=window), seeded(seed))[0, :length, 0]
    time = torch.arange(float(length))
    if length <= 2 * window:
        assert torch.equal(warped, time)
        return
    # A ramp shows which frame is read: all in order, from first to last, none farther than the window.
    assert warped[0] == 0
    assert abs(float(warped[-1]) - (length - 1)) < 1e-4
    assert (warped.diff() > 0).all()
    assert (warped - time).abs().max() < window


def test_time_warp_changes_something() -> None:
    feats = torch.arange(90.0)[None, :, None].repeat(50, 1, 1)
    warped = spec_augment(feats, torch.full((50,), 90), only(time_warp=10), seeded())
    moved = (warped - feats).abs().amax((1, 2))
    assert (moved > 0.5).sum() > 35
    assert moved.max() > 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freq_masks": -1}, "freq_masks"),
        ({"time_ratio": 1.2}, "time_ratio"),
        ({"time_warp": -3}, "time_warp"),
    ],
)
def test_options_that_make_no_sense_are_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpecAugmentOptions(**changes)
