"""Frozen lowest layers: what they give is computed once for each utterance, not in every epoch.

Nothing below a frozen bottom needs a gradient, and where neither augmentation nor dropout changes what goes
in, it gives the same in every epoch. The batches stay the same, and so do the results up to rounding.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

from asr_topdown import layers
from asr_topdown.config import Config
from asr_topdown.data.computed import ComputedDataset
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.models.model import Model
from asr_topdown.schedule.node import Node

log = logging.getLogger(__name__)


def compute_once(
    model: Model,
    node: Node,
    config: Config,
    train: SpeechDataset,
    dev: SpeechDataset,
    device: torch.device,
) -> tuple[SpeechDataset, SpeechDataset]:
    """The same data behind the frozen lowest layers, which `model` then leaves out; or all as it was.

    Nothing is done if it would take more memory than `run.cache_frozen` allows, the lowest layer is not
    frozen, the input or the frozen layers are random, or the network cannot be entered in the middle.
    """
    encoder = next((part for part in model.modules() if hasattr(part, "below")), None)
    count = _frozen_bottom(model, encoder, node) if encoder is not None else 0
    changing = bool(config.train.tempo_perturb) or config.train.specaugment is not None or bool(node.lora)
    if not config.run.cache_frozen or not count or changing or encoder is None:
        return train, dev
    model.to(device)
    run: Callable[..., tuple[Tensor, Tensor]] = encoder.bottom  # type: ignore[assignment]
    with torch.autocast(device.type, torch.bfloat16, enabled=config.train.precision == "bfloat16"):
        trained_on = _through(run, count, train, config, device)
    judged_on = _through(run, count, dev, config, device)
    if trained_on is None or judged_on is None:
        return train, dev
    encoder.below = count  # type: ignore[assignment]
    log.info("the %d lowest layers are frozen: their output is computed once", count)
    return trained_on, judged_on


def _frozen_bottom(model: nn.Module, encoder: nn.Module, node: Node) -> int:
    """How many of the encoder's lowest layers are frozen and without dropout."""
    inside = {id(part) for part in encoder.modules()}
    count = 0
    for layer in layers.layers_of(model):
        parts = [part for module in layer.modules for part in module.modules()]
        random = any(isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0 for part in parts)
        of_encoder = all(id(module) in inside for module in layer.modules)
        if layer.name not in node.frozen or random or not of_encoder:
            break
        count += 1
    return count


@torch.no_grad()
def _through(
    run: Callable[..., tuple[Tensor, Tensor]],
    count: int,
    data: SpeechDataset,
    config: Config,
    device: torch.device,
) -> ComputedDataset | None:
    """None if all of it would not fit, which the first batches show."""
    hidden: dict[int, Tensor] = {}
    size = seen = 0
    for indices in length_batches(
        data.frames, frames_per_batch=config.train.frames_per_batch, utterances_per_batch=64
    ):
        batch = data.batch(indices).to(device)
        frames, lengths = run(batch.feats, batch.feat_lengths, count)
        rows = zip(indices, frames.cpu(), lengths.tolist(), strict=True)
        # Copies: a view would keep the padding.
        hidden.update({index: row[:length].clone() for index, row, length in rows})
        size += sum(hidden[index].nbytes for index in indices)
        seen += sum(data.frames[index] for index in indices)
        gib = size / seen * sum(data.frames) / 2**30
        if gib > config.run.cache_frozen:
            log.info("the frozen layers' output, %.1f GiB, is not kept (run.cache_frozen)", gib)
            return None
    return ComputedDataset(data, [hidden[index] for index in range(len(data))])
