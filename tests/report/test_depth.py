"""The depth sweep's figures, from a study whose every number is known."""

from dataclasses import replace
from pathlib import Path

import pytest
from toy_experiment import BLOCKS, joint, write_reference

from asr_topdown.report.collect import collect
from asr_topdown.report.depth import depth_figures
from asr_topdown.report.figures import Chart, Figure
from asr_topdown.report.page import build, write_report
from asr_topdown.report.pool import pooled_table
from asr_topdown.report.records import Score
from asr_topdown.report.systems import JOINT, System, systems
from asr_topdown.report.tables import compare_systems
from asr_topdown.report.words import NOTHING, signed
from asr_topdown.runs.store import Store
from asr_topdown.schedule.depth_sweep import DepthSweepSettings
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Request, advance
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Source, Study, Subset
from asr_topdown.schedule.tuning import Tuning

RIVALS = (Tuning(layer_decay=0.5), Tuning(parameters="norms_and_biases"))
LEVEL = {
    "nothing frozen, all layers trained on (rates × 0.5 from layer to layer)": 11.0,
    "nothing frozen, all layers trained on (norms and biases only)": 12.0,
    "from scratch": 30.0,
}
KEPT, NEW = "lowest blocks frozen, the rest trained on", "lowest blocks frozen, the rest re-initialised"


def error_of(node: Node) -> float:
    """Errors in percent by arm; 10 more on the part of the data, 2 more for the second seed."""
    if node.parent is None:
        error = 30.0
    elif node.tuning:
        error = LEVEL[f"nothing frozen, all layers trained on ({node.tuning.text()})"]
    elif node.start == "keep" and not node.frozen:
        error = 20.0 - len(node.fresh)
    else:
        error = 20.0 + len(node.frozen) + (5 if node.start == "reinit" and len(node.frozen) == 1 else 0)
    return error + 10 * (node.train_set == "half") + 2 * (node.init_seed % 10 - 1)


def finish(store: Store, node: Node) -> None:
    error = error_of(node) / 100
    metrics = {
        "dev_cer": error,
        "dev_loss": 30.0,
        "trainable_parameters": 250_000 - 100_000 * len(node.frozen),
        "peak_memory": 2**20 * (300 - 50 * len(node.frozen)),
    }
    seconds = 8.0 * (3 - len(node.frozen))
    store.finish(Outcome(node=node, error=error, best_epoch=6, epochs=8, seconds=seconds, metrics=metrics))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a sweep from another network, on all data and on half of them."""
    store = Store(write_reference(tmp_path_factory.mktemp("depth") / "recipe") / "exp" / "tiny")
    own = Outcome(node=joint(1, "other"), error=0.2, best_epoch=4, epochs=8, seconds=1.0, metrics={})
    studies = []
    for seed in (1, 2):
        half = Node(experiment="e", train_set="half", init_seed=seed, epochs=8, patience=2)
        part = Subset("train_p50", 20, 50.0, half)
        studies.append(Study(joint(seed), BLOCKS, source=Source("given", own, "w"), parts=(part,)))
    settings = DepthSweepSettings(rivals=RIVALS, renew_top=True)
    results = []
    for search in of_studies(studies, searches=("depth_sweep",), settings=lambda _: settings):
        said = advance(search)
        while isinstance(said, Request):
            for node in said.nodes:
                finish(store, node)
            said = advance(search, [store.outcome(node) for node in said.nodes])
        results.append(said)
    store.save_results("study", results)
    return store.root


@pytest.fixture(scope="module")
def figures(root: Path) -> dict[str, Figure]:
    found = collect(root)
    return {one.name: one for one in depth_figures(found, found.studies["study"], "d")}


def lines(chart: Chart) -> dict[str, list[tuple[float, float]]]:
    return {one.name: [(x, pytest.approx(y)) for x, y in one.points] for one in chart.series if one.name}


def test_a_training_on_a_part_is_compared_with_one_from_scratch_on_the_same_part(root: Path) -> None:
    experiment = collect(root)
    scores = {
        node: Score(error / 100, {"u1": (round(error), 50), "u2": (round(error), 150)}, {}, 1.0, 1.0)
        for node, error in experiment.dev.items()
    }
    experiment = replace(experiment, scores=scores)
    rows = systems(experiment.studies["study"])
    found = compare_systems(experiment, rows)[JOINT]
    on_part = [row for row in rows if row.name.endswith("on 50 % of the data")]
    scratch, *others = on_part
    assert scratch.name == "from scratch, on 50 % of the data"
    assert found[scratch.name] is None
    assert len(others) == (len(rows) - 3) / 2 > 4  # each arm of the whole data; joint, the best, scratch

    def error(row: System) -> float:
        return sum(experiment.dev[node] for node in row.nodes.values()) / 2

    for row in others:
        assert found[row.name].difference == pytest.approx(error(row) - error(scratch))
    whole = [row for row in rows if row not in on_part and row.name != JOINT]
    for row in whole:
        assert found[row.name].difference == pytest.approx(error(row) - 31)
    pooled = {cells[0]: cells[3] for cells in pooled_table([experiment, experiment]).rows}
    assert pooled[scratch.name] == pooled[JOINT] == NOTHING
    for row in others:
        assert pooled[row.name].startswith(f"{signed(error(row) - error(scratch))}, better in 2 of 2")


def test_error_over_depth_has_a_line_for_each_arm(figures: dict[str, Figure]) -> None:
    assert list(figures) == ["d", "d-cost", "d-data", "d-renewed"]
    (chart,) = figures["d"].charts  # nothing is decoded
    assert (chart.x_name, chart.y_name) == ("frozen blocks", "dev CER %")
    assert chart.x_ticks == [(0, "0"), (1, "1"), (2, "2")]
    found = lines(chart)
    # Training all layers on, 19 % and 21 %, is depth 0 of the arm that trains the others on.
    assert found[KEPT] == [(0, 20.0), (1, 22.0), (2, 23.0)]
    assert found[NEW] == [(1, 27.0), (2, 23.0)]
    for name, error in LEVEL.items():
        assert [y for _, y in found[name]] == [error + 1] * 2
    assert found.keys() == {KEPT, NEW, *LEVEL}
    assert "from given, softmax new" in figures["d"].caption


def test_bands_are_one_deviation_over_the_seeds(figures: dict[str, Figure]) -> None:
    """Of two values that differ by 2: the square root of 2."""
    for series in figures["d"].charts[0].series:
        assert all(high - low == pytest.approx(2 * 2**0.5) for _, low, high in series.ranges)
        middles = [(x, pytest.approx((low + high) / 2)) for x, low, high in series.ranges]
        assert not middles or middles == list(series.points)
    assert sum(bool(series.ranges) for series in figures["d"].charts[0].series) == 2 + len(LEVEL)


def test_every_arm_looks_otherwise(figures: dict[str, Figure]) -> None:
    looks = [series.look for series in figures["d"].charts[0].series if series.name]
    assert len(set(looks)) == len(looks)


def test_beneath_stands_what_the_arms_cost(figures: dict[str, Figure]) -> None:
    parameters, seconds, memory = figures["d-cost"].charts
    names = ["trainable parameters (thousands)", "seconds per epoch", "peak memory (MiB)"]
    assert [chart.y_name for chart in figures["d-cost"].charts] == names
    assert lines(parameters)[KEPT] == [(0, 250), (1, 150), (2, 50)]
    assert lines(seconds)[KEPT] == [(0, 3), (1, 2), (2, 1)]
    assert lines(memory)[KEPT] == [(0, 300), (1, 250), (2, 200)]
    assert lines(memory).keys() == lines(figures["d"].charts[0]).keys()


def test_each_arm_by_the_amount_of_data(figures: dict[str, Figure]) -> None:
    by_title = {chart.title: lines(chart) for chart in figures["d-data"].charts}
    assert by_title.keys() == {KEPT, NEW}
    assert by_title[KEPT]["100 % of the data"] == [(0, 20.0), (1, 22.0), (2, 23.0)]
    assert by_title[KEPT]["50 % of the data"] == [(0, 30.0), (1, 32.0), (2, 33.0)]
    assert [y for _, y in by_title[NEW]["from scratch, 50 % of the data"]] == [41.0] * 2


def test_new_upper_blocks_have_a_figure_of_their_own(figures: dict[str, Figure]) -> None:
    (chart,) = figures["d-renewed"].charts
    assert chart.x_name == "new upper blocks"
    # One is new anyway: that is training all layers on.
    assert lines(chart) == {
        "100 % of the data": [(1, 20.0), (2, 19.0)],
        "50 % of the data": [(1, 30.0), (2, 29.0)],
    }


@pytest.mark.filterwarnings(
    "error:constrained_layout"
)  # no room left: the trees' words were over their numbers
def test_the_report_has_all_of_them(root: Path) -> None:
    names = [part.name for part in build(collect(root)) if isinstance(part, Figure)]
    wanted = ["depth-study", "depth-study-cost", "depth-study-data", "depth-study-renewed"]
    assert [name for name in names if name.startswith("depth")] == wanted
    page = write_report(root)
    for name in wanted:
        assert (page.parent / f"{name}.png").stat().st_size > 10_000
    row = "nothing frozen, upper 2 blocks new, the rest trained on, from given, softmax new"
    assert f"| {row}, on 50 % of the data |" in page.read_text()
