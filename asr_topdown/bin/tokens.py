"""`asr-topdown tokens`: the output units of a recogniser, from the transcripts it is trained on."""

import argparse
import logging
from pathlib import Path

from asr_topdown.bin import options

log = logging.getLogger(__name__)

HELP = "list the output units (characters, words or subwords) of the training transcripts"
EXAMPLE = "asr-topdown tokens --config conf/blstm_ctc.yaml --train data/train --out data/tokens.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the configuration, the training data and the file of the units."""
    options.add_config(parser)
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="data directory to train on")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="where to write the list (tokens.txt); a SentencePiece model goes next to it (tokens.model)",
    )


def run(args: argparse.Namespace) -> None:
    """Write the units of the training transcripts, and print how many there are."""
    from asr_topdown import datadir, files
    from asr_topdown.config.unread import unread
    from asr_topdown.text import Vocabulary

    config = options.read_speech_config(args)
    files.check_not_read(args.out, [args.train, args.config])
    for line in unread(config, "text"):
        log.warning(line)
    text = config.text
    texts = datadir.read_transcripts(args.train / "text")
    try:
        vocabulary = Vocabulary.build(texts.values(), text.unit, text.vocab_size)
    except ValueError as error:
        raise ValueError(f"{args.train / 'text'}: {error}") from None
    files.remove_leftovers(args.out.parent)
    vocabulary.save(args.out)
    print(f"{args.out}: {len(vocabulary)} units of kind {text.unit}, <blank> and <unk> among them")
