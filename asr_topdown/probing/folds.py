"""Folds for cross-validation: groups (speakers) are never torn apart, and no class is unknown to a fit."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

SMALLEST = 3
"""Fewest folds: one to test on, one to choose the regularisation by, one to fit on."""


def grouped(groups: Sequence[str], count: int, what: str) -> list[int]:
    """The fold of each item: the largest group goes first, each to the fold that is smallest then.

    Args:
        groups: of each item.
        count: folds.
        what: what groups are, for an error.

    Raises:
        ValueError: if there are fewer groups than folds, or fewer than three folds.
    """
    if count < SMALLEST:
        raise ValueError(f"--folds {count}: must be at least {SMALLEST}")
    sizes = Counter(groups)
    if len(sizes) < count:
        raise ValueError(f"--folds {count}: there are only {len(sizes)} different {what}")
    filled, fold_of = [0] * count, dict[str, int]()
    for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += size
    return [fold_of[group] for group in groups]


def stratified(items: Sequence[str], labels: Sequence[str], count: int) -> list[int]:
    """The fold of each item: each label's items are dealt to the folds in turn, in their own order.

    Raises:
        ValueError: if there are fewer than three folds, or fewer items than folds.
    """
    if not SMALLEST <= count <= len(items):
        raise ValueError(f"--folds {count}: must be from {SMALLEST} to the {len(items)} utterances")
    order = sorted(range(len(items)), key=lambda place: (labels[place], items[place]))
    fold_of = [0] * len(items)
    for turn, place in enumerate(order):
        fold_of[place] = turn % count
    return fold_of


def check_labels(labels: Sequence[str], folds: Sequence[int], groups: Sequence[str], what: str) -> None:
    """Make sure that there is something to learn, and whatever the fold that is left out.

    Args:
        labels: of each item.
        folds: likewise.
        groups: likewise, for an error.
        what: what groups are.

    Raises:
        ValueError: if all labels are one, or naming one that is in a single fold.
    """
    if len(set(labels)) == 1:
        raise ValueError(f"all {len(labels)} utterances have the label {labels[0]!r}: nothing to tell apart")
    places: Mapping[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for label, fold, group in zip(labels, folds, groups, strict=True):
        places[label][fold].add(group)
    for label, found in sorted(places.items()):
        if len(found) == 1:
            (of,) = found.values()
            some = ", ".join([*sorted(of)[:3], *(["…"] if len(of) > 3 else [])])
            raise ValueError(
                f"the label {label!r} is in one fold alone ({what} {some}), without which it cannot be learnt"
            )
