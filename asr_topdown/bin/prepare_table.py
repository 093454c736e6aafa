"""`asr-topdown prepare table`: your own recordings, in other toolkits' formats."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import options
from asr_topdown.bin.subcommands import Subparsers, add_corpus
from asr_topdown.corpora import split
from asr_topdown.corpora.normalise import NORMALISERS
from asr_topdown.corpora.table import KINDS, SPEAKER_SOURCES, Options, columns, prepare

if TYPE_CHECKING:
    from asr_topdown.datadir import DataDir


_HELP = (
    "your own recordings and their transcripts: CSV or TSV (Common Voice, Hugging Face, SpeechBrain), "
    "JSON (NeMo, ESPnet), lhotse, LibriSpeech, Kaldi, a text file next to each audio file"
)
_EXAMPLE = (
    "--source recordings/text.tsv --normalise basic --split train:0.8,dev:0.1,test:0.1 --split-by speaker "
    "--out data"
)


def add_arguments(corpora: Subparsers) -> None:
    """Declare the subcommand."""
    parser = add_corpus(corpora, "table", _HELP, _EXAMPLE)
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="PATH",
        help="the table, or the folder that holds the transcripts",
    )
    parser.add_argument(
        "--audio", type=Path, metavar="DIR", help="folder with the audio files (default: that of the table)"
    )
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        help="licence of the recordings, for the cards of models trained on them",
    )
    _add_reading(parser)
    _add_splitting(parser)
    parser.set_defaults(prepare=_prepare)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=KINDS, help="format of the source (default: detected)")
    parser.add_argument(
        "--columns",
        default="",
        metavar="USE=HEADING,...",
        help=f"the meaning of columns with unusual headings: {', '.join(columns.NAMES)}",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="of the text, such as latin-1 (default: UTF-8, or as its first bytes indicate)",
    )
    parser.add_argument(
        "--speaker-from",
        choices=SPEAKER_SOURCES,
        help="the table's column, the folder of a file, its name up to - or _, or none: each utterance is "
        "its own speaker (default: as the source specifies)",
    )
    parser.add_argument(
        "--normalise",
        choices=tuple(NORMALISERS),
        default="none",
        help="none: white space only; basic: any language, lower case without punctuation; english: also "
        "spells out numbers (default: %(default)s)",
    )
    parser.add_argument(
        "--sample-rate",
        type=int,
        metavar="HZ",
        help="resample all audio (default: all must have the same rate)",
    )
    parser.add_argument("--channel", type=int, metavar="N", help="channel of files with two, counted from 0")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows whose audio is missing or cannot be read"
    )


def _add_splitting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", metavar="NAME:SHARE,...", help="divide into several sets (default: one)")
    parser.add_argument(
        "--split-by",
        choices=tuple(split.BY),
        help="transcript: no sentence in two sets; stratified: the same, with every speaker in each set; "
        "speaker: no speaker in two sets; both: no sentence and no speaker in two (default: transcript)",
    )
    parser.add_argument("--seed", type=int, help="of the random split (default: 0)")


def _prepare(args: argparse.Namespace) -> "Sequence[DataDir]":
    if not args.split:
        options.refuse(args, ("split_by", "seed"), "needs --split")
    reading = Options(
        sounds=args.audio,
        kind=args.kind,
        columns=columns.parse(args.columns),
        encoding=args.encoding,
        speaker_from=args.speaker_from,
        normalise=args.normalise,
        sample_rate=args.sample_rate,
        channel=args.channel,
        skip_bad=args.skip_bad,
    )
    division = None
    if args.split:
        parts = split.parse_parts(args.split)
        division = split.Division(parts, args.split_by or "transcript", args.seed or 0)
    return prepare(args.out, source=args.source, options=reading, division=division)
