"""Units, counts and distances: golden values, properties, and independent libraries."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.score.errors import ErrorCounts, characters, count_all, count_errors, distance, words
from asr_topdown.text import tokenise

few_units = st.lists(st.sampled_from("abcd"), max_size=15)
sentences = st.lists(st.text(alphabet="ab <>", max_size=30), min_size=1, max_size=8)
counts = st.builds(ErrorCounts, *[st.integers(0, 100)] * 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   ", []),
        ("ab c", ["a", "b", "<space>", "c"]),
        ("  a \t b\n", ["a", "<space>", "b"]),
        ("<noise> a", ["<noise>", "<space>", "a"]),
        ("a<unk>b", ["a", "<unk>", "b"]),
        ("a < b> c", ["a", "<space>", "<", "<space>", "b", ">", "<space>", "c"]),
        ("naïve 你好", ["n", "a", "ï", "v", "e", "<space>", "你", "好"]),
    ],
)
def test_characters_include_spaces_and_tags_as_one_each(text: str, expected: list[str]) -> None:
    assert characters(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "expected_words"),
    [
        ("<NOISE> AB", ["<space>", "A", "B"], ["AB"]),
        ("A <NOISE> B", ["A", "<space>", "<space>", "B"], ["A", "B"]),
        ("A<NOISE>B <unk>", ["A", "B", "<space>", "<unk>"], ["AB", "<unk>"]),
        ("<NOISE>", [], []),
    ],
)
def test_nlsyms_go_and_the_spaces_beside_them_stay(
    text: str, expected: list[str], expected_words: list[str]
) -> None:
    """ESPnet takes its non-linguistic symbols out of lines of units, `A <space> <NOISE> <space> B`."""
    assert characters(text, ["<NOISE>"]) == expected
    assert words(text, ["<NOISE>"]) == expected_words


def test_nlsyms_need_no_angle_brackets() -> None:
    """As in ESPnet, where any string may be one; a character is one only outside tags and other symbols."""
    assert characters("A [NOISE] B[N]", ["[N]", "[NOISE]"]) == ["A", "<space>", "<space>", "B"]
    assert characters("%HES A-B <a-b>", ["-", "%HES", ""]) == ["<space>", "A", "B", "<space>", "<a-b>"]
    assert words("A [NOISE] B[N]", ["[N]", "[NOISE]"]) == ["A", "B"]


def test_words_are_separated_by_any_blanks() -> None:
    assert words("  the  cat\tsat ") == ["the", "cat", "sat"]
    assert words("") == []


@given(st.text(alphabet="ab <>x\t", max_size=30).filter(lambda text: "<x>" not in text))
def test_units_are_what_a_network_is_trained_on(text: str) -> None:
    """The package's two splitters, kept apart by its import ranks, agree."""
    assert characters(text) == tokenise(text, "char")
    assert words(text) == tokenise(text, "word")


def test_each_kind_of_error_is_counted() -> None:
    found = count_errors(words("the cat sat on the mat"), words("the hat sat on mat please"))
    assert found == ErrorCounts(correct=4, substitutions=1, deletions=1, insertions=1)
    assert (found.errors, found.reference, found.hypothesis) == (3, 6, 6)
    assert found.rate == 0.5


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected", "rate"),
    [
        ("", "", ErrorCounts(), 0.0),
        ("", "a b", ErrorCounts(insertions=2), math.inf),
        ("a b", "", ErrorCounts(deletions=2), 1.0),
        ("a", "x y z", ErrorCounts(substitutions=1, insertions=2), 3.0),
    ],
)
def test_empty_sides_are_defined(reference: str, hypothesis: str, expected: ErrorCounts, rate: float) -> None:
    found = count_errors(words(reference), words(hypothesis))
    assert found == expected
    assert found.rate == rate


def test_an_empty_reference_counts_in_a_corpus() -> None:
    total = sum(count_all([(["a", "b"], ["a", "b"]), ([], ["x"])]), ErrorCounts())
    assert total.rate == 0.5


@given(few_units, few_units)
def test_counts_fit_the_sequences(reference: list[str], hypothesis: list[str]) -> None:
    found = count_errors(reference, hypothesis)
    assert found.reference == len(reference)
    assert found.hypothesis == len(hypothesis)
    # The least cost need not be the fewest errors, but is never far: 3 per error at least, 4 at most.
    fewest = distance(reference, hypothesis)
    assert fewest <= found.errors <= 4 * fewest / 3


@given(counts, counts, counts)
def test_counts_add_up_in_any_order(first: ErrorCounts, second: ErrorCounts, third: ErrorCounts) -> None:
    assert first + second == second + first
    assert (first + second) + third == first + (second + third)
    assert first + ErrorCounts() == first
    assert (first + second).errors == first.errors + second.errors
    assert (first + second).reference == first.reference + second.reference


@given(few_units, few_units, few_units)
def test_distance_is_a_metric(first: list[str], second: list[str], third: list[str]) -> None:
    assert (distance(first, second) == 0) == (first == second)
    assert distance(first, second) == distance(second, first)
    assert distance(first, third) <= distance(first, second) + distance(second, third)


def test_distance_takes_strings_and_numbers() -> None:
    assert distance("kitten", "sitting") == distance(list("kitten"), list("sitting")) == 3
    assert distance([1, 2, 3], [1, 3]) == 1


@given(few_units, few_units)
def test_distance_equals_editdistance(first: list[str], second: list[str]) -> None:
    editdistance = pytest.importorskip("editdistance", reason="editdistance has no wheel here")
    assert distance(first, second) == editdistance.eval(first, second)


@given(sentences, sentences)
def test_distances_add_up_to_jiwers_errors(references: list[str], hypotheses: list[str]) -> None:
    jiwer = pytest.importorskip("jiwer")
    pairs = [(a, b) for a, b in zip(references, hypotheses, strict=False) if a.strip()]
    if not pairs:
        return
    left, right = [" ".join(a.split()) for a, _ in pairs], [" ".join(b.split()) for _, b in pairs]
    for split, process in ((words, jiwer.process_words), (characters_only, jiwer.process_characters)):
        found = process(left, right)
        expected = found.substitutions + found.deletions + found.insertions
        assert sum(distance(split(a), split(b)) for a, b in zip(left, right, strict=True)) == expected


def characters_only(text: str) -> list[str]:
    """Characters as jiwer counts them: tags are no units."""
    return list(text)


def test_counts_equal_sclites(sclite_operations: Callable[..., dict[str, str]]) -> None:
    """A corpus error rate, sclite's and ours: sum of errors over sum of reference words."""
    texts = {"a-1": "one two three", "a-2": "four", "b-1": "five six", "b-2": ""}
    found = {"a-1": "one too three three", "a-2": "", "b-1": "five six", "b-2": "seven"}
    operations = "".join(
        sclite_operations(
            {name: text.split() for name, text in texts.items()},
            {name: text.split() for name, text in found.items()},
        ).values()
    )
    total = sum(count_all((words(texts[name]), words(found[name])) for name in texts), ErrorCounts())
    assert total == ErrorCounts(*(operations.count(operation) for operation in "CSDI"))
    assert total.rate == pytest.approx(4 / 6)
