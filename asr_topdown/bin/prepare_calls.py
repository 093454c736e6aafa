"""`asr-topdown prepare swbd`, `eval2000` and `rt03`: telephone calls."""

import argparse
from pathlib import Path

from asr_topdown.bin import options
from asr_topdown.bin.subcommands import Subparsers, add_corpus, add_downloads
from asr_topdown.corpora import eval2000, rt03, swbd


def add_arguments(corpora: Subparsers) -> None:
    """Declare the three subcommands."""
    _add_swbd(corpora)
    _add_eval2000(corpora)
    _add_rt03(corpora)


def _add_swbd(corpora: Subparsers) -> None:
    help_ = "Switchboard-1, 300 hours of telephone calls (LDC97S62) with the MS98 transcripts: train, dev"
    parser = add_corpus(corpora, "swbd", help_, "--swbd /corpora/LDC97S62 --out data")
    parser.add_argument("--swbd", type=Path, required=True, metavar="DIR", help="folder with the .sph files")
    parser.add_argument(
        "--transcripts",
        type=Path,
        metavar="DIR",
        help="the MS98 transcripts (default: in --swbd, or download)",
    )
    add_downloads(parser)
    parser.add_argument(
        "--conv-tab", type=Path, metavar="FILE", help="conv_tab.csv, to identify callers by PIN"
    )
    parser.add_argument(
        "--dev-utterances",
        type=options.count,
        default=4000,
        metavar="N",
        help="the first N are dev (default: 4000)",
    )
    _add_sample_rate(parser)
    parser.set_defaults(
        prepare=lambda args: swbd.prepare(
            args.out,
            swbd=args.swbd,
            text=args.transcripts,
            downloads=args.downloads,
            conv_tab=args.conv_tab,
            dev_utterances=args.dev_utterances,
            sample_rate=args.sample_rate,
        )
    )


def _add_eval2000(corpora: Subparsers) -> None:
    help_ = "2000 Hub-5 English evaluation (LDC2002S09, LDC2002T43): eval2000, with stm and glm for scoring"
    parser = add_corpus(
        corpora, "eval2000", help_, "--folders /corpora/LDC2002S09 /corpora/LDC2002T43 --out data"
    )
    parser.add_argument(
        "--folders", type=Path, nargs="+", required=True, metavar="DIR", help="audio and transcripts"
    )
    _add_sample_rate(parser)
    parser.set_defaults(
        prepare=lambda args: eval2000.prepare(args.out, folders=args.folders, sample_rate=args.sample_rate)
    )


def _add_rt03(corpora: Subparsers) -> None:
    help_ = "2003 Rich Transcription evaluation, telephone speech (LDC2007S10): rt03, with stm and glm"
    parser = add_corpus(corpora, "rt03", help_, "--rt03 /corpora/LDC2007S10 --out data")
    parser.add_argument("--rt03", type=Path, required=True, metavar="DIR", help="the unpacked corpus")
    _add_sample_rate(parser)
    parser.set_defaults(
        prepare=lambda args: rt03.prepare(args.out, rt03=args.rt03, sample_rate=args.sample_rate)
    )


def _add_sample_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sample-rate",
        type=options.count,
        metavar="HZ",
        help="resample the audio (16000 as in ESPnet; default: 8000, as recorded)",
    )
