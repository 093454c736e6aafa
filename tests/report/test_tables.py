import csv
import dataclasses
import io
import json
import re

import pytest

from asr_topdown.report.collect import collect
from asr_topdown.report.compare import compare, correct, distinct
from asr_topdown.report.document import Text
from asr_topdown.report.markdown import table as markdown
from asr_topdown.report.overview import verdict
from asr_topdown.report.page import build, write_report
from asr_topdown.report.records import CHARACTERS, LABELS, Score
from asr_topdown.report.systems import JOINT, SCRATCH, TOP_DOWN, errors_so_far, systems
from asr_topdown.report.table import Table
from asr_topdown.report.tables import (
    calibration_table,
    compare_systems,
    difference_cell,
    error_values,
    main_row,
    scores_of,
    systems_table,
)
from asr_topdown.report.words import mean_sd, p_text
from asr_topdown.schedule.controls import ScratchPoint
from asr_topdown.schedule.exhaustive import ExhaustivePoint
from asr_topdown.schedule.freeze_top import FreezeTopPoint
from asr_topdown.schedule.greedy import GreedyPoint
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.spec import Only


def cells(table, first):
    """The cells of the row whose first cell is `first`."""
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def study(experiment):
    found = collect(experiment)
    return found, systems(found.studies["study"])


def third_seed(scores):
    """The scores of seeds 1 and 2, and those of seed 1 with one error more as seed 3: enough for a test."""
    (errors, total), *rest = scores[1].parts.values()
    parts = dict(zip(scores[1].parts, [(errors + 1, total), *rest], strict=True))
    return {**scores, 3: dataclasses.replace(scores[1], rate=scores[1].rate + 0.01, parts=parts)}


def compared(by_name, first, second):
    return compare(by_name[first], by_name[second], CHARACTERS)


def test_golden_rows(experiment):
    """Rates by hand from toy_experiment.ERRORS: seed 1 went down to step 2, seed 2 stopped after step 1."""
    found, rows = study(experiment)
    table = markdown(systems_table(found, rows))
    assert table.splitlines()[0] == (
        "| system | test CER % | dev CER % | test WER % | Δ test CER to joint "
        "| Δ test CER to as many trainings from scratch | frozen | seeds |"
    )
    # sample standard deviation of two numbers a, b: |a - b| / sqrt(2)
    joint = cells(table, JOINT)
    assert joint[:4] == ["joint", "21.00 ± 1.41", "31.00 ± 1.41", "47.50 ± 3.54"]
    assert joint[-2:] == ["none", "2"]
    step = cells(table, "step 1")
    assert step[1:3] + step[-2:] == ["17.00 ± 1.41", "27.00 ± 1.41", "softmax", "2"]
    step = cells(table, "step 2")
    assert step[1:3] + step[-2:] == ["15.50 ± 4.95", "27.00 ± 2.83", "blstm.1, softmax", "2 (1 not taken)"]
    end = cells(table, TOP_DOWN)
    assert end[1:3] + end[-2:] == ["15.00 ± 4.24", "26.50 ± 2.12", "blstm.1, softmax (1×); softmax (1×)", "2"]
    # best of 1 + 2: seed 1 takes scratch 1 (19 % on test), seed 2 takes scratch 2 (20 %)
    assert cells(table, SCRATCH)[1:3] == ["19.50 ± 0.71", "29.50 ± 0.71"]
    lowest = cells(table, "lowest block frozen, the others retrained")
    assert lowest[1:3] + lowest[-2:] == ["23.00 ± 1.41", "32.00 ± 1.41", "blstm.0", "2"]
    kept = cells(table, "nothing frozen, all layers trained on")
    assert kept[1:3] + kept[-2:] == ["21.50 ± 0.71", "30.50 ± 0.71", "none", "2"]


def test_differences_are_row_minus_baseline(experiment):
    found, rows = study(experiment)
    table = markdown(systems_table(found, rows))
    to_joint, to_scratch = cells(table, TOP_DOWN)[4:6]
    assert to_joint == "−6.00, better in 2 of 2"  # no test with two seeds
    assert to_scratch == "−4.50, better in 2 of 2"
    assert cells(table, JOINT)[4] == "–"
    assert cells(table, SCRATCH)[5] == "–"
    assert cells(table, "nothing frozen, all layers trained on")[4] == "+0.50, better in 0 of 2"


def test_compare_is_antisymmetric_and_agrees_with_the_rates(experiment):
    found, rows = study(experiment)
    by_name = {row.name: third_seed(scores_of(found, row)) for row in rows}
    forward, backward = compared(by_name, TOP_DOWN, JOINT), compared(by_name, JOINT, TOP_DOWN)
    rates = {name: [100 * score.rate for score in scores.values()] for name, scores in by_name.items()}
    expected = sum(rates[TOP_DOWN]) / 3 - sum(rates[JOINT]) / 3
    assert forward.difference == pytest.approx(expected)
    assert forward.interval == pytest.approx((-backward.interval[1], -backward.interval[0]))
    assert forward.p_value == pytest.approx(backward.p_value)
    assert (forward.seeds, forward.better, backward.better) == (3, 3, 0)
    same = compared(by_name, JOINT, JOINT)
    assert (same.difference, same.interval, same.p_value, same.better) == (0, (0, 0), 1, 0)
    assert re.fullmatch(
        r"−\d\.\d\d \[−[\d.]+, [−+][\d.]+\], p = 0\.\d+ \(corrected 0\.\d+\), better in 3 of 3",
        difference_cell(forward),
    )


def test_different_comparisons_with_equal_numbers_count_each():
    """As on a small test set, where networks make one error each, of different utterances."""

    def scores(*wrong: int) -> dict[int, Score]:
        parts = {str(u): (float(u in wrong), 1.0) for u in range(40)}
        return {seed: Score(len(wrong) / 40, parts, {}, 1.0) for seed in (1, 2, 3)}

    others = {name: scores(place) for place, name in enumerate("abcd", 1)}
    others["worse"] = scores(*range(20))
    found = {name: compare(own, scores(0), LABELS) for name, own in others.items()}
    differences = correct({JOINT: found})
    assert {(found[name].difference, found[name].p_value) for name in "abcd"} == {(0.0, 1.0)}
    assert len(distinct(differences)) == 5
    assert differences[JOINT]["worse"].corrected == pytest.approx(5 * found["worse"].p_value)


def test_p_values_are_corrected_for_all_comparisons_of_a_table(experiment):
    found, rows = study(experiment)
    by_name = {row.name: third_seed(scores_of(found, row)) for row in rows}
    pairs = [(TOP_DOWN, JOINT), ("step 1", JOINT), (TOP_DOWN, SCRATCH)]
    first, second, third = (compared(by_name, *pair) for pair in pairs)
    alone = {1: by_name["step 2"][1]}
    fourth = compare(alone, by_name[JOINT], CHARACTERS)  # one seed: no p, and not counted
    again, reverse = first, compared(by_name, SCRATCH, TOP_DOWN)  # are not counted either
    differences = correct(
        {
            JOINT: {JOINT: None, TOP_DOWN: first, "step 1": second, "step 2": fourth, "step 3": again},
            SCRATCH: {TOP_DOWN: third},
            TOP_DOWN: {SCRATCH: reverse},
        }
    )
    assert sum(value is not None for value in distinct(differences).values()) == 3
    assert differences[JOINT]["step 3"].corrected == differences[JOINT][TOP_DOWN].corrected
    assert differences[TOP_DOWN][SCRATCH].corrected == differences[SCRATCH][TOP_DOWN].corrected
    assert differences[JOINT][JOINT] is None
    assert (differences[JOINT]["step 2"].p_value, differences[JOINT]["step 2"].corrected) == (None, None)
    corrected = [differences[JOINT][TOP_DOWN], differences[JOINT]["step 1"], differences[SCRATCH][TOP_DOWN]]
    assert [one.p_value for one in corrected] == [first.p_value, second.p_value, third.p_value]
    assert min(one.corrected for one in corrected) == pytest.approx(3 * min(one.p_value for one in corrected))


def test_only_seeds_that_both_have_are_compared(experiment):
    found, rows = study(experiment)
    by_name = {row.name: scores_of(found, row) for row in rows}
    one = {1: by_name[TOP_DOWN][1]}
    assert compare(one, by_name[JOINT], CHARACTERS).difference == pytest.approx(12 - 20)
    assert compare(one, by_name[JOINT], CHARACTERS).seeds == 1
    assert compare({3: one[1]}, by_name[JOINT], CHARACTERS) is None
    bare = {1: dataclasses.replace(one[1], parts={})}
    assert compare(bare, by_name[JOINT], CHARACTERS) is None


def test_a_study_without_controls_or_greedy():
    steps = (Step("j1", 0.3, True), Step("k1", 0.2, True, Only()))
    rows = systems([Result("keep", 1, steps, "k1")])
    assert [(row.name, row.nodes) for row in rows] == [
        (JOINT, {1: "j1"}),
        ("nothing frozen, all layers trained on", {1: "k1"}),
    ]
    steps = (steps[0], Step("k1", 0.2, True, ExhaustivePoint((1, 1))))
    assert [row.name for row in systems([Result("exhaustive", 1, steps, "k1")])] == [
        JOINT, "M(1, 1)", "exhaustive search, best on dev"
    ]  # fmt: skip


def test_the_verdict_and_equal_compute_are_of_the_studys_first_search(experiment):
    """Controls follow the first search in `schedule.search`, whatever the order of the table's rows."""
    found = collect(experiment)
    greedy = [one for one in found.studies["study"] if one.search == "greedy"]
    controls = [one for one in found.studies["study"] if one.search not in ("greedy", "keep")]
    other = [
        dataclasses.replace(
            one,
            search="exhaustive",
            final=one.steps[1].node,
            steps=(one.steps[0], dataclasses.replace(one.steps[1], point=ExhaustivePoint((1, 2)))),
        )
        for one in greedy
    ]
    for searches, main, told in [
        (greedy, "top-down", "Equal compute: as many"),
        (greedy + other, "top-down", "Equal compute for top-down, not for the other searches: as many"),
        (
            other + greedy,
            "exhaustive search, best on dev",
            "Equal compute for exhaustive search, best on dev, not for the other searches: as many",
        ),
    ]:
        study = dataclasses.replace(found, studies={"study": searches + controls})
        rows = systems(study.studies["study"])
        assert main_row(study, rows).name == main
        assert any(isinstance(part, Text) and told in part.text for part in build(study))


def test_the_verdict_does_not_compare_a_search_with_the_controls_of_another(experiment):
    """Joint training first: the controls have its compute, one training, and not top-down's three."""
    found = collect(experiment)
    results = found.studies["study"]
    alone = [Result("joint", one.seed, one.steps[:1], one.steps[0].node) for one in results[:2]]
    for studied, told in [(results, ["joint training", "as many trainings from scratch"]),
                          ([*alone, *results], ["joint training"])]:  # fmt: skip
        study = dataclasses.replace(found, studies={"study": studied})
        rows = systems(studied)
        said = verdict(study, rows, compare_systems(study, rows))
        assert said.startswith("Top-down: test CER 15.00 %, joint training 21.00 %; against ")
        assert re.findall("against ([^,]*),", said) == told


def test_rows_of_one_name_are_told_apart():
    """Another control's only training may be called as a search calls one of its own."""
    first, last = Step("j1", 0.3, True), Step("k1", 0.2, True, FreezeTopPoint(1))
    both = [
        Result("freeze_top", 1, (first, last), "k1"),
        Result("same_init", 1, (first, Step("k1", 0.2, True, Only())), "k1"),
    ]
    same = "top frozen, the rest retrained from the same initial weights"
    assert [(row.name, row.search) for row in systems(both)] == [
        (JOINT, "joint"),
        (same, "freeze_top"),
        (f"{same} (same_init)", "same_init"),
    ]


def test_steps_come_in_the_order_of_their_numbers():
    def result(seed, count):
        points = [GreedyPoint((*[1] * i, 12 - i)) for i in range(1, count + 1)]
        steps = [Step(f"j{seed}", 0.5, True)]
        steps += [Step(f"{seed}.{point.frozen}", 0.5, True, point) for point in points]
        return Result("greedy", seed, tuple(steps), steps[-1].node)

    names = [row.name for row in systems([result(2, 1), result(1, 11)])]
    assert names == [JOINT, *(f"step {i}" for i in range(1, 12)), TOP_DOWN]


def test_errors_so_far_carry_the_last_accepted_model():
    steps = tuple(
        Step(str(i), error, accepted, ScratchPoint(i) if i else None)
        for i, (error, accepted) in enumerate([(0.5, True), (0.4, True), (0.6, False)])
    )
    result = Result("greedy", 1, steps, "1")
    assert errors_so_far(result, {"0": 50.0, "1": 40.0, "2": 60.0}) == [50.0, 40.0, 40.0]


def test_numbers_are_rounded_and_small_p_values_bounded():
    assert mean_sd([]) == "–"
    assert mean_sd([21.337]) == "21.34"
    assert mean_sd([1.0, 2.0, 3.0]) == "2.00 ± 1.00"
    assert p_text(0.0123) == "p = 0.012"
    assert p_text(0.0002) == "p < 0.001"


def test_a_set_too_small_for_a_test_is_not_blamed_on_the_seeds(experiment):
    found, rows = study(experiment)
    one = compare_systems(found, rows)[JOINT][TOP_DOWN]
    three = dataclasses.replace(one, seeds=3, better=3)
    said = verdict(found, rows, {JOINT: {TOP_DOWN: three}})
    assert "−6.00 points, better in 3 of 3 seeds, on a set too small for a test." in said


def test_a_table_is_markdown_and_csv():
    table = Table("t", ["a", "b"], [["x|y", "1, 2"], ["<b>*q*", "−3"]], code=frozenset({0}))
    plain = Table("t", table.header, table.rows)
    assert markdown(table).splitlines()[:3] == ["| a | b |", "| :-- | --: |", "| `x|y` | 1, 2 |"]
    assert markdown(plain).splitlines()[2:] == ["| x\\|y | 1, 2 |", "| \\<b\\>\\*q\\* | −3 |"]
    assert list(csv.reader(io.StringIO(table.csv()))) == [["a", "b"], ["x|y", "1, 2"], ["<b>*q*", "-3"]]


def test_the_csv_file_has_a_number_in_each_column(experiment):
    """For a program: no sign, interval or word beside a number."""
    found, rows = study(experiment)
    read = csv.DictReader(io.StringIO(systems_table(found, rows).csv()))
    by_name = {row["system"]: row for row in read}
    assert len(by_name) == len(rows)
    words = {"system", "search", "frozen"}
    for row in by_name.values():
        for name in row.keys() - words:
            assert row[name] == "" or float(row[name]) is not None
    one = by_name[TOP_DOWN]
    assert (one["search"], one["seeds"], one["seeds_to_joint"], one["better_to_joint"]) == (
        "greedy",
        "2",
        "2",
        "2",
    )
    assert float(one["test_CER_mean"]) == pytest.approx(15)
    assert float(one["test_CER_sd"]) == pytest.approx(4.24264)
    assert float(one["difference_to_joint"]) == pytest.approx(-6)
    assert float(one["difference_to_scratch"]) == pytest.approx(-4.5)
    assert one["p_to_joint"] == one["low_to_joint"] == ""  # no test with two seeds
    assert by_name["step 2"]["not_taken"] == "1"


def test_sets_with_digits_have_columns_of_their_own():
    """Of dev93 beside dev there was one, with the errors on dev."""
    values = error_values({"dev93 CER %": [10.0], "dev CER %": [20.0], "тест CER %": [30.0]}, {})
    assert [values[name] for name in ("dev93_CER_mean", "dev_CER_mean", "тест_CER_mean")] == [10, 20, 30]


def test_word_errors_are_the_errors_of_what_puts_out_pieces_of_words(experiment):
    for path in experiment.glob("nodes/*/config.yaml"):
        path.write_text(path.read_text() + "text: {unit: bpe, vocab_size: 20}\n")
    found, rows = study(experiment)
    table = systems_table(found, rows)
    assert list(table.header[1:4]) == ["test WER %", "dev WER %", "test CER %"]
    assert cells(markdown(table), JOINT)[1:3] == ["47.50 ± 3.54", "50.00 ± 0.00"]


def test_the_study_that_decided_by_the_loss_shows_it(experiment):
    path = experiment / "results" / "study.json"
    results = json.loads(path.read_text())
    for one in results["searches"]:
        one["criterion"] = "loss"
    path.write_text(json.dumps(results))
    found, rows = study(experiment)
    table = systems_table(found, rows)
    assert "dev loss (nats)" in table.header
    assert cells(markdown(table), JOINT)[3] == "30.00 ± 0.00"


def test_calibration_has_a_table_where_it_was_kept(experiment):
    found, rows = study(experiment)
    assert calibration_table(found, rows, "c") is None
    for number, path in enumerate(sorted(experiment.glob("decode/*/test/result.json"))):
        kept = {"expected_calibration_error": 0.1, "confidence": 0.9, "accuracy": 0.8 + number / 100}
        recorded = json.loads(path.read_text())
        path.write_text(json.dumps({**recorded, "calibration": {**kept, "unit_entropy": None}}))
    found, rows = study(experiment)
    table = calibration_table(found, rows, "c")
    assert list(table.header[:2]) == ["system", "test ECE %"]
    assert [row[0] for row in table.rows] == [row.name for row in rows]
    order = sorted(path.parts[-3] for path in experiment.glob("decode/*/test/result.json"))
    joint = [80 + order.index(node) for node in rows[0].nodes.values()]
    assert list(table.rows[0][1:]) == ["10.00 ± 0.00", "90.00 ± 0.00", mean_sd(joint), "–", "–", "2"]
    assert "| system | test ECE % |" in write_report(experiment).read_text()
