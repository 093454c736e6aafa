"""Alignments: golden ones, properties, a plain restatement, and sclite itself."""

import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.score import align as module
from asr_topdown.score.align import Alignment, align, align_all
from asr_topdown.score.errors import words
from asr_topdown.score.long_align import align_long

COST = {"C": 0, "S": 4, "D": 3, "I": 3}
Texts = dict[str, list[str]]

few_units = st.lists(st.sampled_from("abc"), max_size=12)


def cost(alignment: Alignment) -> int:
    return sum(COST[operation] for operation in alignment.operations)


def restated(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """The textbook algorithm with sclite's weights and ties, cell by cell."""
    costs = [[0] * (len(hypothesis) + 1) for _ in range(len(reference) + 1)]

    def paired(row: int, column: int) -> int:
        return costs[row - 1][column - 1] + (0 if reference[row - 1] == hypothesis[column - 1] else 4)

    for row, line in enumerate(costs):
        for column in range(len(line)):
            choices = [0] if not row and not column else []
            choices += [paired(row, column)] if row and column else []
            choices += [costs[row - 1][column] + 3] if row else []
            choices += [costs[row][column - 1] + 3] if column else []
            costs[row][column] = min(choices)
    row, column, operations = len(reference), len(hypothesis), ""
    while row or column:
        here = costs[row][column]
        if row and column and here == paired(row, column):
            operations += "C" if reference[row - 1] == hypothesis[column - 1] else "S"
            row, column = row - 1, column - 1
        elif column and here == costs[row][column - 1] + 3:
            operations += "I"
            column -= 1
        else:
            operations += "D"
            row -= 1
    return operations[::-1]


def random_texts(
    number: int, units: int, *, seed: int, longest: int = 12, errors: float = 0.5
) -> tuple[Texts, Texts]:
    """References and distorted hypotheses; a small vocabulary makes many ties."""
    chance = random.Random(seed)
    vocabulary = [f"w{unit}" for unit in range(units)]
    references: Texts = {}
    hypotheses: Texts = {}
    for one in range(number):
        name = f"s{one % 5}-u{one:05d}"
        references[name] = chance.choices(vocabulary, k=chance.randint(0, longest))
        hypotheses[name] = []
        for word in references[name]:
            event = chance.random() / errors
            if event > 1:
                hypotheses[name].append(word)
            elif event > 2 / 3:
                hypotheses[name] += [word, chance.choice(vocabulary)]
            elif event > 1 / 3:
                hypotheses[name].append(chance.choice(vocabulary))
        if chance.random() < 0.1:
            hypotheses[name] = chance.choices(vocabulary, k=chance.randint(0, longest))
    return references, hypotheses


@pytest.mark.parametrize(
    ("reference", "hypothesis", "operations"),
    [
        ("", "", ""),
        ("", "ab", "II"),
        ("ab", "", "DD"),
        ("abc", "abc", "CCC"),
        ("abc", "axc", "CSC"),
        ("abc", "ac", "CDC"),
        ("abc", "axbc", "CICC"),
        # Ties: gaps come before substitutions (sclite 2.4.10 gives these).
        ("wxy", "a", "DDS"),
        ("a", "wxy", "IIS"),
        # Three substitutions (12) and two insertions with two deletions (12): the pairs win.
        ("abc", "xya", "SSS"),
    ],
)
def test_golden_alignments(reference: str, hypothesis: str, operations: str) -> None:
    assert align(list(reference), list(hypothesis)).operations == operations
    assert restated(reference, hypothesis) == operations


def test_pairs_show_what_stands_against_what() -> None:
    alignment = align(words("the cat sat on the mat"), words("the hat sat on mat please"))
    assert alignment.operations == "CSCCDCI"
    assert alignment.pairs() == [
        ("the", "the"),
        ("cat", "hat"),
        ("sat", "sat"),
        ("on", "on"),
        ("the", None),
        ("mat", "mat"),
        (None, "please"),
    ]


@given(few_units, few_units)
def test_an_alignment_holds_both_sequences_and_names_each_step(
    reference: list[str], hypothesis: list[str]
) -> None:
    alignment = align(reference, hypothesis)
    pairs = alignment.pairs()
    assert [left for left, _ in pairs if left is not None] == reference
    assert [right for _, right in pairs if right is not None] == hypothesis
    for (left, right), operation in zip(pairs, alignment.operations, strict=True):
        expected = "I" if left is None else "D" if right is None else "C" if left == right else "S"
        assert operation == expected


@given(few_units, few_units)
def test_the_alignment_is_that_of_a_plain_restatement(reference: list[str], hypothesis: list[str]) -> None:
    assert align(reference, hypothesis).operations == restated(reference, hypothesis)


@given(few_units, few_units)
def test_cost_is_symmetric_and_zero_only_for_equal_sequences(first: list[str], second: list[str]) -> None:
    assert cost(align(first, second)) == cost(align(second, first))
    assert (cost(align(first, second)) == 0) == (first == second)


@given(few_units, few_units, few_units)
def test_cost_obeys_the_triangle_inequality(first: list[str], second: list[str], third: list[str]) -> None:
    assert cost(align(first, third)) <= cost(align(first, second)) + cost(align(second, third))


def test_together_equals_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent of the rest of the batch and the division into batches."""
    references, hypotheses = random_texts(300, 5, seed=1, longest=40)
    pairs = list(zip(references.values(), hypotheses.values(), strict=True))
    expected = [align(*pair) for pair in pairs]
    assert align_all(pairs) == expected
    monkeypatch.setattr(module, "_BATCH_CELLS", 3000)
    assert align_all(iter(pairs)) == expected
    assert align_all([]) == []


def test_scores_beyond_sixteen_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,923 correct units score 32,769; what that takes is tried on shorter sequences."""
    assert module._score_type(10_922) is np.int16
    assert module._score_type(10_923) is np.int32
    references, hypotheses = random_texts(100, 5, seed=3)
    pairs = list(zip(references.values(), hypotheses.values(), strict=True))
    expected = align_all(pairs)
    monkeypatch.setattr(module, "_score_type", lambda shorter: np.int32)
    assert align_all(pairs) == expected


@pytest.mark.parametrize(
    ("number", "units", "longest"), [(1500, 3, 12), (1000, 40, 12), (400, 3, 60), (100, 6, 80)]
)
def test_equals_sclite_ties_included(
    sclite_operations: Callable[[Texts, Texts], Mapping[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    units: int,
    longest: int,
) -> None:
    """Both as what is aligned together and as what is aligned as long sequences are."""
    references, hypotheses = random_texts(number, units, seed=units, longest=longest)
    expected = sclite_operations(references, hypotheses)
    assert len(expected) == number
    for most in (module._BATCH_CELLS, 0):
        monkeypatch.setattr(module, "_BATCH_CELLS", most)
        found = align_all((references[name], hypotheses[name]) for name in references)
        assert {name: one.operations for name, one in zip(references, found, strict=True)} == expected


@given(few_units, few_units)
def test_long_sequences_are_aligned_as_short_ones(reference: list[str], hypothesis: list[str]) -> None:
    numbers = [np.array([ord(unit) for unit in units], np.int32) for units in (reference, hypothesis)]
    assert align_long(*numbers) == restated(reference, hypothesis)


@pytest.mark.parametrize(("rows", "columns"), [(300, 300), (500, 40), (40, 500), (400, 1), (1, 400), (0, 9)])
def test_long_sequences_of_any_lengths(rows: int, columns: int) -> None:
    """Few units, so many ties; several checkpoints; one sequence much longer than the other."""
    generator = np.random.default_rng(rows)
    for units in (2, 3, 50):
        reference = generator.integers(units, size=rows, dtype=np.int32)
        hypothesis = generator.integers(units, size=columns, dtype=np.int32)
        if rows == columns:  # nearly the same, as transcripts are
            hypothesis = np.where(generator.random(rows) < 0.8, reference, hypothesis)[
                generator.integers(9) :
            ]
        expected = restated([str(one) for one in reference], [str(one) for one in hypothesis])
        assert align_long(reference, hypothesis) == expected


@pytest.mark.parametrize(("length", "most"), [(9_000, 30), (50_000, 200)])
def test_long_transcripts_take_little_memory(length: int, most: int) -> None:
    """All scores of the longer pair would take ten gigabytes. In a process of its own, `most` megabytes."""
    program = f"""
import re
import numpy as np
from asr_topdown.score.align import align

def peak():  # not getrusage: what it says begins with the memory of the process that this one was forked from
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])

generator = np.random.default_rng(1)
reference = generator.integers(30, size={length})
other = np.where(generator.random({length}) < 0.05, generator.integers(30, size={length}), reference)
hypothesis = np.repeat(other, generator.choice([0, 1, 2], {length}, p=[0.05, 0.9, 0.05]))
texts = [[str(unit) for unit in units] for units in (reference, hypothesis)]
align(["a"], ["b"])
before = peak()
found = align(*texts)
print((peak() - before) // 1024)
counts = [found.operations.count(letter) for letter in "CSDI"]
print(sum(counts[:3]) - len(texts[0]), counts[0] + counts[1] + counts[3] - len(texts[1]))
print(sum(counts[1:]) / len(texts[0]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    megabytes, lengths, rate = done.stdout.splitlines()
    assert int(megabytes) < most
    assert lengths == "0 0"
    assert 0.12 < float(rate) < 0.15


def test_equal_and_repeated_pairs_are_not_aligned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    aligned: list[object] = []
    operations = module._operations
    monkeypatch.setattr(module, "_operations", lambda batch: aligned.extend(batch) or operations(batch))
    pairs = [("abc", "abd"), ("abc", "abc"), ("abc", "abd"), ("", "")]
    found = align_all((list(reference), list(hypothesis)) for reference, hypothesis in pairs)
    assert [one.operations for one in found] == ["CCS", "CCC", "CCS", ""]
    assert aligned == [(("a", "b", "c"), ("a", "b", "d"))]


def test_costs_what_kaldialign_finds() -> None:
    kaldialign = pytest.importorskip("kaldialign")
    references, hypotheses = random_texts(300, 5, seed=2)
    for name, reference in references.items():
        counts = kaldialign.edit_distance(reference, hypotheses[name], sclite_mode=True)
        expected = 4 * counts["sub"] + 3 * counts["ins"] + 3 * counts["del"]
        assert cost(align(reference, hypotheses[name])) == expected
