"""Similarity of two networks' layers: linear centred kernel alignment (CKA; Kornblith et al. 2019).

For two layers' outputs X (n, p) and Y (n, q) for the same n frames, columns centred, it is

    |Y^T X|^2 / (|X^T X| |Y^T Y|)        (Frobenius norms; their section 3, "linear CKA")

from 0 to 1, invariant to rotating or scaling either's outputs. This is the biased estimate, which is too high
unless n is much larger than p and q.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from asr_topdown.decode.model import TrainedModel
from asr_topdown.probing.layer_outputs import Frames, outputs, plan, read


class LinearCka:
    """Accumulates the sums for the CKA of every pair of layers, so that no outputs are kept.

    Args:
        first: the sizes p of one network's layers.
        second: the sizes q of the other's.
    """

    def __init__(self, first: Sequence[int], second: Sequence[int]) -> None:
        self.count = 0
        self._sizes = list(first), list(second)
        self._shifts: tuple[Tensor, ...] = ()
        exact = torch.float64
        self._sums = [torch.zeros(sum(sizes), dtype=exact) for sizes in self._sizes]
        self._across = torch.zeros(sum(first), sum(second), dtype=exact)
        self._within = [[torch.zeros(size, size, dtype=exact) for size in sizes] for sizes in self._sizes]

    def add(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
        """Add (n, p) and (n, q) outputs of all layers for n more frames."""
        both = [torch.cat(list(layers), 1).double() for layers in (first, second)]
        if not self._shifts:
            # Close to the mean, so that subtracting the product of the means loses no precision.
            self._shifts = tuple(values.mean(0) for values in both)
        both = [values - shift for values, shift in zip(both, self._shifts, strict=True)]
        self.count += len(both[0])
        self._across += both[0].T @ both[1]
        for values, total, own, sizes in zip(both, self._sums, self._within, self._sizes, strict=True):
            total += values.sum(0)
            for sums, part in zip(own, values.split(sizes, 1), strict=True):
                sums += part.T @ part

    def result(self) -> Tensor:
        """Return CKA, (layers of the first, layers of the second); NaN if a layer's output is constant."""
        means = [total / self.count for total in self._sums]
        across = self._across - self.count * torch.outer(*means)
        norms = []
        for own, mean, sizes in zip(self._within, means, self._sizes, strict=True):
            parts = zip(own, mean.split(sizes), strict=True)
            norms.append(
                torch.stack([(sums - self.count * torch.outer(one, one)).norm() for sums, one in parts])
            )
        rows = across.split(self._sizes[0], 0)
        shared = [[block.square().sum() for block in row.split(self._sizes[1], 1)] for row in rows]
        return torch.tensor(shared, dtype=torch.float64) / torch.outer(*norms)


@torch.no_grad()
def compare(
    models: tuple[TrainedModel, TrainedModel],
    folders: Sequence[Path],
    layers: tuple[Sequence[str], Sequence[str]],
) -> tuple[Tensor, int]:
    """Compute linear CKA between the layers of two networks over the frames of the same utterances.

    In each utterance, all layers' frames are averaged down to the number of the layer with the fewest.

    Args:
        models: the networks; each reads the data with its own front end.
        folders: data directories.
        layers: of each, from `layer_outputs.readable_layers`.

    Returns:
        `LinearCka.result`, and the number of frames.

    Raises:
        ValueError: as in `layer_outputs.read`, or naming an utterance that only one network can read.
    """
    sums: LinearCka | None = None
    for first, second in zip(*(read(model, folders) for model in models), strict=True):
        places = {one.id: place for place, one in enumerate(second.utterances)}
        if odd := places.keys() ^ {one.id for one in first.utterances}:
            raise ValueError(f"{first.folder}: only one of the networks can read {min(odd)}")
        for indices in plan(first, models[0].config.decode.frames_per_batch):
            ids = [first.utterances[index].id for index in indices]
            batches = first.batch(indices), second.batch([places[name] for name in ids])
            found = []
            for model, batch, wanted in zip(models, batches, layers, strict=True):
                given = dict(outputs(model.network, batch.to(model.device)))
                found.append([given[name] for name in wanted])
            if sums is None:
                sizes = [[frames.values.shape[2] for frames in own] for own in found]
                sums = LinearCka(*sizes)
            sums.add(*aligned(*found))
    assert sums is not None
    return sums.result(), sums.count


def aligned(*networks: Sequence[Frames]) -> list[list[Tensor]]:
    """Return each network's layers (n, D) on the CPU, with the same number of frames per utterance."""
    everything = [frames for layers in networks for frames in layers]
    fewest = torch.stack([frames.lengths.cpu() for frames in everything]).amin(0).tolist()
    return [[_averaged(frames, fewest) for frames in layers] for layers in networks]


def _averaged(frames: Frames, counts: Sequence[int]) -> Tensor:
    values, lengths = frames.values.cpu().double(), frames.lengths.tolist()
    rows = [
        F.adaptive_avg_pool1d(row[:length].T, count).T
        for row, length, count in zip(values, lengths, counts, strict=True)
        if count
    ]
    return torch.cat(rows)
