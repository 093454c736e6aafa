"""Error rates and processor time of each `decode.precision`, a JSON line per network.

    python benchmarks/precision.py recognize exp/a/models/joint_seed1 data/dev data/test
    python benchmarks/precision.py encode

`recognize` decodes data directories with a trained network, as configured except for `--method`. `encode`
runs the encoders of two networks of the usual size, with random weights, on 1 and 8 utterances of 8 s. One
thread; the precisions take turns, and the minimum time of `--repeats` counts. The conversion to int8 is part
of `recognize`, and reported separately by `encode`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from asr_topdown import datadir
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import PRECISIONS, Precision
from asr_topdown.data.inputs import read_utterances
from asr_topdown.decode.model import TrainedModel, load_trained
from asr_topdown.decode.recognize import recognize
from asr_topdown.nn.precision import autocast
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.score.report import score

sys.path.append(str(Path(__file__).parent / "peers"))
from ours_worker import FEATURES, UNITS, _config

CPU = torch.device("cpu")


def in_turn(turns: Mapping[Precision, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Return the minimum seconds of each precision, and its speed relative to float32."""
    least = dict.fromkeys(turns, float("inf"))
    for _ in range(repeats):
        for name, turn in turns.items():
            began = time.process_time()
            turn()
            least[name] = min(least[name], time.process_time() - began)
    return {
        name: {"seconds": round(value, 3), "times": round(least["float32"] / value, 2)}
        for name, value in least.items()
    }


def recognized(model: TrainedModel, data: list[Path], precision: Precision, method: str) -> list[float]:
    """Measure the CER of each data directory, in percent."""
    changed = {"precision": precision, "method": method or model.config.decode.method}
    config, rates = model.config.decode.model_copy(update=changed), []
    for folder in data:
        utterances = read_utterances(folder, model.vocabulary, model.config.features, model.cmvn)
        found = recognize(model.network, utterances, model.vocabulary, config)
        texts = {name: model.vocabulary.decode(result.best.ids) for name, result in found.items()}
        reference = datadir.read_transcripts(folder / "text")
        rates.append(100 * score({name: reference[name] for name in texts}, texts, "char").rate)
    return rates


def encoders(repeats: int) -> None:
    """Measure the encoders of two networks of the usual size."""
    for name in ("blstm_ctc", "conformer_ctc_attention"):
        network = fresh_model(_config(name), UNITS, 0).eval()
        began = time.process_time()
        int8 = dynamic_int8(network, CPU)
        conversion = time.process_time() - began
        for utterances in (1, 8):
            feats, lengths = torch.randn(utterances, 800, FEATURES), torch.full((utterances,), 800)

            def turn(precision: Precision, feats: Any = feats, lengths: Any = lengths) -> Any:
                with torch.no_grad(), autocast(precision, CPU):
                    return (int8 if precision == "int8" else network).encode(feats, lengths)  # noqa: B023

            times = in_turn({one: lambda one=one: turn(one) for one in PRECISIONS}, repeats)  # type: ignore[misc]
            row = {"network": name, "utterances": utterances, "conversion": round(conversion, 2), **times}
            print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["recognize", "encode"])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--method", default="")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "encode":
        encoders(args.repeats)
        return
    model = load_trained(args.model)
    rates: dict[Precision, list[float]] = {}

    def turn(precision: Precision) -> None:
        rates[precision] = recognized(model, args.data, precision, args.method)

    times = in_turn({one: lambda one=one: turn(one) for one in PRECISIONS}, args.repeats)  # type: ignore[misc]
    rows = {one: {"cer": [round(rate, 2) for rate in rates[one]], **times[one]} for one in PRECISIONS}
    print(json.dumps({"model": str(args.model), **rows}))


if __name__ == "__main__":
    main()
