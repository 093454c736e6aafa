"""Batches are a partition of the data, keep the budget, and depend only on seed and epoch."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.data.sampler import JITTER, epoch_batches, length_batches

LENGTHS = st.lists(st.integers(1, 500), max_size=60)


@given(LENGTHS, st.integers(1, 2000), st.integers(1, 9), st.integers(0, 5), st.integers(1, 5))
def test_batches_partition_the_data_within_the_budget(
    frames: list[int], budget: int, most: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(
        frames, frames_per_batch=budget, utterances_per_batch=most, seed=seed, epoch=epoch
    )
    assert sorted(index for batch in batches for index in batch) == list(range(len(frames)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or len(batch) * max(frames[index] for index in batch) <= budget


def test_same_seed_and_epoch_same_batches() -> None:
    frames = [7 * index % 50 + 1 for index in range(40)]
    settings = {"frames_per_batch": 100, "utterances_per_batch": 8}
    first = epoch_batches(frames, seed=1, epoch=2, **settings)
    assert first == epoch_batches(frames, seed=1, epoch=2, **settings)
    assert first != epoch_batches(frames, seed=1, epoch=3, **settings)
    assert first != epoch_batches(frames, seed=2, epoch=2, **settings)


def test_first_epochs_go_from_short_to_long() -> None:
    frames = [7 * index % 50 + 1 for index in range(40)]
    settings = {
        "frames_per_batch": 100,
        "utterances_per_batch": 8,
        "seed": 1,
        "sortagrad_epochs": 2,
    }
    for epoch, ascending in ((1, True), (2, True), (3, False)):
        batches = epoch_batches(frames, epoch=epoch, **settings)
        longest = [max(frames[index] for index in batch) for batch in batches]
        # From batch to batch by more than the lengths were changed before they were sorted.
        shorter = any(later < earlier * (1 - JITTER) / (1 + JITTER) for earlier, later in pairwise(longest))
        assert shorter != ascending


def test_by_length_wastes_little() -> None:
    frames = list(range(1, 101))
    batches = length_batches(frames, frames_per_batch=400, utterances_per_batch=100)
    padded = sum(len(batch) * max(frames[index] for index in batch) for batch in batches)
    assert padded <= 1.2 * sum(frames)


def test_golden_order() -> None:
    """Another machine or Python must give these batches, or resuming elsewhere changes the result."""
    batches = epoch_batches([5, 1, 4, 2, 3], frames_per_batch=8, utterances_per_batch=3, seed=1, epoch=1)
    assert batches == [[4, 2], [1, 3], [0]]
