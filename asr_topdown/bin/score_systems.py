"""`asr-topdown score REF HYP …`: error rates of one or two systems, or ways of training."""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_topdown import datadir
from asr_topdown.bin import score_hub5
from asr_topdown.bin.scored import DIRECTION, Scored, bootstrap_of, transcripts_of
from asr_topdown.runs.decodings import record_of
from asr_topdown.score import text_report
from asr_topdown.score.errors import RATE_KEYS, Unit
from asr_topdown.score.mapsswe import mapsswe
from asr_topdown.score.report import ScoreReport, score
from asr_topdown.score.seeds import MIN_SEEDS, compare_seeds
from asr_topdown.score.significance import RateInterval, bootstrap_rate, paired_bootstrap, remark

_UNITS: Mapping[str, tuple[Unit, ...]] = {
    "word": ("word",),
    "char": ("char",),
    "both": ("word", "char"),
    "label": ("label",),
}


def score_systems(args: argparse.Namespace, paths: Sequence[Path]) -> Scored:
    """Score one or two systems' transcripts, and test their difference."""
    if score_hub5.is_asked(args):
        return score_hub5.score_systems(args, paths)
    reports = _reports(args, paths)
    scored = Scored([], {"reference": str(args.reference), "systems": []}, [])
    for path, of_units in zip(paths, reports, strict=True):
        intervals = [_interval(report, args) for report in of_units]
        scored.lines.append(f"{path}: {len(of_units[0].utterances)} utterances")
        scored.lines.append(text_report.summary(of_units, intervals))
        if few := _remark(of_units[0], args):
            scored.lines.append(few)
        scored.alignments.append(
            "\n".join(
                f"{path} against {args.reference}\n\n{text_report.full_report(report)}" for report in of_units
            )
        )
        scores = [
            {**report.to_json(), "interval": [_finite(interval.low), _finite(interval.high)]}
            for report, interval in zip(of_units, intervals, strict=True)
        ]
        scored.document["systems"].append({"hypothesis": str(path), "scores": scores})
    if len(paths) == 2:
        compared = [_compare(first, second, args) for first, second in zip(*reports, strict=True)]
        scored.lines.extend(lines for lines, _ in compared)
        scored.document["comparisons"] = [values for _, values in compared]
    return scored


def score_seeds(args: argparse.Namespace, first: Sequence[Path], second: Sequence[Path]) -> Scored:
    """Score the seeds of one way of training, or of two, and test the difference (`score.seeds`).

    Raises:
        ValueError: if there are different numbers of seeds, one stands twice, or as in `score_systems`.
    """
    if second and len(second) != len(first):
        raise ValueError(f"--compare needs as many seeds as there are HYP, {len(first)}; got {len(second)}")
    for way in (first, second):
        _refuse_repeated(way)
    reports = _reports(args, [*first, *second])
    own, others = reports[: len(first)], reports[len(first) :]
    # For each way and each unit, the reports of all seeds.
    ways = [list(zip(*way, strict=True)) for way in (own, others) if way]
    scored = Scored([], {"reference": str(args.reference), "ways": []}, [])
    for paths, columns in zip((first, second), ways, strict=False):
        scored.lines.append(f"{len(paths)} seeds, {paths[0]} …: {', '.join(map(_over_seeds, columns))}")
        rates = {column[0].name: [report.rate for report in column] for column in columns}
        scored.document["ways"].append({"hypotheses": [str(path) for path in paths], **rates})
    if second:
        compared = [_compare_seeds(one, other, args) for one, other in zip(*ways, strict=True)]
        scored.lines.extend(line for line, _ in compared)
        scored.document["comparisons"] = [values for _, values in compared]
    return scored


def _refuse_repeated(paths: Sequence[Path]) -> None:
    """Refuse transcripts that are given as those of two seeds among others.

    One network in place of all seeds is a way of its own, with which the seeds of another may be compared.
    """
    known: dict[Path, list[Path]] = {}
    for path in paths:
        known.setdefault((path / "text" if path.is_dir() else path).resolve(), []).append(path)
    for same in known.values() if len(known) > 1 else ():
        if len(same) > 1:
            raise ValueError(f"{same[0]} and {same[1]}: the same transcripts, given as those of two seeds")


def _reports(args: argparse.Namespace, paths: Sequence[Path]) -> list[list[ScoreReport]]:
    """Score each text; return a report for each unit."""
    references, utt2spk = transcripts_of(args.reference), _speakers(args)
    options = {"utt2spk": utt2spk, "missing_as_empty": args.missing_as_empty, "nlsyms": args.nlsyms}
    units = _UNITS[args.units or ("label" if any(map(_is_of_labels, paths)) else "both")]
    reports = []
    for path in paths:
        said = transcripts_of(path)
        try:
            reports.append([score(references, said, unit, **options) for unit in units])
        except ValueError as error:
            raise ValueError(f"{path} against {args.reference}: {error}") from None
    return reports


def _is_of_labels(path: Path) -> bool:
    """Whether a decoding's network labels whole utterances."""
    return RATE_KEYS["label"] in record_of(path)


def _speakers(args: argparse.Namespace) -> dict[str, str] | None:
    path = args.utt2spk
    if path is None and (args.reference / "utt2spk").is_file():
        path = args.reference / "utt2spk"
    if path is None and args.by_speaker:
        raise ValueError("--by-speaker needs --utt2spk, or a data directory as REF")
    return None if path is None else datadir.read_table(path)


def _columns(report: ScoreReport, args: argparse.Namespace) -> dict[str, Any]:
    """Return the bootstrap's arguments for a report, except for its errors."""
    return {
        "references": [one.counts.reference for one in report.utterances],
        "blocks": [one.speaker for one in report.utterances] if args.by_speaker else None,
        **bootstrap_of(args),
    }


def _interval(report: ScoreReport, args: argparse.Namespace) -> RateInterval:
    return bootstrap_rate([one.counts.errors for one in report.utterances], **_columns(report, args))


def _remark(report: ScoreReport, args: argparse.Namespace) -> str:
    if args.by_speaker:
        return remark(len({one.speaker for one in report.utterances}), "speakers")
    return remark(len(report.utterances), "utterances")


def _compare(first: ScoreReport, second: ScoreReport, args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Test the difference of two reports; return text and JSON values."""
    bootstrap = paired_bootstrap(
        [one.counts.errors for one in first.utterances],
        [one.counts.errors for one in second.utterances],
        **_columns(first, args),
    )
    pairs = mapsswe(
        (one.alignment, other.alignment)
        for one, other in zip(first.utterances, second.utterances, strict=True)
    )
    shown = text_report.comparison(first, second, text_report.Comparison(bootstrap, pairs))
    mean, z = pairs.second_minus_first()
    return shown, {
        "unit": first.unit,
        "direction": DIRECTION,
        "bootstrap": bootstrap.to_json(),
        "mapsswe": {**vars(pairs), "mean": mean, "z": z},
    }


def _over_seeds(reports: Sequence[ScoreReport]) -> str:
    """Compute mean and standard deviation of the reports' rates."""
    rates = [100 * report.rate for report in reports]
    return f"{reports[0].name} {statistics.fmean(rates):.2f} ± {statistics.stdev(rates):.2f} %"


def _compare_seeds(
    first: Sequence[ScoreReport], second: Sequence[ScoreReport], args: argparse.Namespace
) -> tuple[str, dict[str, Any]]:
    """Test the difference of two ways of training; return text and JSON values."""
    errors = [[[one.counts.errors for one in report.utterances] for report in way] for way in (first, second)]
    columns = _columns(first[0], args)
    found = compare_seeds(errors[1], errors[0], columns["references"], blocks=columns["blocks"])
    if found.interval is None or found.p_value is None:
        few = f"fewer than {MIN_SEEDS} seeds" if found.seeds < MIN_SEEDS else "a single utterance or speaker"
        tested = f"no interval and no p with {few}"
    else:
        low, high = (f"{100 * end:+.2f}" for end in found.interval)
        tested = f"95 % interval {low} to {high}, p = {text_report.p_value(found.p_value)}"
    line = f"{first[0].name}: second - first {100 * found.difference:+.2f} points, {tested}"
    return line, {"unit": first[0].unit, "direction": DIRECTION, **vars(found)}


def _finite(value: float) -> float | None:
    """Replace infinite values, which JSON does not have."""
    return value if math.isfinite(value) else None
