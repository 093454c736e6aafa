"""The text beneath a study's table of systems: how to read its differences, and whose compute is equal."""

from collections.abc import Sequence

from asr_topdown.report.compare import Differences, distinct
from asr_topdown.report.records import LANGUAGE, Experiment
from asr_topdown.report.systems import BASELINES, JOINT, System
from asr_topdown.report.tables import first_search
from asr_topdown.schedule.searches import SEARCHES, SPECS
from asr_topdown.score.seeds import MIN_SEEDS


def how_to_read(experiment: Experiment, rows: Sequence[System], differences: Differences, unseen: int) -> str:
    """The caption of the table of `rows`, without `unseen` comparisons; the glossary explains the terms."""
    kind = experiment.kind
    text = "Means over the seeds ± standard deviation."
    shown = [one for found in differences.values() for one in found.values() if one is not None]
    if shown:
        unit = "perplexities" if kind is LANGUAGE else f"{kind.error.removesuffix(' %')} in percentage points"
        text += f" Δ is the difference of mean {unit} over the seeds that both have"
        text += f" (negative: {'lower' if kind is LANGUAGE else 'fewer errors'} than the baseline)"
        tests = sum(value is not None for value in distinct(differences).values())
        if tests:
            text += (
                " with its 95 % interval and two-sided p, which generalise to other seeds *and* other "
                f"{kind.sampled}; p in brackets is corrected for the {tests} comparisons of this table"
                f"{f' and the {unseen} that are not shown' if unseen else ''} (Holm)"
            )
        if any(one.p_value is None for one in shown):
            text += f"; with fewer than {MIN_SEEDS} seeds there is neither interval nor p"
        text += "."
    text += _equal_compute(experiment, rows, differences)
    if any(row.part for row in rows):
        text += " Trainings on a part of the data are compared with training from scratch on the same part."
    if any(row.rejected for row in rows):
        text += _not_taken(experiment)
    return f"{text} The terms are explained at the end of the page."


def _equal_compute(experiment: Experiment, rows: Sequence[System], differences: Differences) -> str:
    """Which baselines have the compute of the study's first search."""
    first = SPECS[first_search(experiment)]
    # A search that continues a few of its trainings ends the others early.
    more = [base for base in differences if base == "scratch" and first.continues]
    text, equal = "", [BASELINES[base] for base in differences if base not in (JOINT, *more)]
    if equal:
        but = ", but for the source's own training" if _has_source(experiment) else ""
        text += f" Equal compute{_of_first(experiment, rows)}{but}: {' and '.join(equal)}."
    if more:
        text += f" More compute: {BASELINES['scratch']}, for those of {first.label} mostly end early."
    return text


def _not_taken(experiment: Experiment) -> str:
    """What the mark means; with `stop_when_worse: false` a search goes on after such a step."""
    results = [one for own in experiment.studies.values() for one in own if SPECS[one.search].stepwise]
    ends = all(step.accepted for one in results for step in one.steps[:-1])
    text = f' "Not taken" marks steps whose dev {experiment.criterion} grew'
    return f"{text}{', which ends the search' if ends else ''}."


def _of_first(experiment: Experiment, rows: Sequence[System]) -> str:
    """Whose compute the controls have: if there are several searches, the first one's."""
    first = first_search(experiment)
    several = {row.search for row in rows if row.search in SEARCHES} - {JOINT, first}
    return f" for {SPECS[first].label}, not for the other searches" if several else ""


def _has_source(experiment: Experiment) -> bool:
    """Whether the study's first search takes layers from another network, whose training nobody counts."""
    first = first_search(experiment)
    results = [one for own in experiment.studies.values() for one in own if one.search == first]
    return any(getattr(step.point, "source", "") for one in results for step in one.steps)
