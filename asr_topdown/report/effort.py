"""Error against cumulative training epochs: what a schedule gives for its cost."""

import bisect
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_topdown.report.figures import JOINT_LOOK, LOOKS, Chart, Figure, Series
from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import JOINT, errors_so_far
from asr_topdown.schedule.controls import ScratchPoint
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.protocol import Result, Step, longest
from asr_topdown.schedule.searches import SPECS
from asr_topdown.schedule.spec import Only


@dataclass(frozen=True)
class Stairs:
    """A step function: `values[i]` from `places[i]` on, with increasing places."""

    places: Sequence[float]
    values: Sequence[float]

    def at(self, place: float) -> float:
        """The value at `place`, which must not be before the first."""
        return self.values[bisect.bisect_right(self.places, place) - 1]


def effort_figure(experiment: Experiment, results: Sequence[Result], name: str) -> Figure | None:
    """One line per search and control: the mean over the seeds, with a band of one standard deviation.

    Dev and, if decoded, the reported set. None if there is only joint training.
    """
    sides = ((experiment.dev_name, experiment.dev), (experiment.test_name, experiment.test))
    charts = []
    for title, errors in sides:
        series = _lines(experiment, results, errors)
        if series:
            charts.append(Chart(title, "epochs trained in all", title, series))
    caption = (
        "Error of each schedule's best network so far, against the epochs of all its trainings so far, "
        "including the joint one if it is needed. Lines: mean over the seeds; bands: one standard "
        "deviation; marks: where a schedule ends, on average."
    )
    return Figure(name, caption, charts) if charts else None


def stairs(experiment: Experiment, result: Result, errors: Mapping[str, float]) -> Stairs | None:
    """Epochs trained so far and the error of the best network so far; None if a training is missing.

    A search whose steps replace one another is followed step by step, as is the best of several
    trainings from scratch. Any other search shows only the joint training and the end. Each training counts
    once; those on parts of the data, of which none is the end, do not.
    """
    steps = [step for step in result.steps if not _on_part(step)]
    trainings = [experiment.trainings.get(step.node) for step in steps]
    outcomes = [training.outcome if training else None for training in trainings]
    known = [outcome for outcome in outcomes if outcome]
    epochs = [outcome.epochs for outcome in known]
    shown = [result.final, *(step.node for step in steps if step.accepted)]
    if len(epochs) < len(steps) or any(node not in errors for node in shown):
        return None
    spec = SPECS[result.search]
    if spec.point is Only and experiment.trainings[result.final].node.parent is None:
        return Stairs([epochs[-1]], [errors[result.final]])  # a training from scratch needs no joint one
    if spec.stepwise or spec.point is ScratchPoint:
        return Stairs(list(itertools.accumulate(epochs)), errors_so_far(result, errors))
    total = sum(outcome.epochs for outcome in longest(known))
    return Stairs([epochs[0], total], [errors[steps[0].node], errors[result.final]])


def _on_part(step: Step) -> bool:
    return isinstance(step.point, DepthSweepPoint) and bool(step.point.part)


def _lines(experiment: Experiment, results: Sequence[Result], errors: Mapping[str, float]) -> list[Series]:
    """The searches and controls, with joint training below them; nothing if there is only joint training."""
    compared = [result for result in results if SPECS[result.search].against_joint and result.search != JOINT]
    # All of them, so that each has one look in both charts even if one of the charts lacks some.
    found: dict[str, list[Stairs]] = {
        spec.label: [] for spec in SPECS.values() if any(result.search == spec.name for result in compared)
    }
    joint: dict[int, Stairs] = {}
    for result in compared:
        one = stairs(experiment, result, errors)
        if one is not None:
            found[SPECS[result.search].label].append(one)
            first = experiment.trainings[result.steps[0].node].outcome
            assert first is not None
            joint[result.seed] = Stairs([first.epochs], [errors[result.steps[0].node]])
    if not joint:
        return []
    # Slightly beyond the last training, so that its step is visible.
    end = 1.05 * max(one.places[-1] for own in found.values() for one in own)
    series = _line(list(joint.values()), "joint", JOINT_LOOK, end)
    for number, (label, own) in enumerate(found.items()):
        if own:
            series += _line(own, label, LOOKS[number % len(LOOKS)], end)
    return series


def _line(own: Sequence[Stairs], name: str, look: int, end: float) -> list[Series]:
    """Mean and standard deviation over the seeds, from the first retraining on."""
    begun = max(one.places[0] for one in own)
    places = sorted({place for one in own for place in one.places if place >= begun} | {end})
    columns = [[one.at(place) for one in own] for place in places]
    means = [statistics.fmean(column) for column in columns]
    spreads = [statistics.stdev(column) if len(column) > 1 else 0.0 for column in columns]
    start = min((one.places[1] for one in own if len(one.places) > 1), default=begun)
    # Each place twice, with the values before and after it: corners of a step.
    corners = [
        (place, max(0, index + back))
        for index, place in enumerate(places)
        for back in (-1, 0)
        if place >= start
    ]
    ranges = [(place, means[i] - spreads[i], means[i] + spreads[i]) for place, i in corners]
    mark = (statistics.fmean(one.places[-1] for one in own), statistics.fmean(one.values[-1] for one in own))
    label = f"{name}: mean of {len(own)} seeds" if len(own) > 1 else name
    return [
        Series(
            label,
            [(place, means[i]) for place, i in corners],
            look,
            markers=False,
            ranges=ranges if len(own) > 1 else (),
        ),
        Series("", [mark], look, line=False),
    ]
