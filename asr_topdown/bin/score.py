"""`asr-topdown score`: error rates of transcripts, and tests of the difference of two systems."""

import argparse
from pathlib import Path

from asr_topdown.bin import options

HELP = "count word and character errors, with confidence intervals; compare systems; perplexity"
EXAMPLE = """
asr-topdown score data/test exp/a/decode/0123456789abcdef/test --report errors.txt
asr-topdown score data/test joint/text --compare topdown/text --units both
asr-topdown score data/test joint_seed{1,2,3} --compare topdown_seed{1,2,3}
asr-topdown score data/test --exp exp/a
asr-topdown score data/test.txt --exp exp/lm
asr-topdown score data/eval2000 --exp exp/a --stm data/eval2000/stm --glm data/eval2000/glm
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of all ways to score; `run` finds out which is asked for."""
    _add_systems(parser)
    _add_counting(parser)
    _add_bootstrap(parser)
    parser.add_argument(
        "--device", metavar="NAME", help="for language models: cpu, cuda or cuda:N (default: cpu)"
    )
    _add_hub5(parser)


def _add_systems(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reference",
        type=Path,
        metavar="REF",
        help="Kaldi text file, or a folder that holds one; for language models (--exp) a text",
    )
    parser.add_argument(
        "hypothesis",
        type=Path,
        nargs="*",
        metavar="HYP",
        help="the system's output, likewise; several are the seeds of one way of training",
    )
    parser.add_argument(
        "--exp",
        type=options.folder,
        metavar="DIR",
        help="instead of HYP: each seed of an experiment's studies, joint against top-down; also written to "
        "EXP/results/REF/TAG.txt and .json, with the alignments next to them",
    )
    parser.add_argument(
        "--results", nargs="+", metavar="TAG", help="with --exp: only these studies (default: all)"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="HYP2",
        help="a second system to test against the first: as many seeds of another way of training, in the "
        "same order; differences are second - first, so negative if it has fewer errors",
    )


def _add_counting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--units",
        choices=("word", "char", "both", "label"),
        help="what to count (default: label if the decodings are labels, otherwise both)",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write alignments, confusions and more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all counts")
    parser.add_argument(
        "--utt2spk",
        type=Path,
        metavar="FILE",
        help="speakers; found automatically if REF is a data directory",
    )
    parser.add_argument("--missing-as-empty", action="store_true", help="count a missing hypothesis as empty")
    parser.add_argument(
        "--nlsyms",
        nargs="+",
        default=[],
        metavar="TAG",
        help="tags such as '<NOISE>' to remove on both sides (ESPnet's non-linguistic symbols); default with "
        "--exp: the decode.nlsyms of the decodings",
    )


def _add_bootstrap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by-speaker", action="store_true", help="bootstrap over speakers instead of utterances"
    )
    parser.add_argument("--resamples", type=int, metavar="N", help="bootstrap draws (default: 10000)")
    parser.add_argument("--seed", type=options.seed, help="of the bootstrap (default: 0)")


def _add_hub5(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "Hub-5", "NIST's scoring of telephone speech; ids tell call, side, times"
    )
    group.add_argument("--stm", type=Path, metavar="FILE", help="the reference, instead of REF's transcripts")
    group.add_argument("--glm", type=Path, metavar="FILE", help="mapping rules, for both sides")
    group.add_argument(
        "--hubscr", action="store_true", help="also run NIST's hubscr.pl, and report whether it agrees"
    )


def run(args: argparse.Namespace) -> None:
    """Score one or two systems, or the studies of an experiment."""
    from asr_topdown import files
    from asr_topdown.bin import score_hub5
    from asr_topdown.bin.score_systems import score_seeds, score_systems

    _check(args)
    if args.exp is not None:
        from asr_topdown.bin import score_experiment

        score_experiment.run(args)
        return
    for out in filter(None, (args.report, args.json)):
        files.check_not_read(out, [args.reference, *args.hypothesis, *args.compare])
    if len(args.hypothesis) > 1 or len(args.compare) > 1:
        if score_hub5.is_asked(args) or args.report:
            raise ValueError("--report, --stm, --glm and --hubscr take one HYP (and one HYP2)")
        scored = score_seeds(args, args.hypothesis, args.compare)
    else:
        scored = score_systems(args, [*args.hypothesis, *args.compare])
    print(scored.text)
    for out in filter(None, (args.report, args.json)):
        files.remove_leftovers(out.parent)
    if args.report is not None:
        files.write_text(args.report, "\n".join(scored.alignments))
    if args.json is not None:
        files.write_json(args.json, scored.document)


def _check(args: argparse.Namespace) -> None:
    """Refuse what does not fit together; an option that would be ignored is not taken for heeded."""
    from asr_topdown.bin import score_hub5
    from asr_topdown.bin.scored import BOOTSTRAP, COUNTING

    if args.resamples is not None and args.resamples < 1:
        raise ValueError(f"--resamples {args.resamples} must be at least 1")
    if (args.exp is None) == (not args.hypothesis):
        raise ValueError("give either HYP or --exp")
    if args.exp is None:
        options.refuse(args, ("results",), "needs --exp, not HYP")
        options.refuse(args, ("device",), "is for language models (--exp)")
    else:
        options.refuse(args, ("compare", "report", "json", "nlsyms"), "needs HYP, not --exp")
    if score_hub5.is_asked(args):
        options.refuse(args, COUNTING, "has no effect on NIST's scoring with --stm and --glm")
    if len(args.hypothesis) > 1:
        options.refuse(
            args, BOOTSTRAP, "has no effect on several seeds, which are compared without a bootstrap"
        )
        if not args.compare:
            options.refuse(args, ("by_speaker",), "needs --compare with several HYP")
