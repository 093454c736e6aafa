"""Which library computes a training's matrix products: as asked for, as before a kill, or as measured."""

import logging

import torch
from torch import nn

from asr_topdown.config.run import RunConfig
from asr_topdown.nn import matrix_product
from asr_topdown.nn.matrix_product import Choices
from asr_topdown.train.distributed import World

log = logging.getLogger(__name__)


def chosen(
    model: nn.Module, run: RunConfig, precision: str, device: torch.device, world: World, kept: Choices | None
) -> Choices:
    """Return the argument of `matrix_product.installed`; only a CPU in float32 has a choice.

    With several processes rank 0 measures for all: one choice is in the checkpoint, and a training that is
    resumed, also by another number of processes, goes on with it.

    Args:
        model: the network that is trained.
        run: its `matrix_product` is what is asked for.
        precision: of the training.
        device: where it runs.
        world: the processes that train together.
        kept: the choice in the checkpoint from which it resumes; None = it starts.

    Raises:
        ValueError: if oneDNN is asked for, and this PyTorch has none.
    """
    if device.type != "cpu" or precision != "float32":
        return {}
    choices = kept
    if run.matrix_product != "auto" or choices is None:
        choices = world.from_leader(lambda: matrix_product.choose(run.matrix_product, model))
    if choices and "onednn" not in matrix_product.libraries():  # the checkpoint is from another machine
        choices = {}
    log.info("float32 matrix products: %s", matrix_product.described(choices))
    return choices
