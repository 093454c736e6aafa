"""Alignment with alternatives: the plain case is `align`'s, the rest follows its costs."""

import random

import pytest

from asr_topdown.score import network
from asr_topdown.score.errors import ErrorCounts, count_errors


@pytest.mark.parametrize("seed", range(5))
def test_without_alternatives_it_is_the_plain_alignment(seed):
    draw = random.Random(seed)
    for _ in range(60):
        left, right = (draw.choices("abcd", k=draw.randint(0, 9)) for _ in range(2))
        assert network.count(" ".join(left), " ".join(right)) == count_errors(left, right)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("{ a b / c }", "c", ErrorCounts(correct=1)),
        ("a", "{ b / a }", ErrorCounts(correct=1)),  # of a hypothesis too
        ("{ a / b }", "{ c / b }", ErrorCounts(correct=1)),
        ("{ a { b / c } / d } e", "a c e", ErrorCounts(correct=3)),
        ("{ @ / a }", "", ErrorCounts()),
        ("(a)", "", ErrorCounts(correct=1)),
        ("", "(a)", ErrorCounts(correct=1)),
        ("(a) b", "c b", ErrorCounts(correct=1, substitutions=1)),
        ("{ a / } b", "b", ErrorCounts(correct=1, deletions=1)),  # an empty alternative is none
        ("{ }", "", ErrorCounts()),
    ],
)
def test_alternatives_and_optional_words(reference, hypothesis, expected):
    assert network.count(reference, hypothesis) == expected


def test_every_choice_of_an_alternative_is_free():
    reference = "{ a b / c / @ } d { e / f g }"
    for first in ("a b", "c", ""):
        for last in ("e", "f g"):
            assert network.count(reference, f"{first} d {last}").errors == 0


def test_alternatives_never_cost_more_than_their_best():
    draw = random.Random(7)
    for _ in range(100):
        choices = [" ".join(draw.choices("abc", k=draw.randint(1, 3))) for _ in range(3)]
        heard = " ".join(draw.choices("abc", k=draw.randint(0, 4)))
        assert cost(network.count(f"{{ {' / '.join(choices)} }}", heard)) == min(
            cost(network.count(choice, heard)) for choice in choices
        )


def cost(counts: ErrorCounts) -> int:
    return 4 * counts.substitutions + 3 * counts.deletions + 3 * counts.insertions


@pytest.mark.parametrize("text", ["{ a / b", "a }", "{ a / { b }", "{ { a } / b"])
def test_braces_must_match(text):
    with pytest.raises(ValueError, match="braces do not match"):
        network.parse(text)
