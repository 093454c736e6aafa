"""Sample utterances of the set with their errors, to illustrate an error rate."""

from collections.abc import Mapping, Sequence

from asr_topdown.report.document import Example, Examples
from asr_topdown.report.records import Experiment, Score
from asr_topdown.report.systems import JOINT, System
from asr_topdown.report.tables import main_row
from asr_topdown.score.align import align

_PLACES = (0.5, 0.75, 1.0)  # among the utterances with errors, by their number
_MOST_WORDS = 40


def examples(experiment: Experiment, rows: Sequence[System]) -> tuple[str, Examples] | None:
    """Three utterances as recognised by the joint training and by the first search's network.

    They are chosen by the errors of the search's network, or of the joint one if there is no search, among
    those with at most 40 words: the first that is returned says how.

    Returns:
        None if no seed has both transcripts.
    """
    main = main_row(experiment, rows)
    shown = [row for row in rows if row.search == JOINT] + ([main] if main else [])
    seeds = [seed for seed in shown[0].nodes if _texts(experiment, shown, seed)] if shown else []
    if not seeds:
        return None
    found = _texts(experiment, shown, seeds[0])
    last = [*found.values()][-1]
    examples = [_example(last.transcripts[key], found, key) for key in _chosen(last)]
    how = (
        f"Seed {seeds[0]}: of the utterances of at most {_MOST_WORDS} words in which the "
        f"{'search' if main else 'joint training'}'s network errs, the median by the number of its errors, "
        "the one at three quarters, and the worst."
    )
    return (how, Examples(examples)) if examples else None


def _texts(experiment: Experiment, rows: Sequence[System], seed: int) -> dict[str, Score]:
    """Row -> its scores for this seed; empty if one has no transcripts."""
    scores = {row.name: experiment.scores.get(row.nodes.get(seed, "")) for row in rows}
    known = {name: score for name, score in scores.items() if score is not None and score.texts}
    return known if len(known) == len(rows) else {}


def _chosen(score: Score) -> list[str]:
    short = [key for key, said in score.transcripts.items() if len(said.split()) <= _MOST_WORDS]
    errors = {key: score.parts[key][0] for key in short if key in score.parts}
    wrong = sorted((key for key in errors if errors[key]), key=lambda key: (errors[key], key))
    places = [round(place * (len(wrong) - 1)) for place in _PLACES] if wrong else []
    return list(dict.fromkeys(wrong[place] for place in places))


def _example(said: str, found: Mapping[str, Score], key: str) -> Example:
    lines = [("said", [(word, True) for word in said.split()])]
    lines += [(name, _marked(said, score.texts[key])) for name, score in found.items()]
    return Example(key, lines)


def _marked(said: str, recognised: str) -> list[tuple[str, bool]]:
    """The recognised words, each with whether it is right; missing words are in brackets."""
    alignment = align(said.split(), recognised.split())
    return [
        (f"[{left}]" if right is None else right, operation == "C")
        for (left, right), operation in zip(alignment.pairs(), alignment.operations, strict=True)
    ]
