"""Table 1, Figures 1 and 2 and the depth sweep, from searches whose outcomes are known."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from asr_topdown.report.collect import collect
from asr_topdown.report.depth import depth_figures
from asr_topdown.report.figures import Figure
from asr_topdown.report.page import build, write_report
from asr_topdown.report.scans import extractors_table, figure_1, figure_2, table_1
from asr_topdown.report.systems import systems
from asr_topdown.runs.store import Store
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.epoch_scan import EpochScanPoint
from asr_topdown.schedule.protocol import Point, Result, Step
from asr_topdown.schedule.subset_scan import SubsetScanPoint


@pytest.fixture
def scanned(experiment: Path) -> Path:
    """Results of three searches; only the joint trainings' nodes exist."""
    joints = {one.seed: one.steps[0].node for one in Store(experiment).load_results("study")}
    results = []
    for seed, node in joints.items():
        shift = 0.01 * (seed - 1)
        steps = [Step(node, 0.3, True)]
        for epoch in (1, 2, 3):
            error = abs(epoch - 2) / 10 + 0.2 + shift
            steps.append(Step(f"e{seed}{epoch}", error, False, EpochScanPoint(epoch, 1)))
        results.append(Result("epoch_scan", seed, tuple(steps), f"e{seed}2"))
        steps = []
        for percent in (5.0, 80.0):
            error = 0.5 - percent / 200 + shift
            for repeat in (0, 1, 2):
                point = SubsetScanPoint(f"part{percent:g}", int(10 * percent), percent, repeat)
                name = f"s{seed}{percent}{repeat}" if repeat else node
                steps.append(Step(name, error + repeat / 100, not repeat, point))
        results.append(Result("subset_scan", seed, tuple(steps), steps[1].node))
        steps = [Step(node, 0.3, True)]
        for side in ("bottom", "top"):
            for frozen in (1, 2):
                point = DepthSweepPoint(side, frozen, "reinit")
                steps.append(Step(f"d{seed}{side}{frozen}", frozen / 10, False, point))
        results.append(Result("depth_sweep", seed, tuple(steps), steps[1].node))
    Store(experiment).save_results("scans", results)
    return experiment


def means(figure: Figure | None, chart: int = 0) -> dict[str, list[tuple[float, float]]]:
    assert figure is not None
    return {one.name: list(one.points) for one in figure.charts[chart].series if one.name}


def test_figures_show_means_of_what_was_found(scanned: Path) -> None:
    found = collect(scanned)
    results = found.studies["scans"]
    one = figure_1(found, results, "f1")
    (line,) = means(one).values()
    # 5 %: 0.475 and 0.485, plus 0.01 and 0.02 of the repeats; 80 %: 0.1 and 0.11
    assert [x for x, _ in line] == [5, 80]
    assert [y for _, y in line] == pytest.approx([49.5, 12.0])
    assert one is not None
    assert one.charts[0].log_x
    (faint,) = [series for series in one.charts[0].series if series.faint]
    assert len(faint.points) == 8
    two = figure_2(found, results, "f2")
    assert means(two, 0)["dev loss"][:2] == [(1, 50.0), (2, 46.0)]
    (line,) = means(two, 1).values()
    assert line == [(1, pytest.approx(30.5)), (2, pytest.approx(20.5)), (3, pytest.approx(30.5))]
    (figure,) = depth_figures(found, results, "d")
    depth = means(figure)
    top, bottom = (f"{which} blocks frozen, the rest re-initialised" for which in ("topmost", "lowest"))
    assert depth[top] == [(1, pytest.approx(10)), (2, pytest.approx(20))]
    assert depth.keys() == {top, bottom, "from scratch"}
    assert figure.charts[0].x_ticks == [(0, "0"), (1, "1"), (2, "2")]


def test_table_1_has_a_row_for_each_subset(scanned: Path) -> None:
    found = collect(scanned)
    table = table_1(found, found.studies["scans"], "t")
    assert table is not None
    assert [list(row[:4]) for row in table.rows] == [["5", "part5", "50", "2"], ["80", "part80", "800", "2"]]


def test_a_small_share_is_not_rounded_to_a_whole_percent(scanned: Path) -> None:
    found = collect(scanned)
    halved = [
        replace(result, steps=tuple(replace(step, point=half(step.point)) for step in result.steps))
        for result in found.studies["scans"]
    ]
    for table in (table_1(found, halved, "t"), extractors_table(found, halved, "subset_scan", "t")):
        assert table is not None
        assert [row[0] for row in table.rows] == ["2.5", "40"]


def half(point: Point | None) -> Point | None:
    return replace(point, percent=point.percent / 2) if isinstance(point, SubsetScanPoint) else point


def test_what_the_figures_show_stands_in_tables(scanned: Path) -> None:
    found = collect(scanned)
    one = extractors_table(found, found.studies["scans"], "subset_scan", "t")
    two = extractors_table(found, found.studies["scans"], "epoch_scan", "t")
    assert one is not None
    assert two is not None
    assert one.header[0] == "classifier's data (%)"
    # 5 %: 48.5, 49.5, 49.5 and 50.5; none of these trainings is decoded
    assert [list(row) for row in one.rows] == [
        ["5", "4", "49.50 ± 0.82", "–"],
        ["80", "4", "12.00 ± 0.82", "–"],
    ]
    assert [list(row[:3]) for row in two.rows] == [
        ["1", "2", "30.50 ± 0.71"],
        ["2", "2", "20.50 ± 0.71"],
        ["3", "2", "30.50 ± 0.71"],
    ]


def test_their_csv_files_have_a_number_in_each_column(scanned: Path) -> None:
    found = collect(scanned)
    results = found.studies["scans"]
    header = "dev_CER_mean,dev_CER_sd,test_CER_mean,test_CER_sd"
    for table, first, row in (
        (table_1(found, results, "t"), "percent,data,utterances,seeds", "5,part5,50,2,31,1.41421,21,1.41421"),
        (extractors_table(found, results, "subset_scan", "t"), "percent,trainings", "5,4,49.5,0.816497,,"),
        (extractors_table(found, results, "epoch_scan", "t"), "epoch,trainings", "1,2,30.5,0.707107,,"),
    ):
        assert table is not None
        assert table.csv().splitlines()[:2] == [f"{first},{header}", row]


def test_scans_have_no_rows_among_the_systems(scanned: Path) -> None:
    rows = systems(collect(scanned).studies["scans"])
    assert [row.name for row in rows][:3] == [
        "joint",
        "lowest block frozen, the rest re-initialised",
        "lowest 2 blocks frozen, the rest re-initialised",
    ]
    assert not [row for row in rows if "scan" in row.name]


def test_the_report_has_them(scanned: Path) -> None:
    names = [part.name for part in build(collect(scanned)) if isinstance(part, Figure)]
    assert names == ["figure1-scans", "figure2-scans", "depth-scans", "cascade-study", "effort-study"]
    page = write_report(scanned)
    assert (page.parent / "figure1-scans.png").stat().st_size > 10_000
    html = page.with_suffix(".html").read_text()
    assert len(re.findall(r'<svg class="chart"', html.split('<h2 id="study-study"')[0])) == 4


def test_a_study_without_scans_has_none_of_them(experiment: Path) -> None:
    found = collect(experiment)
    results = found.studies["study"]
    assert table_1(found, results, "t") is None
    assert [make(found, results, "f") for make in (figure_1, figure_2)] == [None] * 2
    assert depth_figures(found, results, "f") == []
