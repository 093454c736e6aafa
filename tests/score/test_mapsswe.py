"""MAPSSWE: segments by hand, properties, and NIST's sc_stats."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.score.align import align
from asr_topdown.score.mapsswe import MatchedPairs, mapsswe, segments

Texts = dict[str, list[str]]


def segmented(reference: str, first: str, second: str) -> list[tuple[int, int]]:
    return segments(align(list(reference), list(first)), align(list(reference), list(second)))


@pytest.mark.parametrize(
    ("reference", "first", "second", "expected"),
    [
        ("abcdef", "abcdef", "abcdef", []),
        ("", "", "", []),
        ("", "x", "", [(1, 0)]),
        ("abcdef", "xbcdef", "abcdef", [(1, 0)]),
        # Two good words part the errors of c and f, one good word does not.
        ("abcdefg", "abxdexg", "abcdefg", [(1, 0), (1, 0)]),
        ("abcdefg", "abxdxfg", "abcdefg", [(2, 0)]),
        # What is good must be so in both systems at once.
        ("abcdefg", "abxdefg", "abcdxfg", [(1, 1)]),
        ("abcdefgh", "abxdefgh", "abcdexgh", [(1, 0), (0, 1)]),
        # An insertion between two correct words keeps them from ending a segment.
        ("abcdefg", "xbcydefg", "abcdefg", [(1, 0), (1, 0)]),
        ("abcdefg", "xbycdefg", "abcdefg", [(2, 0)]),
        # Deletions, insertions at the end, and an error in the last word.
        ("abcd", "abcdx", "abcd", [(1, 0)]),
        ("abcd", "abcd", "abcdxy", [(0, 2)]),
        ("abcd", "", "abcd", [(4, 0)]),
        ("abcd", "abcx", "abcd", [(1, 0)]),
    ],
)
def test_segments_end_where_both_systems_have_two_right_words(
    reference: str, first: str, second: str, expected: list[tuple[int, int]]
) -> None:
    assert segmented(reference, first, second) == expected
    assert segmented(reference, second, first) == [(right, left) for left, right in expected]


def test_golden_statistics() -> None:
    """Differences 1, 1, 1, -1: mean 0.5, s = 1, Z = 0.5 / (1 / 2) = 1, p = 0.3173."""
    good, bad = align(["a"], ["a"]), align(["a"], ["x"])
    found = mapsswe([(bad, good)] * 3 + [(good, bad)] + [(good, good)] * 5)
    assert (found.segments, found.first, found.second) == (4, 3, 1)
    assert found.mean == 0.5
    assert found.deviation == pytest.approx(1.0)
    assert found.z == pytest.approx(1.0)
    assert found.p_value == pytest.approx(0.317311, abs=1e-6)


def test_equal_differences_say_nothing() -> None:
    good, bad = align(["a"], ["a"]), align(["a"], ["x"])
    nothing = MatchedPairs(segments=0, first=0, second=0, mean=0.0, deviation=0.0, z=0.0, p_value=1.0)
    assert mapsswe([(good, good)] * 3) == nothing
    assert mapsswe([]) == nothing
    assert mapsswe([(bad, good)] * 3).p_value == 1.0


def test_different_references_are_refused() -> None:
    with pytest.raises(ValueError, match="different references: 'a b' and 'a c'"):
        mapsswe([(align(["a", "b"], []), align(["a", "c"], []))])


@given(st.lists(st.tuples(*[st.text(alphabet="abc", max_size=12)] * 3), max_size=10))
def test_every_error_is_in_one_segment_and_order_only_changes_the_sign(
    texts: list[tuple[str, str, str]],
) -> None:
    pairs = [(align(list(ref), list(one)), align(list(ref), list(other))) for ref, one, other in texts]
    found = mapsswe(pairs)
    assert found.first == sum(len(one.operations) - one.operations.count("C") for one, _ in pairs)
    assert found.second == sum(len(other.operations) - other.operations.count("C") for _, other in pairs)
    swapped = mapsswe((other, one) for one, other in pairs)
    assert (swapped.segments, swapped.z) == (found.segments, pytest.approx(-found.z))
    assert swapped.p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(
    ("seed", "units", "worse"), [(1, 40, 0.25), (2, 40, 0.21), (3, 4, 0.3), (4, 200, 0.1)]
)
def test_equals_sc_stats(
    sc_stats: Callable[[Texts, Texts, Texts], dict[str, float]], seed: int, units: int, worse: float
) -> None:
    chance = random.Random(seed)
    vocabulary = [f"w{unit}" for unit in range(units)]
    references = {
        f"s{one % 5}-u{one}": chance.choices(vocabulary, k=chance.randint(0, 14)) for one in range(300)
    }

    def distorted(rate: float) -> Texts:
        """A third of the errors are deletions, substitutions, insertions each."""
        texts: Texts = {}
        for name, reference in references.items():
            texts[name] = []
            for word in [*reference, None]:
                event = chance.random() / rate
                if 2 / 3 < event < 1:
                    texts[name].append(chance.choice(vocabulary))
                if word is not None and event > 1 / 3:
                    texts[name].append(word if event > 2 / 3 else chance.choice(vocabulary))
        return texts

    first, second = distorted(0.2), distorted(worse)
    for one, other in ((first, second), (second, first)):
        found = mapsswe((align(references[k], one[k]), align(references[k], other[k])) for k in references)
        expected = sc_stats(references, one, other)
        assert found.segments == expected["segments"] > 100
        assert found.mean == pytest.approx(expected["mean"], abs=5.1e-4)
        assert found.deviation == pytest.approx(expected["deviation"], abs=5.1e-4)
        assert found.z == pytest.approx(expected["z"], abs=5.1e-4)
        assert found.p_value == pytest.approx(math.erfc(abs(expected["z"]) / math.sqrt(2)), rel=0.01)
