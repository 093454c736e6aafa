"""`asr-topdown train`: one network, from scratch or from the weights of another."""

import argparse
import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown import files
from asr_topdown.bin import engine_options, options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asr_topdown.config import Config
    from asr_topdown.config.train import InitConfig, TrainConfig
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.runs.store import Store
    from asr_topdown.schedule.node import Node, Outcome

log = logging.getLogger(__name__)

HELP = "train a network: all layers from scratch, or from another's weights (fine-tuning)"
EXAMPLE = """
asr-topdown train --config conf/blstm_ctc.yaml --train data/train --dev data/dev --tokens data/tokens.txt \\
    --exp exp/a --seed 1
asr-topdown train … --init exp/a/models/joint_seed1 --freeze blstm.0-2 --keep-cmvn
asr-topdown train --config conf/tuned.yaml … --set train.init.model=exp/a/models/joint_seed1
asr-topdown train … --device cuda --ddp 4
asr-topdown train … --device cuda --engine slurm --slurm partition=gpu,gpus=1,time=4:00:00
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data, the seed, and the model that it starts from."""
    options.add_experiment(parser)
    options.add_ddp(parser)
    engine_options.add_engine(parser, "training", spread=False)
    parser.add_argument(
        "--seed", type=options.seed, default=1, help="of the initial weights (default: %(default)s)"
    )
    _add_fine_tuning(parser)
    parser.add_argument(
        "--link", type=Path, metavar="PATH", help="create a symbolic link here to the model's folder"
    )


def _add_fine_tuning(parser: argparse.ArgumentParser) -> None:
    """`--init --freeze --fresh --keep-cmvn`."""
    group = parser.add_argument_group("fine-tuning (these override train.init in the YAML)")
    group.add_argument(
        "--init", default="", metavar="MODEL", help="folder of a trained model, whose weights to start from"
    )
    for name, what in (
        ("--freeze", "layers that keep the model's weights (without --init, a pretrained encoder's) and are "
         "not trained: names, ranges (blstm.0-2), globs (enc.*), bottom:3, top:1"),
        ("--fresh", "layers to reinitialise; those that depend on the units are always reinitialised if the "
         "units differ from the model's"),
    ):  # fmt: skip
        group.add_argument(name, nargs="+", action="extend", default=[], metavar="LAYERS", help=what)
    group.add_argument(
        "--keep-cmvn",
        action="store_true",
        help="normalise features by the model's mean and variance instead of those of the training data",
    )


def run(args: argparse.Namespace) -> None:
    """Train unless already done; print the model's folder."""
    from asr_topdown.logs import log_to_stderr
    from asr_topdown.runs.run_node import run_node
    from asr_topdown.runs.store import Store
    from asr_topdown.train import distributed

    options.check_ddp(args)
    log_to_stderr()
    asked = _asked(options.read_config(args), args)
    if args.link is not None:
        files.check_link(args.link)
    store = Store(args.exp, models=_models(asked))
    if args.engine != "local":
        _finish(_train_elsewhere(args, asked), store, args.link)
        return
    experiment = _experiment(args, asked)
    options.check_experiments(args, [experiment])
    node = _node(args, experiment, asked.train, store)
    options.start_ddp(args)
    with distributed.join(args.device) as world:
        outcome = run_node(node, experiment, store)
        if world.leads:
            _finish(outcome, store, args.link)


def _asked(config: "Config", args: argparse.Namespace) -> "Config":
    """Return the settings, with the options for `train.init`."""
    from asr_topdown.config.train import InitConfig

    given = {"model": args.init, "freeze": args.freeze, "fresh": args.fresh, "keep_cmvn": args.keep_cmvn}
    given = {name: value for name, value in given.items() if value}
    init = config.train.init
    if given:
        init = InitConfig(**{**dict(init or {}), **given})
    if init is not None and not init.model and not _begins_with_freezing(config, init):
        alone = [f"--{name.replace('_', '-')}" for name in given] or ["train.init"]
        raise ValueError(f"{alone[0]} needs --init MODEL, or train.init.model")
    if (init is None or not init.model) and config.train.tuning:
        raise ValueError("train.tuning needs --init MODEL, or train.init.model")
    return config.model_copy(update={"train": config.train.model_copy(update={"init": init})})


def _begins_with_freezing(config: "Config", init: "InitConfig") -> bool:
    """Whether layers of a pretrained encoder are frozen, which need no model for their weights."""
    from asr_topdown.config.model import PretrainedConfig, RecognizerConfig

    pretrained = isinstance(config.model, RecognizerConfig) and isinstance(
        config.model.encoder[0], PretrainedConfig
    )
    return pretrained and bool(init.freeze) and not init.fresh and not init.keep_cmvn


def _models(asked: "Config") -> "Mapping[str, Path]":
    from asr_topdown.runs.fine_tuning import source_of

    return source_of(Path(asked.train.init.model)) if asked.train.init and asked.train.init.model else {}


def _experiment(args: argparse.Namespace, asked: "Config") -> "Experiment":
    """Make the node's experiment, without the settings that are the node's own."""
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.schedule.tuning import PLAIN

    init = asked.train.init
    kept = Path(init.model).resolve() if init and init.keep_cmvn else None
    train = asked.train.model_copy(update={"init": None, "tuning": PLAIN})
    config = asked.model_copy(update={"train": train})
    return Experiment(config, args.train, args.dev, args.tokens, args.device, cmvn_source=kept)


def _node(args: argparse.Namespace, experiment: "Experiment", asked: "TrainConfig", store: "Store") -> "Node":
    """Make the node to train; reject what cannot be trained before any work."""
    from asr_topdown.runs.fine_tuning import fine_tuning, frozen_encoder

    init = asked.init
    if init is None:
        return experiment.joint(args.seed)
    if not init.model:
        return frozen_encoder(experiment, seed=args.seed, freeze=init.freeze, lora=init.lora)
    return fine_tuning(
        experiment,
        Path(init.model),
        store,
        seed=args.seed,
        freeze=init.freeze,
        fresh=init.fresh,
        lora=init.lora,
        tuning=asked.tuning,
    )


def _train_elsewhere(args: argparse.Namespace, asked: "Config") -> "Outcome":
    from asr_topdown.engines import engine_config
    from asr_topdown.runs.dev_error import decoder_of
    from asr_topdown.runs.store import Store
    from asr_topdown.study import driver
    from asr_topdown.study.worker import train_node

    experiment = _experiment(args, asked)
    options.check_experiments(args, [experiment])
    store = Store(args.exp, models=_models(asked), decoder=decoder_of(experiment))
    node = _node(args, experiment, asked.train, store)
    train = functools.partial(train_node, experiments=(experiment,), store=store)
    with engine_config.open_engine(engine_options.read_engine(args, threads=asked.run.threads)) as engine:
        submit = driver.submitter(engine, train, store=store)
        return driver.drive_one(node, submit, store=store)


def _finish(outcome: "Outcome", store: "Store", link: Path | None) -> None:
    """Link to the model's folder, if requested, and print the result."""
    if link is not None:
        files.link(store.node_dir(outcome.node), link)
    measured = [(name, value) for name, value in outcome.metrics.items() if name.startswith("dev_")]
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in measured)
    print(f"{store.node_dir(outcome.node)}: best epoch {outcome.best_epoch} of {outcome.epochs}, {numbers}")
    log.info("its curves: %s", files.command("tensorboard", "--logdir", store.node_dir(outcome.node)))
