"""Whether oneDNN's float32 matrix product is faster here than PyTorch's own, and what a training makes of it.

For the products of training steps, with batches as in `train_step.py`, GFLOP/s on the CPU by both libraries,
the best of `--repeats` that take turns; of oneDNN also for the first product of a shape, for which it must
prepare code; and which of them `run.matrix_product: auto` takes (`asr_topdown/nn/matrix_product.py`). Prints
JSON lines, the choice first, or a table.

    python benchmarks/matrix_product.py --table
    MKL_ENABLE_INSTRUCTIONS=AVX2 python benchmarks/matrix_product.py

The second holds MKL back to half of a processor with AVX-512, as a processor that it does not know does.
"""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from tables import table

from asr_topdown.nn import matrix_product
from asr_topdown.nn.matrix_product import Choices
from asr_topdown.nn.reuse import keep_memory_and_kernels


class Layer(NamedTuple):
    """A linear layer of a family at 16 utterances of 800 frames with 80 labels."""

    family: str
    what: str
    rows: int
    inputs: int
    outputs: int


LAYERS = [
    Layer("BLSTM", "first projection", 12800, 640, 320),
    Layer("BLSTM, VGG", "projection, time / 4", 3200, 640, 320),
    Layer("BLSTM, VGG", "CTC output", 3200, 320, 50),
    Layer("BLSTM, VGG with attention", "memory", 3200, 320, 320),
    Layer("BLSTM, VGG with attention", "labels", 1296, 320, 1280),
    Layer("Transformer", "front end", 3184, 5120, 256),
    Layer("Transformer", "query, key, value", 3184, 256, 768),
    Layer("Transformer", "feed-forward in", 3184, 256, 2048),
    Layer("Transformer", "feed-forward out", 3184, 2048, 256),
    Layer("Transformer", "labels' feed-forward in", 1296, 256, 2048),
    Layer("Transformer", "output, 5000 units", 1296, 256, 5000),
]


def measured(layer: Layer, choices: Choices, repeats: int) -> Iterator[dict[str, object]]:
    """Measure its three products."""
    x, grad = torch.randn(layer.rows, layer.inputs), torch.randn(layer.rows, layer.outputs)
    weight = torch.randn(layer.outputs, layer.inputs)
    for layout, operands in matrix_product.LAYOUTS.items():
        a, b = operands(x, grad, weight)
        calls = {"torch": partial(torch.mm, a, b), "onednn": partial(matrix_product.by_onednn, a, b)}
        rounds = [
            {name: matrix_product.seconds(call, clock=matrix_product.clock()) for name, call in calls.items()}
            for _ in range(repeats + 1)
        ]
        gflop = 2e-9 * len(a) * b.numel()
        yield {
            **layer._asdict(),
            "product": layout,
            **{name: round(gflop / min(one[name] for one in rounds[1:])) for name in calls},
            "onednn_first": round(gflop / rounds[0]["onednn"]),
            "choice": "onednn" if matrix_product.goes_to_onednn(choices, a, b) else "torch",
        }


def main() -> None:
    """Choose, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="at least 1")
    parser.add_argument("--table", action="store_true", help="Markdown instead of JSON")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory_and_kernels()  # as in every training
    if "onednn" not in matrix_product.libraries():
        parser.exit(1, "this PyTorch has no oneDNN: there is nothing to choose\n")
    choices = matrix_product.choose("auto")
    found = matrix_product.rates(2048, repeats=3, clock=matrix_product.clock())
    square = {name: round(rate / 1e9) for name, rate in found.items()}
    print(json.dumps({"choice": matrix_product.described(choices), "square_gflops": square}), flush=True)
    lines = (line for layer in LAYERS for line in measured(layer, choices, args.repeats))
    if args.table:
        head = ["family", "layer", "rows:", "in:", "out:", "product", "torch:", "oneDNN:", "first:", "choice"]
        print(table(head, [list(map(str, line.values())) for line in lines]))
        return
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
