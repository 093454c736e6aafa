"""Bidirectional LSTM layers: padded batches on a CPU, packed ones elsewhere."""

from collections.abc import Sequence

import torch
from torch import _VF, Tensor, nn
from torch.nn.functional import pad

from asr_topdown.nn.cudnn_lstm import packed_bidirectional, weights_of
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.lengths import reversal, reverse_time
from asr_topdown.nn.stacking import stack_frames
from asr_topdown.nn.stage import Stage


class BlstmLayer(Stage):
    """[Frame stacking] -> BLSTM -> [linear, tanh] -> [layer norm] -> dropout -> keep every k-th frame.

    There is one set of parameters, two unidirectional `nn.LSTM`s, and two ways to run them. On a CPU both
    run over the padded batch, and the backward one reads each sequence reversed within its own length: unlike
    a packed LSTM, this uses the fused kernels even when lengths differ, and a packed backward pass is
    quadratic in time there. Elsewhere both are one packed cuDNN call.

    Args:
        input_size: size of an input frame.
        hidden_size: size of the LSTM in each direction.
        projection_size: size of the linear projection; 0 leaves the 2 x `hidden_size` outputs as they are.
        tanh: apply tanh to the projection, as ESPnet's RNNP does below its topmost layer.
        norm: normalise each output frame (Ba et al. 2016), which trains in fewer epochs.
        dropout: on the output.
        subsample: keep every `subsample`-th frame of the output.
        stack: number of adjacent input frames to join into one.
    """

    name = "blstm"
    reads_host_lengths = True

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        projection_size: int,
        tanh: bool,
        norm: bool,
        dropout: float,
        subsample: int,
        stack: int,
    ) -> None:
        super().__init__()
        self.lstm_fwd = nn.LSTM(stack * input_size, hidden_size, batch_first=True)
        self.lstm_bwd = nn.LSTM(stack * input_size, hidden_size, batch_first=True)
        self.projection = nn.Linear(2 * hidden_size, projection_size) if projection_size else None
        self.tanh = tanh
        self.output_size = projection_size or 2 * hidden_size
        self.norm = nn.LayerNorm(self.output_size) if norm else None
        self.dropout = Dropout(dropout)
        self.subsample = subsample
        self.stack = stack

    def forward(
        self, x: Tensor, lengths: Tensor, host_lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        x, lengths = stack_frames(x, lengths, self.stack)
        # Adapters (LoRA) wrap an LSTM, whose tensors alone are then not what it computes with.
        if x.device.type == "cpu" or not isinstance(self.lstm_fwd, nn.LSTM):
            hidden = self.over_padding(x, lengths)
        else:
            host_lengths = lengths.cpu() if host_lengths is None else _ceil_divided(host_lengths, self.stack)
            hidden = packed_bidirectional(self.lstm_fwd, self.lstm_bwd, x, host_lengths)
        if self.projection is not None:
            hidden = self.projection(hidden)
            if self.tanh:
                hidden = torch.tanh(hidden)
        if self.norm is not None:
            hidden = self.norm(hidden)
        hidden = self.dropout(hidden)
        if self.subsample > 1:
            hidden = hidden[:, :: self.subsample]
        return hidden, _ceil_divided(lengths, self.subsample)

    def over_padding(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Both LSTMs over (B, T, D) frames, padding included: (B, T, 2 x `hidden_size`).

        In bfloat16, frames of an odd size, such as 83 or 123, get one more number, a zero: oneDNN reads pairs
        of numbers, and without it runs a kernel that does not use AMX, three times as slow.
        """
        odd = x.shape[2] % 2 == 1 and torch.is_autocast_enabled("cpu")
        if odd and isinstance(self.lstm_fwd, nn.LSTM):
            x = pad(x, (0, 1))
        reverse = reversal(lengths, x.shape[1])
        ahead = _over_time(self.lstm_fwd, x)
        back = _over_time(self.lstm_bwd, reverse_time(x, reverse))
        return torch.cat([ahead, reverse_time(back, reverse)], dim=-1)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """ceil(ceil(T / stack) / subsample)."""
        return _ceil_divided(_ceil_divided(lengths, self.stack), self.subsample)


def _over_time(lstm: nn.Module, x: Tensor) -> Tensor:
    """One LSTM over (B, T, D) frames of a CPU, which may have a zero beside them: (B, T, H)."""
    if not isinstance(lstm, nn.LSTM) or x.shape[2] == lstm.input_size:
        hidden: Tensor = lstm(x)[0]
        return hidden
    inputs, *others = weights_of(lstm)
    zeros = x.new_zeros(1, len(x), lstm.hidden_size)
    weights = [pad(inputs, (0, 1)), *others]
    hidden, _, _ = _VF.lstm(x, (zeros, zeros), weights, True, 1, 0.0, lstm.training, False, True)
    return hidden


def _ceil_divided(lengths: Tensor, by: int) -> Tensor:
    return -(-lengths // by)


def blstm_stages(
    input_size: int,
    *,
    num_layers: int,
    hidden_size: int,
    projection_size: int,
    stack: int,
    subsample: Sequence[int],
    norm: bool,
    dropout: float,
) -> list[BlstmLayer]:
    """A stack of BLSTM layers.

    Args:
        input_size: size of an input frame.
        num_layers: number of layers.
        hidden_size: size of each LSTM in each direction.
        projection_size: size of the linear layer after each BLSTM; 0 = none. All but the topmost are followed
            by tanh.
        stack: number of input frames of the first layer to join into one.
        subsample: keep every k-th frame after layer i; missing entries are 1.
        norm: layer normalisation after each layer.
        dropout: on the output of each layer.

    Raises:
        ValueError: if there are more subsampling factors than layers.
    """
    factors = [*subsample, *[1] * (num_layers - len(subsample))]
    if len(factors) != num_layers:
        raise ValueError(f"subsample must list at most num_layers = {num_layers} factors, got {len(factors)}")
    stages: list[BlstmLayer] = []
    for index, factor in enumerate(factors):
        layer = BlstmLayer(
            input_size=input_size,
            hidden_size=hidden_size,
            projection_size=projection_size,
            tanh=index < num_layers - 1,
            norm=norm,
            dropout=dropout,
            subsample=factor,
            stack=stack if index == 0 else 1,
        )
        stages.append(layer)
        input_size = layer.output_size
    return stages
