"""Score reports: corpus sums, joins by utterance id, speakers, confusions, and their text."""

import json
import math
from collections import Counter

import pytest

from asr_topdown.score.errors import ErrorCounts
from asr_topdown.score.mapsswe import mapsswe
from asr_topdown.score.report import ScoreReport, score
from asr_topdown.score.significance import RateInterval, paired_bootstrap
from asr_topdown.score.text_report import Comparison, aligned, comparison, full_report, p_value, summary

REFERENCES = {
    "a1": "the cat sat on the mat",
    "a2": "hello world",
    "b1": "",
    "b2": "one two three four five",
}
HYPOTHESES = {"b2": "", "b1": "uh", "a2": "hello there world", "a1": "the hat sat on mat"}
SPEAKERS = {"a1": "A", "a2": "A", "b1": "B", "b2": "B"}


@pytest.fixture
def report() -> ScoreReport:
    return score(REFERENCES, HYPOTHESES, utt2spk=SPEAKERS)


def test_corpus_sums_joined_by_id(report: ScoreReport) -> None:
    assert [one.utterance for one in report.utterances] == ["a1", "a2", "b1", "b2"]
    assert report.total == ErrorCounts(correct=6, substitutions=1, deletions=6, insertions=2)
    assert report.rate == 9 / 13
    assert (report.wrong_sentences, report.sentence_error_rate) == (4, 1.0)
    assert report.name == "WER"


def test_rate_is_a_ratio_of_sums() -> None:
    found = score({"a": "x", "b": " ".join(["y"] * 99)}, {"a": "z", "b": " ".join(["y"] * 99)})
    assert found.rate == 0.01
    assert found.sentence_error_rate == 0.5


def test_characters_are_scored_with_blanks() -> None:
    found = score({"a": "ab cd"}, {"a": "abcd"}, "char")
    assert found.total == ErrorCounts(correct=4, deletions=1)
    assert found.name == "CER"
    assert found.deleted() == Counter({"<space>": 1})


def test_errors_by_speaker_add_up_to_the_total(report: ScoreReport) -> None:
    assert report.by_speaker() == {"A": ErrorCounts(6, 1, 1, 1), "B": ErrorCounts(0, 0, 5, 1)}
    assert sum(report.by_speaker().values(), ErrorCounts()) == report.total
    assert score(REFERENCES, HYPOTHESES).by_speaker() == {}


def test_confusions_deletions_insertions(report: ScoreReport) -> None:
    assert report.confusions() == Counter({("cat", "hat"): 1})
    assert report.deleted() == Counter(["the", *REFERENCES["b2"].split()])
    assert report.inserted() == Counter(["there", "uh"])


def test_worst_utterances_have_most_errors(report: ScoreReport) -> None:
    assert [one.utterance for one in report.worst(3)] == ["b2", "a1", "b1"]
    assert score({"a": "x", "b": "y"}, {"a": "x", "b": "z"}).worst(9)[0].utterance == "b"
    assert score({"a": "x"}, {"a": "x"}).worst(9) == []


def test_a_missing_hypothesis_is_an_error_unless_taken_as_empty() -> None:
    hypotheses = {name: text for name, text in HYPOTHESES.items() if name != "a2"}
    with pytest.raises(ValueError, match=r"^no hypothesis for 1 utterance: a2$"):
        score(REFERENCES, hypotheses)
    found = score(REFERENCES, hypotheses, missing_as_empty=True)
    assert found == score(REFERENCES, {**hypotheses, "a2": ""})


def test_only_the_first_few_names_are_listed() -> None:
    with pytest.raises(ValueError, match=r"^no hypothesis for 9 utterances: u0, u1, u2, u3, u4, \.\.\.$"):
        score({f"u{number}": "a" for number in range(9)}, {})


def test_a_hypothesis_without_reference_and_an_utterance_without_speaker_are_errors() -> None:
    with pytest.raises(ValueError, match="no reference for 1 utterance: zz"):
        score(REFERENCES, {**HYPOTHESES, "zz": ""}, missing_as_empty=True)
    with pytest.raises(ValueError, match="no speaker for 1 utterance: b2"):
        score(REFERENCES, HYPOTHESES, utt2spk=dict.fromkeys(["a1", "a2", "b1"], "s"))


@pytest.mark.parametrize("references", [{}, {"a": ""}, {"a": " ", "b": ""}])
def test_no_reference_words_is_an_error(references: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no reference words"):
        score(references, references)


def test_json_is_plain(report: ScoreReport) -> None:
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["total"]["errors"] == 9
    assert values["total"]["rate"] == pytest.approx(9 / 13)
    assert values["per_utterance"]["b1"]["rate"] is None  # infinite
    assert values["speakers"]["B"]["rate"] == 6 / 5


def test_an_aligned_utterance_reads_as_in_sclite(report: ScoreReport) -> None:
    shown = {one.utterance: aligned(one) for one in report.utterances}
    assert shown["a1"].splitlines() == [
        "id: a1",
        "Scores: (#C #S #D #I) 4 1 1 0",
        "REF:  the cat sat on the mat",
        "HYP:  the hat sat on *** mat",
        "Eval:     S          D",
    ]
    assert shown["b1"].splitlines()[2:] == ["REF:  **", "HYP:  uh", "Eval: I"]
    nothing = score({"a": "x", "b": ""}, {"a": "x", "b": ""}).utterances[1]
    assert aligned(nothing).splitlines() == [
        "id: b",
        "Scores: (#C #S #D #I) 0 0 0 0",
        "REF:",
        "HYP:",
        "Eval:",
    ]


def test_long_alignments_are_broken_into_lines_and_stay_in_columns() -> None:
    reference = " ".join(f"word{number}" for number in range(60))
    (one,) = score(
        {"u": reference}, {"u": reference.replace("word7 ", "漢字 ").replace("word30 ", "")}
    ).utterances
    lines = aligned(one).splitlines()[2:]
    assert max(map(len, lines)) <= 107
    assert [line[:5] for line in lines] == ["REF: ", "HYP: ", "Eval:"] * (len(lines) // 3)
    assert [word for line in lines[::3] for word in line[6:].split()] == reference.split()
    assert "word7 word8" in lines[0]
    assert "漢字  word8" in lines[1]  # four columns of five, and the blank between


def test_full_report(report: ScoreReport) -> None:
    text = full_report(report)
    assert text.startswith(
        "WER 69.23 %: 9 errors in 13 words (1 substitutions, 6 deletions, 2 insertions)\n"
        "Sentences with an error: 4 of 4 (100.00 %)\n"
    )
    assert "Confusions (reference -> hypothesis): 1, 1 different\n      1  cat -> hat\n" in text
    assert [line.split() for line in text.splitlines() if line.startswith("B ")] == [
        ["B", "2", "5", "0", "0", "5", "1", "6", "120.00", "100.00"]
    ]
    assert text.count("id: b2") == 2  # among the worst, and among all


def test_a_summary_s_columns_have_equal_widths(report: ScoreReport) -> None:
    lines = summary([report], [RateInterval(0.6923, 0.25, math.inf)]).splitlines()
    assert lines[1].split() == ["WER", "13", "6", "1", "6", "2", "9", "69.23", "25.00", "..", "inf", "100.00"]
    assert len({len(line) for line in lines}) == 1


def test_comparison_says_which_system_has_fewer_errors(report: ScoreReport) -> None:
    better = score(REFERENCES, REFERENCES)
    columns = [[one.counts.errors for one in system.utterances] for system in (report, better)]
    lengths = [one.counts.reference for one in report.utterances]
    pairs = [
        (one.alignment, two.alignment) for one, two in zip(report.utterances, better.utterances, strict=True)
    ]
    tests = Comparison(paired_bootstrap(*columns, lengths), mapsswe(pairs))
    first, bootstrap, segments = comparison(report, better, tests).splitlines()
    assert "the second system has fewer errors, by 69.23 points (100.00 % of the first's errors)" in first
    assert "second - first = -69.23 points" in bootstrap
    assert "5 segments" in segments
    same = Comparison(paired_bootstrap(columns[0], columns[0], lengths), mapsswe([]))
    assert "no difference" in comparison(report, report, same)


@pytest.mark.parametrize(("value", "shown"), [(1, "1.0000"), (0.0314159, "0.0314"), (2e-5, "2.0e-05")])
def test_no_p_is_shown_as_zero(value: float, shown: str) -> None:
    assert p_value(value) == shown
