"""The predictor of a transducer: an LSTM language model without an output layer (Graves 2012)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

START = 0  # what is read before the first label: the blank, which is never a label itself


class PredictorState(NamedTuple):
    """The state of each of N hypotheses: (layers, N, H) outputs and cells."""

    hidden: Tensor
    cell: Tensor


class LstmPredictor(nn.Module):
    """Embedding, LSTM layers, dropout.

    Args:
        vocab_size: size of the vocabulary; unit 0 is the blank.
        embedding_size: size of an embedded label.
        hidden_size: size H of an output.
        num_layers: LSTM layers.
        dropout: on the embedded labels and the output of each layer.
    """

    def __init__(
        self, *, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.lstm = nn.LSTM(
            embedding_size,
            hidden_size,
            num_layers=num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.num_layers = num_layers
        self.output_size = hidden_size

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, U) labels, padded with any valid label -> (B, U + 1, H): output u has read u labels."""
        outputs, _ = self.lstm(self.dropout(self.embedding(F.pad(tokens, (1, 0), value=START))))
        out: Tensor = self.dropout(outputs)
        return out

    def start(self, rows: int) -> tuple[Tensor, PredictorState]:
        """The output (N, H) before any label, and the state, for `rows` hypotheses."""
        weight = self.embedding.weight
        zeros = weight.new_zeros(self.num_layers, rows, self.output_size)
        tokens = torch.full((rows,), START, dtype=torch.long, device=weight.device)
        return self.step(PredictorState(zeros, zeros), tokens)

    def step(self, state: PredictorState, tokens: Tensor) -> tuple[Tensor, PredictorState]:
        """Read one label (N,) per hypothesis -> (N, H) output, and the state after it."""
        outputs, after = self.lstm(self.dropout(self.embedding(tokens))[:, None], tuple(state))
        return self.dropout(outputs[:, 0]), PredictorState(*after)
