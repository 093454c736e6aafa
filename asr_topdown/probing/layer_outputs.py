"""The outputs of a network's layers on data sets, batch by batch."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asr_topdown.data import inputs
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.decode.model import TrainedModel
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.lengths import mask

INPUT, SOFTMAX = "input", "softmax"
"""Names for the first layer's input, and the output layer."""

log = logging.getLogger(__name__)


class Frames(NamedTuple):
    """A layer's output for a batch: (B, T, D), and (B,) lengths."""

    values: Tensor
    lengths: Tensor


class Pooled(NamedTuple):
    """Utterances as vectors.

    Attributes:
        ids: utterance ids, in the order of the rows.
        vectors: `INPUT` or layer -> (N, D) float64, input first.
    """

    ids: tuple[str, ...]
    vectors: Mapping[str, Tensor]


def readable_layers(network: Recognizer) -> tuple[str, ...]:
    """List the layers whose output depends on the sound only, from the input up.

    These are the encoder's stages, and `softmax` (the logits) if it is CTC's or the label head's. The outputs
    of an attention decoder or a transducer's predictor depend on labels.
    """
    return (*network.stage_names, *((SOFTMAX,) if _output_layer(network) is not None else ()))


def outputs(network: Recognizer, batch: SpeechBatch) -> Iterator[tuple[str, Frames]]:
    """Yield the output of each of `readable_layers`; `network` must be in eval mode."""
    x, lengths = batch.feats, batch.feat_lengths
    for index, name in enumerate(network.stage_names):
        x, lengths = network.encode(x, lengths, index, index + 1)
        yield name, Frames(x, lengths)
    if (output := _output_layer(network)) is not None:
        memory, _ = network.encode(x, lengths, len(network.stage_names))
        yield SOFTMAX, Frames(output(memory), lengths)


def read(model: TrainedModel, folders: Sequence[Path]) -> list[SpeechDataset]:
    """Read data directories with a model's front end, without texts and utterances that are too short.

    Raises:
        ValueError: naming the directory, and what does not fit the model, or an utterance that is in two.
    """
    found, seen = [], set[str]()
    for folder in folders:
        inputs.check_for_model(folder, model.config.features, model.folder)
        data = inputs.read_utterances(folder, None, model.config.features, model.cmvn)
        sizes = model.network.output_lengths(torch.tensor(data.input_lengths)).tolist()
        kept = [one for one, size in zip(data.utterances, sizes, strict=True) if size]
        if len(kept) < len(data):
            log.warning("%s: %d utterances are too short for the network", folder, len(data) - len(kept))
        if both := seen & {one.id for one in kept}:
            raise ValueError(f"{folder}: {min(both)} is in two of the data directories")
        seen |= {one.id for one in kept}
        found.append(data.subset(kept))
    if not seen:
        raise ValueError(f"{', '.join(map(str, folders))}: no utterance is long enough for {model.folder}")
    return found


def plan(data: SpeechDataset, frames_per_batch: int) -> list[list[int]]:
    """Divide utterances into batches, longest first."""
    return length_batches(data.frames, frames_per_batch=frames_per_batch, utterances_per_batch=64)[::-1]


@torch.no_grad()
def pooled(
    model: TrainedModel, data: Sequence[SpeechDataset], layers: Sequence[str], *, deviations: bool
) -> Pooled:
    """Average each utterance's outputs over its frames, for each layer and, if features are read, the input.

    Args:
        model: the trained model.
        data: from `read`.
        layers: of `readable_layers`.
        deviations: whether to append the standard deviations over the frames.

    Raises:
        ValueError: naming an utterance whose features cannot be read.
    """
    ids: list[str] = []
    below = () if model.config.features.kind == "waveform" else (INPUT,)
    rows: dict[str, list[Tensor]] = {name: [] for name in (*below, *layers)}
    for part in data:
        for indices in plan(part, model.config.decode.frames_per_batch):
            batch = part.batch(indices).to(model.device)
            ids += batch.ids
            given = outputs(model.network, batch)
            for name, frames in [(INPUT, Frames(batch.feats, batch.feat_lengths)), *given]:
                if name in rows:
                    rows[name].append(pool(frames, deviations=deviations).cpu())
    return Pooled(tuple(ids), {name: torch.cat(parts) for name, parts in rows.items()})


def pool(frames: Frames, *, deviations: bool) -> Tensor:
    """Return (B, D) means over each utterance's frames in float64, or (B, 2 D) with standard deviations."""
    values, lengths = frames.values.double(), frames.lengths.clamp(min=1)[:, None]
    within = mask(frames.lengths, values.shape[1])[..., None]
    mean = values.masked_fill(~within, 0).sum(1) / lengths
    if not deviations:
        return mean
    variance = (values - mean[:, None]).masked_fill(~within, 0).square().sum(1) / lengths
    return torch.cat([mean, variance.sqrt()], dim=1)


def _output_layer(network: Recognizer) -> nn.Linear | None:
    head = network.ctc or network.label
    return None if head is None else head.output_layer
