"""`asr-topdown cka`: similarity of the layers of two trained networks."""

import argparse
from pathlib import Path

from asr_topdown.bin import options

HELP = "measure how alike the layers of two networks are, over the same speech (linear CKA)"
EXAMPLE = """
asr-topdown cka exp/a/models/joint_seed1 exp/a/models/joint_seed2 data/dev --out alike
asr-topdown cka exp/a/models/{joint,final}_seed1 data/dev data/test --layers 'blstm.*' --out alike
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two models, the data they are compared on and the folder of the table."""
    parser.add_argument("first", type=Path, metavar="MODEL_A", help="folder of a trained network")
    parser.add_argument("second", type=Path, metavar="MODEL_B", help="of another, or the same")
    parser.add_argument("data", nargs="+", type=Path, metavar="DIR", help="data directories with features")
    parser.add_argument(
        "--out", type=options.folder, required=True, metavar="DIR", help="gets cka.json, cka.csv and cka.png"
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=["*"],
        metavar="LAYERS",
        help="of both: names, ranges (blstm.0-2), globs (enc.*), bottom:3, top:1 (default: all)",
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Print and write the table, with a row for each layer of MODEL_A."""
    from asr_topdown.decode.model import content_hash, load_trained
    from asr_topdown.engines.parts import one_thread
    from asr_topdown.logs import log_to_stderr
    from asr_topdown.probing import cka
    from asr_topdown.probing.layer_outputs import readable_layers
    from asr_topdown.report import markdown
    from asr_topdown.report.probing import write_cka
    from asr_topdown.schedule import layer_patterns

    log_to_stderr()
    folders = args.first, args.second
    first, second = (load_trained(folder, args.device) for folder in folders)
    everything = [readable_layers(model.network) for model in (first, second)]
    rows, columns = (
        layer_patterns.match(known, args.layers, what=f"--layers, {folder}")
        for known, folder in zip(everything, folders, strict=True)
    )
    with one_thread():
        values, frames = cka.compare((first, second), args.data, (rows, columns))
    settings = {
        "models": [str(folder) for folder in folders],
        "contents": [content_hash(folder) for folder in folders],
        "data": [str(folder) for folder in args.data],
        "frames": frames,
    }
    names = f"layer of {args.first.name}", f"layer of {args.second.name}"
    table = write_cka(settings, rows, columns, values.tolist(), args.out, names)
    print(markdown.table(table))
    print(f"{args.out}: cka.json, cka.csv, cka.png, from {frames} frames")
