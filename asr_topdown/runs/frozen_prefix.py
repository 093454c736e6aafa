"""Frozen lowest stages: what they give is computed once for each utterance, not in every epoch.

Nothing below a frozen bottom needs a gradient, and where neither augmentation nor dropout changes what goes
in, it gives the same in every epoch. The batches stay the same, and so do the results up to rounding.
"""

import logging

import torch

from asr_topdown import layers
from asr_topdown.config import Config
from asr_topdown.data.computed import ComputedDataset
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn import precision
from asr_topdown.schedule.node import Node

log = logging.getLogger(__name__)


def compute_once(
    model: Recognizer,
    node: Node,
    config: Config,
    train: SpeechDataset,
    dev: SpeechDataset,
    device: torch.device,
) -> tuple[SpeechDataset, SpeechDataset]:
    """Replace the data by what the frozen lowest stages of `model` give for them.

    The data stay as they are if that would take more memory than `run.cache_frozen` allows, the lowest stage
    is not frozen, or the input or the frozen stages are random.
    """
    count = frozen_stages(model, node)
    changing = bool(config.train.tempo_perturb) or config.train.specaugment is not None or bool(node.lora)
    if not config.run.cache_frozen or not count or changing:
        return train, dev
    model.to(device)
    precision.set_tf32(config.train.precision, device)
    with precision.autocast(config.train.precision, device):
        trained_on = _through(model, count, train, config, device)
    judged_on = _through(model, count, dev, config, device)
    if trained_on is None or judged_on is None:
        return train, dev
    log.info("the %d lowest layers are frozen: their output is computed once", count)
    return trained_on, judged_on


def frozen_stages(model: Recognizer, node: Node) -> int:
    """How many of the encoder's lowest stages are frozen and not random."""
    count = 0
    for layer in model.layers()[: len(model.stage_names)]:
        random = any(layers.is_random(part) for module in layer.modules for part in module.modules())
        if layer.name not in node.frozen or random:
            break
        count += 1
    return count


@torch.no_grad()
def _through(
    model: Recognizer, count: int, data: SpeechDataset, config: Config, device: torch.device
) -> ComputedDataset | None:
    """None if all of it would not fit, which the first batches show."""
    hidden: dict[int, torch.Tensor] = {}
    size = seen = 0
    for indices in length_batches(
        data.frames, frames_per_batch=config.train.frames_per_batch, utterances_per_batch=64
    ):
        batch = data.batch(indices).to(device)
        frames, lengths = model.encode(
            batch.feats, batch.feat_lengths, stop=count, host_lengths=batch.host_lengths[0]
        )
        rows = zip(indices, frames.cpu(), lengths.tolist(), strict=True)
        # Copies: a view would keep the padding.
        hidden.update({index: row[:length].clone() for index, row, length in rows})
        size += sum(hidden[index].nbytes for index in indices)
        seen += sum(data.frames[index] for index in indices)
        gib = size / seen * sum(data.frames) / 2**30
        if gib > config.run.cache_frozen:
            log.info("the frozen layers' output, %.1f GiB, is not kept (run.cache_frozen)", gib)
            return None
    return ComputedDataset(data, [hidden[index] for index in range(len(data))], start=count)
