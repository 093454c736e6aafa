"""`asr-topdown prepare table`: recordings of one's own, in the forms that other toolkits have."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.corpora import split
from asr_topdown.corpora.normalise import NORMALISERS
from asr_topdown.corpora.table import KINDS, SPEAKER_SOURCES, Options, columns, prepare

if TYPE_CHECKING:
    from asr_topdown.datadir import DataDir

AddCorpus = Callable[[str, str, str], argparse.ArgumentParser]
"""(name, help, example) -> the subcommand's parser."""

_HELP = (
    "recordings of your own and their transcripts: CSV or TSV (Common Voice, Hugging Face, SpeechBrain), "
    "JSON (NeMo, "
    "ESPnet), lhotse, LibriSpeech, Kaldi, a text file beside each sound file"
)
_EXAMPLE = (
    "--source recordings/text.tsv --normalise basic --split train:0.8,dev:0.1,test:0.1 --split-by speaker "
    "--out data"
)


def add_arguments(add: AddCorpus) -> None:
    """Declare the subcommand."""
    parser = add("table", _HELP, _EXAMPLE)
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="PATH",
        help="the table, or the folder that holds the transcripts",
    )
    parser.add_argument(
        "--audio", type=Path, metavar="DIR", help="folder with the sound files (default: that of the table)"
    )
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        help="of the recordings, for the cards of models that are trained on them",
    )
    _add_reading(parser)
    _add_splitting(parser)
    parser.set_defaults(prepare=_prepare)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=KINDS, help="what the source is (default: what it looks like)")
    parser.add_argument(
        "--columns",
        default="",
        metavar="USE=HEADING,...",
        help=f"which column is what, where headings are unusual; uses: {', '.join(columns.NAMES)}",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="of the text, such as latin-1 (default: UTF-8, or by its first bytes)",
    )
    parser.add_argument(
        "--speaker-from",
        choices=SPEAKER_SOURCES,
        help="the table's column, the folder a file lies in, its name up to - or _, or none: each utterance "
        "its own "
        "(default: what the table says)",
    )
    parser.add_argument(
        "--normalise",
        choices=tuple(NORMALISERS),
        default="none",
        help="none: white space only; basic: any language, lower case without punctuation; english: and "
        "numbers as "
        "words (default: %(default)s)",
    )
    parser.add_argument(
        "--sample-rate", type=int, metavar="HZ", help="resample all sound (default: it must be alike)"
    )
    parser.add_argument("--channel", type=int, metavar="N", help="of sound files with two, counted from 0")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out rows whose sound is missing or cannot be read"
    )


def _add_splitting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", metavar="NAME:SHARE,...", help="several sets (default: one)")
    parser.add_argument(
        "--split-by",
        choices=tuple(split.BY),
        default="transcript",
        help="transcript: no sentence in two sets; stratified: nor that, and every speaker in each; "
        "speaker: no speaker "
        "in two; both: neither (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="splits in another way (default: %(default)s)")


def _prepare(args: argparse.Namespace) -> "Sequence[DataDir]":
    options = Options(
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
    division = split.Division(split.parse_parts(args.split), args.split_by, args.seed) if args.split else None
    return prepare(args.out, source=args.source, options=options, division=division)
