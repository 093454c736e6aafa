"""Seconds per utterance of joint CTC-attention beam search, compared with ESPnet and SpeechBrain.

Utterances of 8 seconds (800 frames x 83 features), a vocabulary of 50, beam 10, CTC weight 0.3, random
weights; every search is forced to run for 60 labels with the full beam. Measured from features to labels,
including the encoder, for one utterance and for a batch of 16. The networks are those of `train_step.py`;
ESPnet searches one utterance after another, with its Transformer's hypotheses as a batch. Both peers score
with CTC only the 15 best labels after each hypothesis, ours all of them.

Toolkits take turns. Prints one JSON line per case: `contestants` with the median, minimum and maximum seconds
per utterance; `times_faster`, the fastest peer's median over each of ours.

    benchmarks/peers.sh
    python benchmarks/decode.py --models blstm_ctc_attention transformer_ctc_attention --batch 1 16
"""

import argparse
import json
import sys

from contest import ContestantError, Turn, Worker, Workers, add_arguments, alternate, ratios, summary

MODELS = ["blstm_ctc_attention", "vgg_ctc_attention", "transformer_ctc_attention"]
PRECISIONS = ["float32", "bfloat16", "int8"]


def measure(workers: Workers, model: str, batch: int, args: argparse.Namespace) -> dict[str, object]:
    """Measure one case with all toolkits."""
    case = {"model": model, "device": args.device}
    turns: dict[str, Turn] = {}
    for toolkit, worker in workers.items():
        worker("build", **case, lengths="equal", scale=args.scale, clock=args.clock)
        precisions = args.precision if toolkit == "ours" else ["float32"]
        search = {"beam": args.beam, "ctc_weight": args.ctc_weight, "tokens": args.tokens}
        worker("prepare_search", **search, int8="int8" in precisions)
        for precision in precisions:
            turns[f"{toolkit} {precision}"] = _search(worker, precision, batch, args.tokens)
    times = alternate(turns, args)
    settings = {
        "batch": batch,
        "threads": args.threads,
        "clock": args.clock,
        "beam": args.beam,
        "ctc_weight": args.ctc_weight,
    }
    return {
        **case,
        **settings,
        "tokens": args.tokens,
        "contestants": summary(times),
        "times_faster": ratios(times),
    }


def _search(worker: Worker, precision: str, batch: int, tokens: int) -> Turn:
    """Return seconds per utterance; check that every best hypothesis has the required number of labels."""

    def turn() -> float:
        answer = worker("decode", utterances=batch, precision=precision)
        if answer["tokens"] != [tokens] * batch:
            raise ContestantError(
                f"{worker.toolkit} stopped after {answer['tokens']} labels instead of {tokens}"
            )
        return float(answer["seconds"]) / batch

    return turn


def main() -> None:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="utterances together, up to 16")
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=PRECISIONS, help="of ours")
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--ctc-weight", type=float, default=0.3)
    parser.add_argument("--tokens", type=int, default=60)
    args = parser.parse_args()
    with Workers(args.toolkits, threads=args.threads, peers=args.peers) as workers:
        for model in args.models:
            for batch in args.batch:
                print(json.dumps(measure(workers, model, batch, args)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except ContestantError as error:
        sys.exit(f"error: {error}")
