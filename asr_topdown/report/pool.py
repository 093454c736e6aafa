"""One table over several experiments of the same design, such as the folds of a corpus."""

import statistics
from collections.abc import Mapping, Sequence

from asr_topdown.report.collect import Decoding, Experiment
from asr_topdown.report.compare import compare
from asr_topdown.report.systems import JOINT, SCRATCH, System, systems
from asr_topdown.report.tables import decodings_of, dev_error, difference_cell, markdown_table, mean_sd


def pooled_table(experiments: Sequence[Experiment], tag: str = "study") -> str:
    """Each system's error over all experiments, seed by seed, and how it differs from the baselines.

    A seed's error rate is the sum of its errors in all experiments over the sum of the reference characters.
    Only systems and seeds that every experiment has are shown; "± sd" is over the seeds.

    Raises:
        ValueError: naming an experiment without the study, or if they have no system in common.
    """
    rows_of = [_by_name(experiment, tag) for experiment in experiments]
    common = [name for name in rows_of[0] if all(name in rows for rows in rows_of)]
    pooled = {name: _pool(experiments, [rows[name] for rows in rows_of]) for name in common}
    complete = {name: decodings for name, decodings in pooled.items() if decodings}
    if not complete:
        folders = ", ".join(str(experiment.root) for experiment in experiments)
        raise ValueError(f"{folders}: no system has been trained and decoded with the same seeds in all")
    baselines = [name for name in (JOINT, SCRATCH) if name in complete]
    name = experiments[0].set_name
    header = [
        "system",
        "seeds",
        "dev error",
        f"{name} CER %",
        *(f"Δ to {baseline}" for baseline in baselines),
    ]
    table = []
    for system, decodings in complete.items():
        dev = [_dev_error(experiments, [rows[system] for rows in rows_of], seed) for seed in decodings]
        row = [
            system,
            str(len(decodings)),
            mean_sd(dev),
            mean_sd([100 * one.cer for one in decodings.values()]),
        ]
        for baseline in baselines:
            row.append("–" if system == baseline else difference_cell(compare(decodings, complete[baseline])))
        table.append(row)
    return markdown_table(header, table)


def _by_name(experiment: Experiment, tag: str) -> dict[str, System]:
    if tag not in experiment.studies:
        raise ValueError(f"{experiment.root}: no results/{tag}.json; run `asr-topdown topdown` first")
    return {system.name: system for system in systems(experiment.studies[tag])}


def _pool(experiments: Sequence[Experiment], rows: Sequence[System]) -> dict[int, Decoding]:
    """Base seed -> the decodings of all experiments as one, for the seeds that all have."""
    found = [decodings_of(experiment, row) for experiment, row in zip(experiments, rows, strict=True)]
    seeds = [seed for seed in found[0] if all(seed in decodings for decodings in found)]
    return {seed: _join([decodings[seed] for decodings in found]) for seed in seeds}


def _join(decodings: Sequence[Decoding]) -> Decoding:
    characters = {
        f"{index}/{utterance}": counts
        for index, decoding in enumerate(decodings)
        for utterance, counts in decoding.characters.items()
    }
    errors = sum(counts.errors for counts in characters.values())
    reference = sum(counts.reference for counts in characters.values())
    return Decoding(
        cer=errors / max(reference, 1),
        wer=statistics.fmean(decoding.wer for decoding in decodings),
        characters=characters,
        seconds=sum(decoding.seconds for decoding in decodings),
        audio_seconds=sum(decoding.audio_seconds for decoding in decodings),
    )


def _dev_error(experiments: Sequence[Experiment], rows: Sequence[System], seed: int) -> float:
    nodes: Mapping[str, str] = {
        str(one.root): row.nodes[seed] for one, row in zip(experiments, rows, strict=True)
    }
    return statistics.fmean(dev_error(one.trainings[nodes[str(one.root)]]) for one in experiments)
