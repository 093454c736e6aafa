"""DropConnect on the hidden-to-hidden matrix of an LSTM (Merity et al. 2018, section 2)."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.dropout import _DropoutNd

State = tuple[Tensor, Tensor]


class WeightDrop(_DropoutNd):
    """Runs an LSTM with elements of its hidden-to-hidden matrix zeroed: one mask for the whole sequence.

    The LSTM keeps its parameters and their names, so that its weights fit a plain `nn.LSTM`. The matrix it
    runs with is a function of the parameter, made anew in each forward pass: the gradient reaches the
    parameter, and nothing is left behind that an evaluation could pick up.
    """

    def forward(self, lstm: nn.LSTM, frames: Tensor, state: State | None) -> tuple[Tensor, State]:
        """(T, B, D) frames and the state before them -> (T, B, cells), the state after them.

        Args:
            lstm: one layer, one direction, time first.
            frames: its input.
            state: (1, B, cells) outputs and cells; None = zeros.
        """
        replaced: dict[str, Tensor] = {}
        if self.training and self.p:
            weight: Tensor = lstm.weight_hh_l0  # type: ignore[assignment]
            replaced["weight_hh_l0"] = F.dropout(weight, self.p)
        result: tuple[Tensor, State] = functional_call(lstm, replaced, (frames, state))
        return result
