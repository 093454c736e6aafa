"""`asr-topdown train`: joint training of one network."""

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown import files
from asr_topdown.bin import options

if TYPE_CHECKING:
    from asr_topdown.config import Config
    from asr_topdown.runs.store import Store
    from asr_topdown.schedule.node import Outcome

HELP = "train a network jointly, all layers from scratch"
EXAMPLE = """
asr-topdown train --config conf/blstm_ctc.yaml --train data/train --dev data/dev --tokens data/tokens.txt \\
    --exp exp/a --seed 1
asr-topdown train … --device cuda --ddp 4
asr-topdown train … --device cuda --engine slurm --slurm partition=gpu,gpus=1,time=4:00:00
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    options.add_experiment(parser)
    options.add_ddp(parser)
    options.add_engine(parser, "training", spread=False)
    parser.add_argument("--seed", type=int, default=1, help="of the initial weights (default: %(default)s)")
    parser.add_argument(
        "--link", type=Path, metavar="PATH", help="make this a symbolic link to the model's folder"
    )


def run(args: argparse.Namespace) -> None:
    """Train, or say that it is done already; prints the model's folder."""
    from asr_topdown.logs import log_to_stderr
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.runs.run_node import run_node
    from asr_topdown.runs.store import Store
    from asr_topdown.train import distributed

    options.start_ddp(args)
    log_to_stderr()
    config = options.read_config(args)
    if args.link is not None:
        files.check_link(args.link)
    store = Store(args.exp)
    if args.engine != "local":
        _finish(_train_elsewhere(args, config), store, args.link)
        return
    with distributed.join(args.device) as world:
        experiment = Experiment(config, args.train, args.dev, args.tokens, args.device)
        options.check_units([experiment])
        outcome = run_node(experiment.joint(args.seed), experiment, store)
        if world.leads:
            _finish(outcome, store, args.link)


def _train_elsewhere(args: argparse.Namespace, config: "Config") -> "Outcome":
    from asr_topdown.engines import engine_config
    from asr_topdown.runs.dev_error import decoder_of
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.runs.store import Store
    from asr_topdown.study import driver
    from asr_topdown.study.worker import train_node

    experiment = Experiment(config, args.train, args.dev, args.tokens, args.device)
    options.check_units([experiment])
    store = Store(args.exp, decoder=decoder_of(experiment))
    train = functools.partial(train_node, experiments=(experiment,), store=store)
    with engine_config.open_engine(options.read_engine(args, threads=config.run.threads)) as engine:
        submit = driver.submitter(engine, train, store=store)
        return driver.drive_one(experiment.joint(args.seed), submit, store=store)


def _finish(outcome: "Outcome", store: "Store", link: Path | None) -> None:
    """Link to the model's folder, if that is wanted, and say how the training went."""
    if link is not None:
        files.link(store.node_dir(outcome.node), link)
    measured = [(name, value) for name, value in outcome.metrics.items() if name.startswith("dev_")]
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in measured)
    print(f"{store.node_dir(outcome.node)}: best epoch {outcome.best_epoch} of {outcome.epochs}, {numbers}")
