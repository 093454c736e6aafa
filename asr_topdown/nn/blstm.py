"""One bidirectional LSTM layer over a padded batch, without packing."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.lengths import reversal, reverse_time


class BlstmLayer(nn.Module):
    """BLSTM -> [linear projection, tanh] -> [layer normalisation] -> dropout -> keep every k-th frame.

    The two directions are two `nn.LSTM`s over the padded batch; the backward one reads each sequence
    reversed within its own length. The result equals a packed bidirectional `nn.LSTM`, and unlike that one
    it stays on the fused CPU kernels when lengths differ: a packed backward pass is quadratic in time there.

    Args:
        inputs: size of an input frame.
        cells: LSTM cells in each direction.
        projection: size of the projection; 0 leaves the 2 x `cells` outputs as they are.
        squash: apply tanh to the projection, as ESPnet's RNNP does below its topmost layer.
        norm: normalise each output frame (Ba et al. 2016), which trains in fewer epochs.
        dropout: on the output.
        subsample: keep every `subsample`-th frame of the output.
    """

    def __init__(
        self,
        inputs: int,
        cells: int,
        *,
        projection: int = 0,
        squash: bool = True,
        norm: bool = False,
        dropout: float = 0.0,
        subsample: int = 1,
    ) -> None:
        super().__init__()
        self.forwards = nn.LSTM(inputs, cells, batch_first=True)
        self.backwards = nn.LSTM(inputs, cells, batch_first=True)
        self.projection = nn.Linear(2 * cells, projection) if projection else None
        self.squash = squash
        self.outputs = projection or 2 * cells
        self.norm = nn.LayerNorm(self.outputs) if norm else None
        self.dropout = Dropout(dropout)
        self.subsample = subsample

    def forward(self, frames: Tensor, reverse: Tensor) -> Tensor:
        """(B, T, D) and the (B, T) indices of `nn.lengths.reversal` -> (B, ceil(T / subsample), outputs)."""
        ahead, _ = self.forwards(frames)
        back, _ = self.backwards(reverse_time(frames, reverse))
        hidden = torch.cat([ahead, reverse_time(back, reverse)], dim=-1)
        if self.projection is not None:
            hidden = self.projection(hidden)
            if self.squash:
                hidden = torch.tanh(hidden)
        if self.norm is not None:
            hidden = self.norm(hidden)
        hidden = self.dropout(hidden)
        return hidden[:, :: self.subsample] if self.subsample > 1 else hidden

    def output_length(self, length: Tensor) -> Tensor:
        """Frames that come out for `length` frames: ceil(length / subsample)."""
        return -(-length // self.subsample)


class BlstmStack(nn.ModuleList):
    """BLSTM layers on top of each other.

    Args:
        inputs: size of an input frame.
        layers: number of layers.
        cells: LSTM cells in each direction.
        projection: size of the linear layer after each BLSTM layer; 0 = none. All but the topmost are
            followed by tanh.
        subsample: frame subsampling after each layer; missing entries are 1.
        norm: layer normalisation after each BLSTM layer.
        dropout: on the output of each BLSTM layer.

    Raises:
        ValueError: if there are more subsampling factors than layers.
    """

    def __init__(
        self,
        inputs: int,
        *,
        layers: int = 4,
        cells: int = 320,
        projection: int = 0,
        subsample: Sequence[int] = (),
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        factors = [*subsample, *[1] * (layers - len(subsample))]
        if len(factors) != layers:
            raise ValueError(f"subsample lists {len(subsample)} factors for {layers} layers")
        self.outputs = inputs
        for index, factor in enumerate(factors):
            layer = BlstmLayer(
                self.outputs,
                cells,
                projection=projection,
                squash=index < layers - 1,
                norm=norm,
                dropout=dropout,
                subsample=factor,
            )
            self.append(layer)
            self.outputs = layer.outputs

    def forward(
        self, frames: Tensor, lengths: Tensor, first: int = 0, last: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, T', outputs), (B,) lengths; of the layers from `first` to before `last`."""
        for layer in self._layers()[first:last]:
            frames = layer(frames, reversal(lengths, frames.shape[1]))
            lengths = layer.output_length(lengths)
        return frames, lengths

    def output_length(self, length: Tensor) -> Tensor:
        """Frames that come out for `length` frames."""
        for layer in self._layers():
            length = layer.output_length(length)
        return length

    def _layers(self) -> list[BlstmLayer]:
        return cast(list[BlstmLayer], list(self))
