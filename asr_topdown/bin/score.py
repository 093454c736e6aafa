"""`asr-topdown score`: error rates of transcripts, and whether two systems differ."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_topdown import datadir, files
from asr_topdown.bin import options, score_hub5
from asr_topdown.bin.scored import Scored
from asr_topdown.score import text_report
from asr_topdown.score.errors import Unit
from asr_topdown.score.mapsswe import mapsswe
from asr_topdown.score.report import ScoreReport, score
from asr_topdown.score.significance import RateInterval, bootstrap_rate, paired_bootstrap

HELP = "count word and character errors, with confidence intervals; compare systems; perplexity"
EXAMPLE = """
asr-topdown score data/test exp/a/decode/0123456789abcdef/test --report errors.txt
asr-topdown score data/test joint/text --compare topdown/text --units both
asr-topdown score data/test --exp exp/a
asr-topdown score data/test.txt --exp exp/lm
asr-topdown score data/eval2000 --exp exp/a --stm data/eval2000/stm --glm data/eval2000/glm
"""
_UNITS: Mapping[str, tuple[Unit, ...]] = {"word": ("word",), "char": ("char",), "both": ("word", "char")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REF",
        help="Kaldi text file, or a folder that holds one; for language models (--exp) a text",
    )
    parser.add_argument("hypothesis", type=Path, nargs="?", metavar="HYP", help="likewise, of the system")
    parser.add_argument(
        "--exp",
        type=Path,
        metavar="DIR",
        help="instead of HYP: each seed of an experiment's studies, joint against top-down; written to "
        "EXP/results/REF as well, with the alignments",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="HYP2", help="a second system, tested against the first"
    )
    parser.add_argument("--units", choices=_UNITS, default="both", help="what is counted")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write alignments, confusions and more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all counts")
    parser.add_argument(
        "--utt2spk", type=Path, metavar="FILE", help="speakers; found by itself where REF is a data directory"
    )
    parser.add_argument(
        "--missing-as-empty", action="store_true", help="a missing hypothesis is an empty one"
    )
    parser.add_argument(
        "--nlsyms",
        nargs="+",
        default=[],
        metavar="TAG",
        help="tags such as '<NOISE>' that are left out on both sides (ESPnet's non-linguistic symbols); with "
        "--exp the decode.nlsyms of the decodings",
    )
    parser.add_argument(
        "--by-speaker", action="store_true", help="bootstrap draws speakers, not single utterances"
    )
    parser.add_argument("--resamples", type=int, default=10_000, metavar="N", help="bootstrap draws")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    options.add_device(parser)
    score_hub5.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Score one or two systems, or the studies of an experiment."""
    if args.resamples < 1:
        raise ValueError(f"--resamples {args.resamples} must be at least 1")
    if (args.exp is None) == (args.hypothesis is None):
        raise ValueError("give either HYP or --exp")
    if args.exp is not None:
        from asr_topdown.bin import score_experiment

        if args.compare or args.report or args.json or args.nlsyms:
            raise ValueError("--compare, --report, --json and --nlsyms need HYP, not --exp")
        score_experiment.run(args)
        return
    scored = score_systems(args, [path for path in (args.hypothesis, args.compare) if path is not None])
    print(scored.text)
    if args.report is not None:
        files.write_text(args.report, "\n".join(scored.alignments))
    if args.json is not None:
        files.write_json(args.json, scored.document)


def score_systems(args: argparse.Namespace, paths: Sequence[Path]) -> Scored:
    """Score one or two systems' transcripts, and test their difference."""
    if score_hub5.is_asked(args):
        return score_hub5.score_systems(args, paths)
    references, utt2spk = _transcripts(args.reference), _speakers(args)
    reports = [
        [
            score(
                references,
                _transcripts(path),
                unit,
                utt2spk=utt2spk,
                missing_as_empty=args.missing_as_empty,
                nlsyms=args.nlsyms,
            )
            for unit in _UNITS[args.units]
        ]
        for path in paths
    ]
    scored = Scored([], {"reference": str(args.reference), "systems": []}, [])
    for path, of_units in zip(paths, reports, strict=True):
        intervals = [_interval(report, args) for report in of_units]
        scored.lines.append(f"{path}: {len(references)} utterances")
        scored.lines.append(text_report.summary(of_units, intervals))
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


def _transcripts(path: Path) -> dict[str, str]:
    return datadir.read_transcripts(path / "text" if path.is_dir() else path)


def _speakers(args: argparse.Namespace) -> dict[str, str] | None:
    path = args.utt2spk
    if path is None and (args.reference / "utt2spk").is_file():
        path = args.reference / "utt2spk"
    if path is None and args.by_speaker:
        raise ValueError("--by-speaker needs --utt2spk, or a data directory as REF")
    return None if path is None else datadir.read_table(path)


def _columns(report: ScoreReport, args: argparse.Namespace) -> dict[str, Any]:
    """What the bootstrap needs of a report besides its errors."""
    return {
        "references": [one.counts.reference for one in report.utterances],
        "blocks": [one.speaker for one in report.utterances] if args.by_speaker else None,
        "resamples": args.resamples,
        "seed": args.seed,
    }


def _interval(report: ScoreReport, args: argparse.Namespace) -> RateInterval:
    return bootstrap_rate([one.counts.errors for one in report.utterances], **_columns(report, args))


def _compare(first: ScoreReport, second: ScoreReport, args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The tests of one pair of reports, as text and as plain values."""
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
    numbers = {name: _finite(value) for name, value in vars(bootstrap).items()}
    return shown, {"unit": first.unit, "bootstrap": numbers, "mapsswe": vars(pairs)}


def _finite(value: float) -> float | None:
    """As JSON can hold it."""
    return value if math.isfinite(value) else None
