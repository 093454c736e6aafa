"""`asr-topdown prepare`: from a corpus as distributed to Kaldi data directories, or to texts."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.bin import options, prepare_calls, prepare_table, prepare_text
from asr_topdown.bin.subcommands import Subparsers, add_corpus, add_downloads, add_source, checked_table
from asr_topdown.corpora import an4, fsdd, fsdd_labels, kaldi, librispeech, licences, mboshi, prompts, wsj
from asr_topdown.datadir import DataDir

HELP = "make Kaldi data directories from a corpus"
EXAMPLE = "asr-topdown prepare prompts --out data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for each corpus."""
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    _add_prompts(corpora)
    _add_fsdd(corpora)
    _add_an4(corpora)
    _add_mboshi(corpora)
    _add_librispeech(corpora)
    _add_wsj(corpora)
    prepare_calls.add_arguments(corpora)
    prepare_text.add_arguments(corpora)
    prepare_table.add_arguments(corpora)
    _add_kaldi(corpora)


def run(args: argparse.Namespace) -> None:
    """Write the data directories or texts, check the former, and print a table of them."""
    parts: Sequence[DataDir] = args.prepare(args)
    known = licences.LICENCES.get(f"{args.corpus} {getattr(args, 'language', '')}")
    licence = getattr(args, "licence", None) or known or licences.LICENCES.get(args.corpus)

    def check(part: DataDir) -> None:
        datadir.validate(part.path)
        if licence:
            licences.write(part.path, licence)

    if parts:
        print(checked_table(parts, check))


def _add_prompts(corpora: Subparsers) -> None:
    help_ = "telephone prompts in one of five languages, one speaker (Asterisk core sounds): train, dev, test"
    parser = add_corpus(corpora, "prompts", help_, "--out data")
    parser.add_argument(
        "--language",
        choices=prompts.VOICES,
        default="en",
        help="English, Spanish, French, Italian or Russian (default: en)",
    )
    add_source(parser, "prompts", "the sounds")
    parser.add_argument(
        "--long-seconds",
        type=options.positive,
        default=prompts.LONG_SECONDS,
        metavar="S",
        help="longer recordings all go to train (default: %(default)g)",
    )
    parser.set_defaults(
        prepare=lambda args: prompts.prepare(
            args.out,
            language=args.language,
            prompts=args.prompts,
            downloads=args.downloads,
            long_seconds=args.long_seconds,
        )
    )


def _add_fsdd(corpora: Subparsers) -> None:
    help_ = "spoken digits, connected or one by one, six speakers, six folds (Free Spoken Digit Dataset)"
    parser = add_corpus(corpora, "fsdd", help_, "--out data/fold0 --fold 0")
    add_source(parser, "fsdd", "the recordings")
    parser.add_argument(
        "--fold",
        type=int,
        default=0,
        metavar="K",
        help="0 to 5: the test speaker; the next one is the dev set; with --task speaker, the "
        "recordings to test on (default: 0)",
    )
    parser.add_argument(
        "--task",
        choices=("connected", *fsdd_labels.TASKS),
        default="connected",
        help="connected: strings of digits; digit or speaker: single recordings with that label "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random order in which recordings are joined (default: 0)"
    )
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="use each training recording N times (default: 1)"
    )
    parser.set_defaults(prepare=_prepare_fsdd)


def _prepare_fsdd(args: argparse.Namespace) -> Sequence[DataDir]:
    if args.task == "connected":
        return fsdd.prepare(
            args.out,
            fsdd=args.fsdd,
            downloads=args.downloads,
            fold=args.fold,
            seed=args.seed,
            repeats=args.repeats,
        )
    if args.seed or args.repeats != 1:
        raise ValueError(f"--seed and --repeats join recordings, and --task {args.task} does not")
    return fsdd_labels.prepare(
        args.out, task=args.task, source=args.fsdd, downloads=args.downloads, fold=args.fold
    )


def _add_an4(corpora: Subparsers) -> None:
    help_ = "addresses, names and numbers, 84 speakers, 50 minutes (CMU AN4): train, dev, test"
    parser = add_corpus(corpora, "an4", help_, "--out data")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--an4", type=Path, metavar="DIR", help="folder with etc and wav (default: download them)"
    )
    source.add_argument(
        "--feats",
        type=Path,
        metavar="DIR",
        help="folder with data directories train and test of features, without audio (features.kind: given)",
    )
    add_downloads(parser)
    parser.set_defaults(
        prepare=lambda args: (
            an4.from_features(args.out, args.feats)
            if args.feats
            else an4.prepare(args.out, an4=args.an4, downloads=args.downloads)
        )
    )


def _add_mboshi(corpora: Subparsers) -> None:
    help_ = "4.5 hours of read Mboshi, three speakers: train, dev, test"
    parser = add_corpus(corpora, "mboshi", help_, "--out data")
    add_source(parser, "mboshi", "full_corpus_newsplit", them="it")
    parser.add_argument(
        "--partial", action="store_true", help="accept a copy with fewer utterances or different transcripts"
    )
    parser.add_argument(
        "--sample-rate",
        type=options.count,
        metavar="HZ",
        help="resample the audio (default: 16000, as recorded)",
    )
    parser.set_defaults(
        prepare=lambda args: mboshi.prepare(
            args.out,
            mboshi=args.mboshi,
            downloads=args.downloads,
            partial=args.partial,
            sample_rate=args.sample_rate,
        )
    )


def _add_librispeech(corpora: Subparsers) -> None:
    help_ = "audiobooks, 5 to 960 hours (LibriSpeech): train, and dev and test, clean and other"
    parser = add_corpus(corpora, "librispeech", help_, "--parts 100 --out data/100")
    parser.add_argument(
        "--parts",
        required=True,
        choices=librispeech.PARTS,
        help="hours of training data; mini: five, with dev_clean_2 as the dev set",
    )
    add_source(parser, "librispeech", "train-clean-100 and so on")
    parser.add_argument("--partial", action="store_true", help="accept a copy with fewer utterances")
    parser.set_defaults(
        prepare=lambda args: librispeech.prepare(
            args.out,
            parts=args.parts,
            librispeech=args.librispeech,
            downloads=args.downloads,
            partial=args.partial,
        )
    )


def _add_wsj(corpora: Subparsers) -> None:
    help_ = "Wall Street Journal, from LDC's discs of WSJ0 and WSJ1: train_si84, train_si284, test_dev93, …"
    parser = add_corpus(
        corpora, "wsj", help_, "--wsj0 /corpora/LDC93S6B --wsj1 /corpora/LDC94S13B --out data"
    )
    for corpus in ("wsj0", "wsj1"):
        parser.add_argument(
            f"--{corpus}",
            type=Path,
            nargs="+",
            default=[],
            metavar="DIR",
            help=f"folders with discs of {corpus.upper()}",
        )
    parser.add_argument(
        "--sets",
        nargs="+",
        default=[],
        metavar="SET",
        help=f"only these of {', '.join(part.name for part in wsj.SETS)} (default: all that are present)",
    )
    parser.set_defaults(
        prepare=lambda args: wsj.prepare(args.out, roots=[*args.wsj0, *args.wsj1], sets=args.sets)
    )


def _add_kaldi(corpora: Subparsers) -> None:
    parser = add_corpus(
        corpora, "kaldi", "a Kaldi data directory as it is", "--source ~/kaldi/data/train --out data/train"
    )
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="the data directory")
    parser.set_defaults(prepare=lambda args: kaldi.prepare(args.out, source=args.source))
