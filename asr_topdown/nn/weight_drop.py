"""DropConnect on the hidden-to-hidden matrix of an LSTM (Merity et al. 2018, section 2)."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.dropout import _DropoutNd

from asr_topdown.nn.cudnn_lstm import State, one_direction, weights_of


class WeightDrop(_DropoutNd):
    """Runs an LSTM with elements of its hidden-to-hidden matrix zeroed: one mask for the whole sequence.

    The LSTM keeps its parameters and their names, so that its weights fit a plain `nn.LSTM`. The matrix it
    uses is a function of the parameter, computed in each forward pass: the gradient reaches the
    parameter, and no state remains that could affect an evaluation.
    """

    def forward(self, lstm: nn.LSTM, frames: Tensor, state: State | None) -> tuple[Tensor, State]:
        """(T, B, D) frames and the state before them -> (T, B, cells), the state after them.

        Args:
            lstm: one layer, one direction, time first.
            frames: its input.
            state: (1, B, cells) outputs and cells; None = zeros.
        """
        if not (self.training and self.p):
            result: tuple[Tensor, State] = lstm(frames, state)
            return result
        inputs, weight, *biases = weights_of(lstm)
        dropped = F.dropout(weight, self.p)
        if frames.device.type == "cpu":
            result = functional_call(lstm, {"weight_hh_l0": dropped}, (frames, state))
        else:
            result = one_direction([inputs, dropped, *biases], frames, state, training=lstm.training)
        return result
