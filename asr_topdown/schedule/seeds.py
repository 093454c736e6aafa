"""The `init_seed` of each training of a study.

The base seed s of a study (0 <= s < 1 000 000) is the joint training's `init_seed`. Every other training of
that seed takes s + 1 000 000 k, with k = 500 j + i for the i-th training (1 <= i <= 499) of kind j in
`KINDS`: k = i for the i-th retraining after the joint training, whichever search requests it; 500 + i for the
i-th training from scratch, 1001 for freeze-the-lowest, 1501 for keep, and so on. A new kind goes to the end
of `KINDS`, so that the seeds of the others do not change. The last six digits are thus the base seed, no two
base seeds share an `init_seed`, and k = 0 is the joint training's; only retrainings from the joint training's
own initial weights use it again.

Searches that retrain the joint model in several ways (another cut, another epoch, another classifier) give
the first retraining the same initial weights in all of them, so that they are compared like with like and
trainings that two searches share run once. If a retraining is repeated, repeats 2, 3, ... have their own
kind.
"""

SEED_STRIDE = 1_000_000
_PER_KIND = 500
MOST_TRAININGS = _PER_KIND
"""Of one kind, with the first, whose seed is of another kind: the limit of settings that count them."""
KINDS = ("step", "scratch", "freeze_lowest", "keep", "repeat", "random_top", "bottom_up", "freeze_up")


def base_seed(init_seed: int) -> int:
    """The base seed of the study from which a training has its `init_seed`."""
    return init_seed % SEED_STRIDE


def derived_seed(base: int, kind: str, i: int) -> int:
    """`init_seed` of the i-th training of a kind, i from 1.

    Raises:
        ValueError: if i is too large.
    """
    if not 1 <= i < _PER_KIND:
        raise ValueError(f"a search can make at most {_PER_KIND - 1} trainings of one kind")
    return base + SEED_STRIDE * (_PER_KIND * KINDS.index(kind) + i)


def retraining_seed(base: int, repeat: int = 1) -> int:
    """`init_seed` of the first retraining of a network, or of its repeat 2, 3, ... from other weights."""
    return derived_seed(base, "step", 1) if repeat == 1 else derived_seed(base, "repeat", repeat - 1)
