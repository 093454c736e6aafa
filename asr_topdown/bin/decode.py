"""`asr-topdown decode`: from features to transcripts, with one model or with all of an experiment."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown.bin import options

if TYPE_CHECKING:
    from asr_topdown.decode.model import TrainedModel
    from asr_topdown.decode_config import DecodeConfig

HELP = "write the transcripts of data directories, by one model or by every one of an experiment"
EXAMPLE = """
asr-topdown decode data/dev data/test --exp exp/a
asr-topdown decode data/test --model exp/a/nodes/0123456789abcdef --out decoded
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="+", type=Path, metavar="DIR", help="data directories with features")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--exp", type=Path, metavar="DIR", help="decode with every network of its studies")
    which.add_argument("--model", type=Path, metavar="DIR", help="decode with this network's folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="with --model: write OUT/<set>/text")
    options.add_config(parser, required=False)
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Decode what has not been decoded with these settings yet."""
    from asr_topdown.decode.model import load_trained

    if args.model is not None and args.out is None:
        raise ValueError("--model needs --out")
    wanted = _decode_config(args)
    for folder, out in _models(args):
        model = None
        for data in args.data:
            target = out / data.name
            if _is_done(target, folder, data, wanted, args.device):
                print(f"{target}: done already")
                continue
            model = model or load_trained(folder, args.device)
            print(_decode(model, data, target, wanted or model.config.decode), flush=True)


def _decode_config(args: argparse.Namespace) -> "DecodeConfig | None":
    if args.config is None and not args.overrides:
        return None
    if args.config is None:
        raise ValueError("--set needs --config")
    return options.read_config(args).decode


def _models(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """(model folder, where its transcripts go)."""
    from asr_topdown.topdown.store import Store

    if args.model is not None:
        yield args.model, args.out
        return
    store = Store(args.exp)
    nodes = {step.node for tag in store.tags() for result in store.load_results(tag) for step in result.steps}
    if not nodes:
        raise ValueError(f"{args.exp}: no results; run `asr-topdown topdown` first")
    for node in sorted(nodes):
        yield store.node_dir(node), args.exp / "decode" / node


def _settings(model: Path, data: Path, decode: "DecodeConfig", device: str) -> dict[str, Any]:
    """What a decoding is made with: if it is the same, so is the result."""
    from asr_topdown import datadir

    return {
        "model": str(model),
        "reference": str(data / "text"),
        "content": datadir.content_hash(data),
        "decode": decode.model_dump(mode="json"),
        "device": device,
    }


def _is_done(target: Path, model: Path, data: Path, decode: "DecodeConfig | None", device: str) -> bool:
    from asr_topdown import config as configuration
    from asr_topdown.files import read_json

    if not (target / "result.json").exists() or not (target / "text").exists():
        return False
    decode = decode or configuration.load(model / "config.yaml").decode
    made = read_json(target / "result.json")
    return all(made.get(key) == value for key, value in _settings(model, data, decode, device).items())


def _decode(model: "TrainedModel", data: Path, target: Path, decode: "DecodeConfig") -> str:
    """Decode one data directory; returns a line that says how it went."""
    from asr_topdown import datadir
    from asr_topdown.data.dataset import SpeechDataset
    from asr_topdown.decode.recognize import recognize, write_nbest
    from asr_topdown.files import write_json
    from asr_topdown.score.report import score

    dataset = SpeechDataset.read(data, model.vocabulary, model.cmvn)
    started = time.perf_counter()
    found = recognize(model.network, dataset, model.vocabulary, decode)
    seconds = time.perf_counter() - started
    spoken = sum(dataset.frames) * model.config.features.fbank.frame_shift_ms / 1000
    texts = {name: model.vocabulary.decode(result.best.ids) for name, result in found.items()}
    datadir.write_table(target / "text", texts)
    write_nbest(target, found, model.vocabulary, decode)
    reference = datadir.read_table(data / "text")
    rates = {
        "cer": score(reference, texts, "char", unscored=decode.unscored).rate,
        "wer": score(reference, texts, "word", unscored=decode.unscored).rate,
    }
    write_json(
        target / "result.json",
        {
            **_settings(model.folder, data, decode, str(model.device)),
            **rates,
            "node": model.folder.name,
            "set": data.name,
            "seconds": seconds,
            "audio_seconds": spoken,
            "real_time_factor": seconds / spoken,
        },
    )
    return (
        f"{target}: CER {100 * rates['cer']:.2f} %, WER {100 * rates['wer']:.2f} %, "
        f"real-time factor {seconds / spoken:.4f} on {model.device}"
    )
