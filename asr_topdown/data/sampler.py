"""Batches of utterances of similar length under a frame budget: a pure function of (seed, epoch).

Since there is no state between epochs, a training that resumes at step k of an epoch just skips the
first k batches of that epoch's list.
"""

import random
from collections.abc import Sequence

JITTER = 0.1
"""Relative random change of lengths before utterances are sorted by them."""


def length_batches(
    frames: Sequence[int],
    *,
    frames_per_batch: int,
    utterances_per_batch: int,
    order: Sequence[int] | None = None,
) -> list[list[int]]:
    """Divide utterances, sorted by length, into batches whose padded size fits the budget.

    Args:
        frames: frames of each utterance.
        frames_per_batch: maximum frames per batch, including padding; a longer utterance is a separate batch.
        utterances_per_batch: maximum utterances per batch.
        order: the order in which to fill batches; by length if absent.

    Returns:
        Lists of indices into `frames`; each utterance is in exactly one.
    """
    if order is None:
        order = sorted(range(len(frames)), key=lambda index: (frames[index], index))
    batches: list[list[int]] = []
    batch: list[int] = []
    longest = 0
    for index in order:
        padded = max(longest, frames[index])
        full = len(batch) == utterances_per_batch or (len(batch) + 1) * padded > frames_per_batch
        if batch and full:
            batches.append(batch)
            batch, padded = [], frames[index]
        batch.append(index)
        longest = padded
    return [*batches, batch] if batch else batches


def epoch_batches(
    frames: Sequence[int],
    *,
    frames_per_batch: int,
    utterances_per_batch: int,
    seed: int,
    epoch: int,
    sortagrad_epochs: int = 0,
) -> list[list[int]]:
    """The batches of one epoch of training, in order.

    Lengths are perturbed randomly by up to a tenth before sorting, so that each utterance has different
    batch mates in each epoch, and the batches are shuffled; but not in the first `sortagrad_epochs`, in which
    short utterances come first (SortaGrad, Amodei et al. 2016): CTC finds its first alignments sooner there.
    """
    # A string seed is hashed by a fixed algorithm: the same on every machine and Python version >= 3.2.
    generator = random.Random(f"{seed}/{epoch}")
    keys = [count * generator.uniform(1 - JITTER, 1 + JITTER) for count in frames]
    order = sorted(range(len(frames)), key=lambda index: (keys[index], index))
    batches = length_batches(
        frames, frames_per_batch=frames_per_batch, utterances_per_batch=utterances_per_batch, order=order
    )
    if epoch > sortagrad_epochs:
        generator.shuffle(batches)
    return batches
