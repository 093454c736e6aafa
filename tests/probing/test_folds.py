"""Folds: groups kept together, even sizes, labels in more than one."""

from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asr_topdown.probing.folds import check_labels, grouped, stratified


@given(st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=60), st.integers(3, 6))
def test_groups_are_never_torn_apart(groups, count):
    assume(len(set(groups)) >= count)
    found = grouped(groups, count, "speakers")
    of_group = defaultdict(set)
    for group, fold in zip(groups, found, strict=True):
        of_group[group].add(fold)
    assert all(len(folds) == 1 for folds in of_group.values())
    assert set(found) == set(range(count))
    # No fold exceeds the smallest by more than its own last, and so smallest, group.
    sizes, parts = Counter(found), Counter(groups)
    for fold, size in sizes.items():
        smallest = min(parts[group] for group, folds in of_group.items() if folds == {fold})
        assert size - smallest <= min(sizes.values())


@given(st.lists(st.sampled_from("abc"), min_size=6, max_size=60), st.integers(3, 6))
def test_stratified_folds_have_equal_shares_of_each_label(labels, count):
    items = [f"u{place:03}" for place in range(len(labels))]
    found = stratified(items, labels, count)
    for label in set(labels):
        shares = Counter(fold for fold, own in zip(found, labels, strict=True) if own == label)
        counts = [shares[fold] for fold in range(count)]
        assert max(counts) - min(counts) <= 1
    order = list(range(len(items)))[::-1]
    again = stratified([items[i] for i in order], [labels[i] for i in order], count)
    assert again[::-1] == found  # by their names, wherever they stand


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match=r"^--folds 5: must be at most the number of speakers, 2$"):
        grouped(["a", "b", "a"], 5, "speakers")
    with pytest.raises(ValueError, match=r"^--folds 2: must be at least 3$"):
        grouped(["a", "b", "a"], 2, "speakers")
    with pytest.raises(ValueError, match=r"^--folds 9: must be from 3 to the 3 utterances$"):
        stratified(["a", "b", "c"], ["x", "y", "x"], 9)
    with pytest.raises(ValueError, match=r"^there must be several labels, but all 3 utterances have 'x'$"):
        check_labels(["x"] * 3, [0, 1, 2], ["a", "b", "c"], "speaker")
    with pytest.raises(
        ValueError, match=r"^the label 'y' must be in more than one fold, but is only in one \(speaker b\)"
    ):
        check_labels(["x", "y", "y", "x"], [0, 1, 1, 2], ["a", "b", "b", "c"], "speaker")
