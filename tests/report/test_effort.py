"""Error over the total number of epochs, against a loop over the epochs."""

import dataclasses
import statistics
from pathlib import Path

import pytest

from asr_topdown.report.collect import collect
from asr_topdown.report.document import Text
from asr_topdown.report.effort import effort_figure, stairs
from asr_topdown.report.figures import cascade
from asr_topdown.report.page import build
from asr_topdown.report.plots import plot_figure
from asr_topdown.report.svg import figure as drawn
from asr_topdown.schedule.controls import ScratchPoint
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.halving import HalvingPoint
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.spec import Only


@pytest.fixture
def found(experiment: Path):
    """The made-up study; its trainings take 8 epochs each, those of seed 2 here one more."""
    whole = collect(experiment)
    longer = {
        key: dataclasses.replace(one, outcome=dataclasses.replace(one.outcome, epochs=9))
        if one.node.init_seed % 1_000_000 == 2
        else one
        for key, one in whole.trainings.items()
    }
    return dataclasses.replace(whole, trainings=longer)


def of_search(found, search: str, seed: int) -> Result:
    return next(one for one in found.studies["study"] if (one.search, one.seed) == (search, seed))


def test_a_search_is_followed_step_by_step(found) -> None:
    """conftest: seed 1 goes 20, 16, 12 % on test; seed 2 goes 22, 18, and its second step is not taken."""
    first, second = (stairs(found, of_search(found, "greedy", seed), found.test) for seed in (1, 2))
    assert (list(first.places), list(first.values)) == ([8, 16, 24], [20, 16, 12])
    assert (list(second.places), list(second.values)) == ([9, 18, 27], [22, 18, 18])
    assert [first.at(place) for place in (8, 15, 16, 23, 24, 99)] == [20, 20, 16, 16, 12, 12]


def test_of_one_retraining_both_ends_are_shown(found) -> None:
    keep = stairs(found, of_search(found, "keep", 1), found.test)
    assert (list(keep.places), list(keep.values)) == ([8, 16], [20, 21])


def test_a_training_that_needs_no_joint_one_costs_its_own_epochs_only(found) -> None:
    joint, other = (of_search(found, "scratch", 1).steps[place].node for place in (0, 1))
    long = Result("joint_long", 1, (Step(joint, 0.3, True), Step(other, 0.2, True, Only())), other)
    one = stairs(found, long, found.test)
    assert (list(one.places), list(one.values)) == ([8], [found.test[other]])


def halved(found):
    """The made-up study with a search that gives seed 1's first retraining four epochs and then all eight."""
    greedy = of_search(found, "greedy", 1)
    joint, step, *_ = greedy.steps
    long = found.trainings[step.node]
    node = dataclasses.replace(long.node, epochs=4)
    short = dataclasses.replace(
        long,
        node=node,
        outcome=dataclasses.replace(long.outcome, node=node, best_epoch=4, epochs=4, seconds=36.0),
    )
    rungs = [
        Step(key, 0.26, True, HalvingPoint((1, 2), (6,), budget, rung))
        for rung, (key, budget) in enumerate([(node.id, 4), (step.node, 8)], 1)
    ]
    result = Result("halving", 1, (joint, *rungs), step.node)
    trainings = {**found.trainings, node.id: short}
    return dataclasses.replace(found, trainings=trainings, studies={"study": [result]}), result


def test_a_training_that_is_given_more_epochs_costs_them_once(found) -> None:
    experiment, result = halved(found)
    line = stairs(experiment, result, experiment.dev)
    assert (list(line.places), list(line.values)) == ([8, 8 + 8], [30, 26])
    told = next(
        part.text for part in build(experiment) if isinstance(part, Text) and " in total " in part.text
    )
    assert told.startswith("2 trainings, 2.4 min in total")  # 72 s each


def test_a_longer_joint_training_is_not_the_shorter_going_on(found) -> None:
    """Without patience they differ in epochs alone, and in a study of halving the shorter was not counted."""
    experiment, result = halved(found)
    first = experiment.trainings[result.steps[0].node]
    node = dataclasses.replace(first.node, epochs=24)
    outcome = dataclasses.replace(first.outcome, node=node, epochs=24, seconds=216.0)
    trainings = {**experiment.trainings, node.id: dataclasses.replace(first, node=node, outcome=outcome)}
    control = Result("joint_long", 1, (result.steps[0], Step(node.id, 0.3, True, Only())), node.id)
    study = dataclasses.replace(experiment, trainings=trainings, studies={"study": [result, control]})
    told = next(part.text for part in build(study) if isinstance(part, Text) and " in total " in part.text)
    assert told.startswith("3 trainings, 6.0 min in total")  # 72 s, 72 s and 216 s


def test_a_sweep_costs_each_of_its_trainings_once_and_none_on_a_part_of_the_data(found) -> None:
    """Two arms may be one training; those on parts have epochs of their own length."""
    joint, step, other = (one.node for one in of_search(found, "greedy", 1).steps)
    arm = DepthSweepPoint("bottom", 2, "reinit")
    part = dataclasses.replace(arm, part="p25", percent=25.0)
    steps = [Step(joint, 0.3, True), Step(step, 0.2, True, arm)]
    steps.append(Step(step, 0.2, False, dataclasses.replace(arm, start="keep")))
    steps += [Step(other, 0.4, False, part), Step("removed", 0.4, False, part)]
    one = stairs(found, Result("depth_sweep", 1, tuple(steps), step), found.test)
    assert (list(one.places), list(one.values)) == ([8, 16], [20, 16])


def test_a_training_that_is_not_finished_or_decoded_is_not_drawn(found) -> None:
    result = of_search(found, "greedy", 1)
    errors = {key: value for key, value in found.test.items() if key != result.steps[1].node}
    assert stairs(found, result, errors) is None
    rest = {key: one for key, one in found.trainings.items() if key != result.steps[2].node}
    assert stairs(dataclasses.replace(found, trainings=rest), result, found.test) is None


def test_lines_are_means_and_bands_standard_deviations(found, tmp_path: Path) -> None:
    figure = effort_figure(found, found.studies["study"], "effort")
    assert [chart.title for chart in figure.charts] == ["dev CER %", "test CER %"]
    series = {one.name.partition(":")[0]: one for one in figure.charts[1].series if one.name}
    assert set(series) >= {"top-down", "from scratch, best of as many trainings"}
    line = series["top-down"]
    own = [stairs(found, of_search(found, "greedy", seed), found.test) for seed in (1, 2)]
    reached = dict(line.points)  # of the two points at one place the last one: the value from there on
    bands = {place: (low, high) for place, low, high in line.ranges}
    # From the first retraining on; seed 1's joint training ends with epoch 8, seed 2's with epoch 9.
    assert line.points[0] == (16, pytest.approx(21))
    last = None
    for epoch in range(16, 28):
        values = [one.at(epoch) for one in own]
        last = reached.get(epoch, last)
        assert last == pytest.approx(statistics.fmean(values))
        if epoch in bands:
            spread = statistics.stdev(values)
            assert bands[epoch] == pytest.approx((last - spread, last + spread))
    end = pytest.approx(1.05 * 27)
    assert sorted(bands) == sorted(reached) == [16, 18, 24, 27, end]
    assert series["joint"].points == [(9, 21), (9, 21), (end, 21), (end, 21)]
    svg = drawn(figure)
    assert svg.count('band"') == len([one for chart in figure.charts for one in chart.series if one.ranges])
    plot_figure(tmp_path / "effort.png", figure)
    assert (tmp_path / "effort.png").stat().st_size > 10_000


def test_a_search_has_one_look_in_both_charts(found) -> None:
    """The legend is one for both; the searches after one that is not decoded had its colours."""
    ends = {of_search(found, "greedy", seed).final for seed in (1, 2)}
    scores = {key: one for key, one in found.scores.items() if key not in ends}
    half = dataclasses.replace(found, scores=scores)
    dev, test = effort_figure(half, half.studies["study"], "effort").charts
    looks = [{one.name: one.look for one in chart.series if one.name} for chart in (dev, test)]
    left = {name for name in looks[0] if not name.startswith("top-down")}
    assert looks[1] == {name: looks[0][name] for name in left}
    assert len(set(looks[0].values())) == len(looks[0]) == 5


def test_one_seed_has_no_band_and_joint_training_alone_no_figure(found) -> None:
    one = [result for result in found.studies["study"] if result.seed == 1]
    assert not any(
        series.ranges for chart in effort_figure(found, one, "e").charts for series in chart.series
    )
    assert effort_figure(found, [], "e") is None


def test_the_steps_figure_ends_with_the_top_down_search(found) -> None:
    """Trainings from scratch that follow another search may be more, and not equally many for all seeds."""
    scratch, keep = of_search(found, "scratch", 1), of_search(found, "keep", 1)
    more = Step(keep.final, 0.1, True, ScratchPoint(3))
    longer = dataclasses.replace(scratch, steps=(*scratch.steps, more), final=keep.final)
    results = [longer if one is scratch else one for one in found.studies["study"]]
    before, after = (cascade(found, some, "cascade") for some in (found.studies["study"], results))
    assert [chart.series for chart in after.charts] == [chart.series for chart in before.charts]
