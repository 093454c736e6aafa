"""`asr-topdown train`: joint training of one network."""

import argparse

from asr_topdown.bin import options

HELP = "train a network jointly, all layers from scratch"
EXAMPLE = """
asr-topdown train --config conf/blstm_ctc.yaml --train data/train --dev data/dev --tokens data/tokens.txt \\
    --exp exp/a --seed 1
asr-topdown train … --device cuda --ddp 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    options.add_experiment(parser)
    options.add_ddp(parser)
    parser.add_argument("--seed", type=int, default=1, help="of the initial weights (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Train, or say that it is done already; prints the model's folder."""
    from asr_topdown.topdown.run import Experiment, run_node
    from asr_topdown.topdown.store import Store
    from asr_topdown.train import distributed

    options.start_ddp(args)
    options.log_to_stderr()
    config = options.read_config(args)
    store = Store(args.exp)
    with distributed.join(args.device) as world:
        experiment = Experiment(config, args.train, args.dev, args.tokens, args.device)
        node = experiment.joint(args.seed)
        outcome = run_node(node, experiment, store)
        if world.leads:
            numbers = ", ".join(f"dev {name} {value:.4g}" for name, value in outcome.metrics.items())
            print(
                f"{store.node_dir(node.id)}: best epoch {outcome.best_epoch} of {outcome.epochs}, {numbers}"
            )
