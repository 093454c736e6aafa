"""Gain by amount of training data: studies of one model on increasing amounts of data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_topdown.report.compare import Comparison, compare, correct, distinct
from asr_topdown.report.figures import JOINT_LOOK, LOOKS, Chart, Figure, Series
from asr_topdown.report.records import Experiment
from asr_topdown.report.systems import JOINT, System, systems
from asr_topdown.report.table import Table, Value
from asr_topdown.report.tables import difference_cell, error_values, scores_of
from asr_topdown.report.words import mean_sd
from asr_topdown.runs.about import DataSize


@dataclass(frozen=True)
class _Study:
    """A study, its training data, and where its searches and controls ended."""

    experiment: Experiment
    size: DataSize
    ends: Mapping[str, System]

    @property
    def amount(self) -> float:
        """Hours of audio, or words of a text."""
        return self.size.hours or self.size.words


def over_data(studies: Sequence[Experiment], name: str) -> tuple[Table, Figure] | None:
    """The gain of each search and control over joint training by amount of data: a table and a figure.

    Args:
        studies: of one study each (`Experiment.of_study`); those with another model than the first's, chosen
            by another criterion (dev loss or error), or tested on another set (of another corpus), are left
            out, and so is a second one on the same data.
        name: of the files.

    Returns:
        None if fewer than two amounts of data have errors on the reported set.
    """
    known = _by_amount(studies)
    if len(known) < 2:
        return None
    searches = dict.fromkeys(search for one in known for search in one.ends if search != JOINT)
    found = {search: {str(one.amount): _compared(one, search) for one in known} for search in searches}
    # A line needs comparisons on at least two amounts of data.
    several = {search: own for search, own in found.items() if sum(map(bool, own.values())) > 1}
    lines = {
        search: [(one, difference) for one in known if (difference := own[str(one.amount)])]
        for search, own in correct(several).items()
    }
    return (_table(known, lines, name), _figure(known, lines, name)) if lines else None


def _compared(study: _Study, search: str) -> Comparison | None:
    if search not in study.ends:
        return None
    system, joint = (scores_of(study.experiment, study.ends[key]) for key in (search, JOINT))
    return compare(system, joint, study.experiment.kind)


def _by_amount(studies: Sequence[Experiment]) -> list[_Study]:
    """Studies with the model, the criterion and the test set of the first, by increasing amount of data."""
    found: dict[float, _Study] = {}
    first: tuple[object, ...] = ()
    for experiment in studies:
        (results,) = experiment.studies.values()
        ends = {system.search: system for system in systems(results) if system.is_end}
        nodes = ends[JOINT].nodes.values() if ends else ()
        joint = next((experiment.trainings.get(node) for node in nodes), None)
        if joint is None or joint.about is None or not (scores := scores_of(experiment, ends[JOINT])):
            continue
        tested = next(iter(scores.values())).references
        model = json.dumps(joint.model, sort_keys=True, default=str)
        own = (model, experiment.kind, joint.metric, experiment.criterion, tested)
        first = first or own
        study = _Study(experiment, joint.about.train, ends)
        if own == first:
            found.setdefault(study.amount, study)
    return [found[amount] for amount in sorted(found)]


Lines = Mapping[str, Sequence[tuple[_Study, Comparison]]]


def _table(known: Sequence[_Study], lines: Lines, name: str) -> Table:
    kind, test = known[0].experiment.kind, known[0].experiment.test_name
    shown = {search: {str(one.amount): found for one, found in own} for search, own in lines.items()}
    tests = sum(value is not None for value in distinct(shown).values())
    header = ["system", _unit(known), "utterances", f"joint, {test}", test]
    header.append(f"Δ to joint; p corrected for {tests} comparisons")
    rows, values = [], []
    for search, own in lines.items():
        for study, found in own:
            system = study.ends[search]
            errors = {
                title: [kind.shown(score.rate) for score in scores_of(study.experiment, row).values()]
                for title, row in ((f"joint, {test}", study.ends[JOINT]), (test, system))
            }
            size = [f"{study.amount:g}", f"{study.size.utterances:,}"]
            rows.append([system.name, *size, *map(mean_sd, errors.values()), difference_cell(found)])
            row: dict[str, Value] = {"system": system.name, "amount": study.amount}
            row |= {"utterances": study.size.utterances}
            values.append(row | error_values(errors, {JOINT: found}))
    return Table(name, header, rows, values=values)


def _figure(known: Sequence[_Study], lines: Lines, name: str) -> Figure:
    amounts = [one.amount for one in known]
    series = [Series("joint", [(amounts[0], 0.0), (amounts[-1], 0.0)], JOINT_LOOK, markers=False)]
    for number, (search, own) in enumerate(lines.items()):
        # Side by side, so that bars do not hide each other; the axis is logarithmic.
        aside = 1.02 ** (number - (len(lines) - 1) / 2)
        look = LOOKS[number % len(LOOKS)]
        points = [(study.amount * aside, found.difference) for study, found in own]
        bars = [(study.amount * aside, *found.interval) for study, found in own if found.interval]
        series.append(Series(own[0][0].ends[search].name, points, look, markers=False))
        series.append(Series("", points, look, line=False, ranges=bars))
    experiment = known[0].experiment
    unit = f" ({experiment.kind.difference})" if experiment.kind.difference else ""
    chart = Chart(
        "",
        _unit(known),
        f"Δ {experiment.test_name.removesuffix(' %')} to joint{unit}",
        series,
        [(amount, f"{amount:g}") for amount in amounts],
        log_x=True,
    )
    caption = (
        "Mean difference from joint training on the same data, with its 95 % interval over seeds and "
        "utterances (none with too few seeds). Below the line: better than joint training."
    )
    return Figure(name, caption, [chart])


def _unit(known: Sequence[_Study]) -> str:
    return "hours of training data" if known[0].size.hours else "words of training data"
