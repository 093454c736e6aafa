"""Frozen lowest stages: compute their output once per utterance instead of in every epoch.

A frozen bottom needs no gradient, and unless augmentation or dropout changes its input, its output is the
same in every epoch. The batches stay the same, and so do the results up to rounding; the output is
kept in memory, or else on disk. Half the size, in float16, gives different results: `train.frozen_precision`
is part of a training's name.
"""

import logging
import shutil
from pathlib import Path

import torch
from torch import Tensor

from asr_topdown import layers
from asr_topdown.config import Config
from asr_topdown.data.computed import ComputedDataset, Rows, RowsOnDisk
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn import precision
from asr_topdown.schedule.node import Node

log = logging.getLogger(__name__)

_GIB = 2**30


def compute_once(
    model: Recognizer,
    node: Node,
    config: Config,
    train: SpeechDataset,
    dev: SpeechDataset,
    device: torch.device,
    folder: Path,
) -> tuple[SpeechDataset, SpeechDataset]:
    """Replace the data by the output of the frozen lowest stages of `model`.

    The data are unchanged if the output would take more space than `run.cache_frozen` and
    `run.cache_frozen_disk` allow, the lowest stage is not frozen, or the input or the frozen stages are
    random.

    Args:
        model: with its initial weights, its frozen layers already frozen.
        node: to train.
        config: of the training.
        train: the training data.
        dev: the dev data.
        device: where to compute.
        folder: for a file that is kept while this process lives, if one is needed.

    Raises:
        ValueError: if float16 is requested and there is not enough space, so that no result depends on the
            space; or if a number is too large for it.
    """
    count = frozen_stages(model, node)
    changing = bool(config.train.tempo_perturb) or config.train.specaugment is not None or bool(node.lora)
    if not count or changing:
        return train, dev
    trained_on = judged_on = None
    if config.run.cache_frozen:
        model.to(device)
        precision.set_tf32(config.train.precision, device)
        with precision.autocast(config.train.precision, device):
            trained_on = _through(model, count, train, config, device, folder)
        if trained_on is not None:
            judged_on = _through(model, count, dev, config, device, folder)
    if trained_on is None or judged_on is None:
        if config.train.frozen_precision == "float16":
            raise ValueError(
                "train.frozen_precision: float16 wants the frozen layers' output to be kept, for which there "
                "is no room: see run.cache_frozen and run.cache_frozen_disk"
            )
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
    model: Recognizer, count: int, data: SpeechDataset, config: Config, device: torch.device, folder: Path
) -> ComputedDataset | None:
    """None if all of it would not fit, which the first batches show."""
    window = model.chain()[count - 1][1].window
    half = config.train.frozen_precision == "float16"
    keeper, lengths = _Keeper(config, folder), [0] * len(data)
    seen = 0
    for indices in length_batches(
        data.frames, frames_per_batch=config.train.frames_per_batch, utterances_per_batch=64
    ):
        batch = data.batch(indices).to(device)
        frames, counts = model.encode(
            batch.feats, batch.feat_lengths, stop=count, host_lengths=batch.host_lengths[0]
        )
        seen += sum(data.frames[index] for index in indices)
        for index, row, length in zip(indices, frames.cpu(), counts.tolist(), strict=True):
            lengths[index] = length
            # At least a frame, as from the stages, also of an utterance that is too short for them.
            read = max(length, 1)
            kept = row[: -(-read // window) * window if window else read]
            # A copy: a view would keep the padding.
            keeper.put(index, _halved(kept, data.utterances[index].id) if half else kept.clone())
        if not keeper.has_room_for(sum(data.frames) / seen):
            return None
    return ComputedDataset(data, keeper.rows, lengths, start=count)


class _Keeper:
    """Keeps sequences in memory as long as they fit, and then all of them on disk."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._run, self._folder = config.run, folder
        self._in_memory: dict[int, Tensor] = {}
        self._on_disk: RowsOnDisk | None = None
        self._size = 0

    @property
    def rows(self) -> Rows:
        return self._on_disk or self._in_memory

    def put(self, index: int, rows: Tensor) -> None:
        self._size += rows.nbytes
        if self._on_disk is None:
            self._in_memory[index] = rows
        else:
            self._on_disk.put(index, rows)

    def has_room_for(self, times: float) -> bool:
        """Whether there is space for this multiple of what is stored now."""
        size = times * self._size
        if self._on_disk is None and size <= self._run.cache_frozen * _GIB:
            return True
        free = shutil.disk_usage(self._folder).free + self._written
        room = min(self._run.cache_frozen_disk * _GIB, free)
        if size > room:
            log.info("the frozen layers' output, %.1f GiB, is not kept (run.cache_frozen)", size / _GIB)
            return False
        if self._on_disk is None:
            log.info("the frozen layers' output, %.1f GiB, is kept on disk", size / _GIB)
            self._on_disk = RowsOnDisk(self._folder)
            for index, rows in self._in_memory.items():
                self._on_disk.put(index, rows)
            self._in_memory.clear()
        return True

    @property
    def _written(self) -> int:
        return self._size if self._on_disk is not None else 0


def _halved(rows: Tensor, utterance: str) -> Tensor:
    half = rows.to(torch.float16)
    if not half.isfinite().all():
        raise ValueError(
            f"{utterance}: the frozen layers give {rows.abs().max().item():g}, too large for float16: set "
            "train.frozen_precision to as_computed"
        )
    return half
