"""Gain over the amount of training data, from made-up studies on more and more of them."""

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path

import pytest
from toy_experiment import ABOUT

from asr_topdown.bin.main import main
from asr_topdown.report.collect import collect
from asr_topdown.report.compare import compare
from asr_topdown.report.data_size import over_data
from asr_topdown.report.document import Heading
from asr_topdown.report.page import build
from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import SCRATCH, TOP_DOWN, systems
from asr_topdown.report.tables import scores_of
from asr_topdown.schedule.protocol import Result
from asr_topdown.score.seeds import holm


def of_size(experiment: Experiment, hours: float, seeds: int = 4) -> Experiment:
    """The study over two seeds as one on so many hours, and over more seeds: copies of these two."""
    size = dataclasses.replace(next(iter(experiment.trainings.values())).about.train, hours=hours)
    trainings = {
        key: dataclasses.replace(one, about=dataclasses.replace(one.about, train=size))
        for key, one in experiment.trainings.items()
    }
    results = experiment.studies["study"]
    more: list[Result] = [
        dataclasses.replace(one, seed=one.seed + later) for later in range(2, seeds, 2) for one in results
    ]
    return dataclasses.replace(experiment, trainings=trainings, studies={"study": [*results, *more]})


@pytest.fixture
def found(experiment: Path) -> Experiment:
    return collect(experiment)


def test_the_gain_on_each_amount_with_its_interval(found: Experiment) -> None:
    studies = [of_size(found, hours) for hours in (2.0, 0.5)]
    table, figure = over_data(studies, "gain")
    rows = {row.name: row for row in systems(studies[0].studies["study"])}
    one = compare(scores_of(found, rows[TOP_DOWN]), scores_of(found, rows["joint"]), found.kind)
    assert one.interval is not None
    (chart,) = figure.charts
    assert (chart.x_name, chart.log_x) == ("hours of training data", True)
    assert [place for place, _ in chart.x_ticks] == [0.5, 2.0]
    assert chart.y_name == "Δ test CER to joint (points)"
    place = next(i for i, series in enumerate(chart.series) if series.name == TOP_DOWN)
    line, marks = chart.series[place : place + 2]
    # conftest: 21 % joint, 15 % top-down
    assert [y for _, y in line.points] == pytest.approx([-6, -6])
    assert [x for x, _ in line.points] == pytest.approx([0.5, 2.0], rel=0.1)
    assert [tuple(ends) for _, *ends in marks.ranges] == [pytest.approx(one.interval)] * 2
    assert [row[:3] for row in table.rows if row[0] == TOP_DOWN] == [
        [TOP_DOWN, "0.5", "40"], [TOP_DOWN, "2", "40"]
    ]  # fmt: skip


def test_p_values_are_corrected_over_all_amounts(found: Experiment) -> None:
    sizes = ((0.5, 4), (1.0, 6), (2.0, 8))
    table, _ = over_data([of_size(found, hours, seeds) for hours, seeds in sizes], "gain")
    values = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(values) == 12  # four systems on three amounts
    p, corrected = ([float(row[name]) for row in values] for name in ("p_to_joint", "p_corrected_to_joint"))
    assert len(set(p)) == 8  # two systems of the toy have the same p, but other errors
    assert "p corrected for 12 comparisons" in table.header[-1]
    assert corrected == pytest.approx(holm(p), rel=1e-3)


def test_with_two_seeds_there_are_no_bars(found: Experiment) -> None:
    table, figure = over_data([of_size(found, hours, seeds=2) for hours in (0.5, 2.0)], "gain")
    assert not any(series.ranges for series in figure.charts[0].series)
    assert [row[-1] for row in table.rows if row[0] == SCRATCH] == ["−1.50, better in 2 of 2"] * 2


def test_one_amount_or_another_model_makes_no_line(found: Experiment) -> None:
    half = of_size(found, 0.5)
    other = dataclasses.replace(
        half,
        trainings={
            key: dataclasses.replace(one, model={"kind": "other"})
            for key, one in of_size(found, 2.0).trainings.items()
        },
    )
    assert over_data([half], "gain") is None
    assert over_data([half, half], "gain") is None
    assert over_data([half, other], "gain") is None
    assert over_data([], "gain") is None


def test_a_study_of_another_corpus_is_no_larger_amount_of_data(found: Experiment) -> None:
    """Voices of two languages in one folder made a line over the hours of both."""
    half, other = of_size(found, 0.5), of_size(found, 2.0)
    french = {
        key: dataclasses.replace(one, parts={f"fr-{name}": counts for name, counts in one.parts.items()})
        for key, one in other.scores.items()
    }
    assert over_data([half, dataclasses.replace(other, scores=french)], "gain") is None
    longer = {
        key: dataclasses.replace(one, parts={name: (n, 2 * total) for name, (n, total) in one.parts.items()})
        for key, one in other.scores.items()
    }
    assert over_data([half, dataclasses.replace(other, scores=longer)], "gain") is None
    table, _ = over_data([half, dataclasses.replace(of_size(found, 1.0), scores=french), other], "gain")
    assert {row[1] for row in table.rows} == {"0.5", "2"}


def test_studies_that_chose_by_loss_and_by_error_make_no_line(found: Experiment) -> None:
    half, other = of_size(found, 0.5), of_size(found, 2.0)
    by_loss = [dataclasses.replace(one, criterion="loss") for one in other.studies["study"]]
    assert over_data([half, dataclasses.replace(other, studies={"study": by_loss})], "gain") is None
    stopped = {key: dataclasses.replace(one, metric="loss") for key, one in other.trainings.items()}
    assert over_data([half, dataclasses.replace(other, trainings=stopped)], "gain") is None


def test_studies_of_one_folder_are_set_side_by_side(found: Experiment) -> None:
    def headings(experiment: Experiment) -> list[str]:
        return [part.text for part in build(experiment) if isinstance(part, Heading) and part.level == 2]

    assert "Gain over the amount of training data" not in headings(found)
    both = dataclasses.replace(found, studies={"all": found.studies["study"], "half": found.studies["study"]})
    assert "Gain over the amount of training data" not in headings(both)  # the same data twice


def test_the_command_writes_table_and_figure(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = experiment.parent / "small"
    shutil.copytree(experiment, small)
    for path in small.glob("nodes/*/about.json"):
        path.write_text(json.dumps({**ABOUT, "train": {**ABOUT["train"], "hours": 0.01}}))
    out = experiment.parent / "results"
    assert main(["report", str(small), str(experiment), "--over-data", str(out)]) == 0
    assert f"| {TOP_DOWN} | 0.01 | 40 |" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["data-size.csv", "data-size.png", "report.md"]
    # Studies of other names, two that both have, and then one of each alone.
    for exp in (small, experiment):
        shutil.copy(exp / "results" / "study.json", exp / "results" / "b.json")
        (exp / "results" / "study.json").rename(exp / "results" / "a.json")
    assert main(["report", str(small), str(experiment), "--over-data", str(out)]) == 0
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("Study")] == ["Study `a`", "Study `b`"]
    assert shown.count(f"| {TOP_DOWN} | 0.01 | 40 |") == 2
    assert {path.name for path in out.glob("*.csv")} == {"data-size-a.csv", "data-size-b.csv"}
    (small / "results" / "a.json").unlink()
    (experiment / "results" / "b.json").unlink()
    assert main(["report", str(small), str(experiment), "--over-data", str(out)]) == 0
    assert f"| {TOP_DOWN} | 0.01 | 40 |" in capsys.readouterr().out
    assert {path.name for path in out.glob("*.csv")} == {"data-size.csv"}
    assert main(["report", str(experiment), str(experiment), "--over-data", str(out)]) == 1
    assert "no studies of one model on two amounts of data" in capsys.readouterr().err
