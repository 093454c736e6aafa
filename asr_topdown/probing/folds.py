"""Folds for cross-validation that keep groups (speakers) together, and every label in all training sets."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

SMALLEST = 3
"""Minimum number of folds: one to test, one to choose the penalty, one to fit."""


def grouped(groups: Sequence[str], count: int, what: str) -> list[int]:
    """Assign items to folds by group, the largest group first, each to the smallest fold.

    Args:
        groups: the group of each item.
        count: number of folds.
        what: word for the groups, for errors.

    Raises:
        ValueError: if there are fewer groups than folds, or fewer than three folds.
    """
    if count < SMALLEST:
        raise ValueError(f"--folds {count}: must be at least {SMALLEST}")
    sizes = Counter(groups)
    if len(sizes) < count:
        raise ValueError(f"--folds {count}: must be at most the number of {what}, {len(sizes)}")
    filled, fold_of = [0] * count, dict[str, int]()
    for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold_of[group] = filled.index(min(filled))
        filled[fold_of[group]] += size
    return [fold_of[group] for group in groups]


def stratified(items: Sequence[str], labels: Sequence[str], count: int) -> list[int]:
    """Assign items to folds, dividing each label's items, in sorted order, evenly.

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
    """Check that there are several labels, and each in more than one fold.

    Args:
        labels: of each item.
        folds: of each item.
        groups: of each item, for errors.
        what: word for the groups.

    Raises:
        ValueError: if all labels are equal; naming a label that is in only one fold.
    """
    if len(set(labels)) == 1:
        raise ValueError(f"there must be several labels, but all {len(labels)} utterances have {labels[0]!r}")
    places: Mapping[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for label, fold, group in zip(labels, folds, groups, strict=True):
        places[label][fold].add(group)
    for label, found in sorted(places.items()):
        if len(found) == 1:
            (of,) = found.values()
            some = ", ".join([*sorted(of)[:3], *(["…"] if len(of) > 3 else [])])
            raise ValueError(
                f"the label {label!r} must be in more than one fold, but is only in one ({what} {some})"
            )
