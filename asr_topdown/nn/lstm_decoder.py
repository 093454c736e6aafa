"""An LSTM that predicts labels one by one, attending to the encoder (Chorowski et al. 2015)."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.nn.deferred import DeferredWeight
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.location_attention import LocationAttention, Memory


@dataclass(frozen=True)
class LstmState:
    """The state of each of N = B x k hypotheses.

    Attributes:
        hidden: (N, H).
        cell: (N, H).
        weights: (N, T) attention weights of the last label.
        memory: the encoder output.
        loop: the matrices used in every step, from `LstmDecoder._loop_weights`.
    """

    hidden: Tensor
    cell: Tensor
    weights: Tensor
    memory: Memory
    loop: tuple[DeferredWeight, DeferredWeight]


class LstmDecoder(nn.Module):
    """Embedding, location-aware attention, one LSTM layer.

    In each step the attention's query is the previous state, and the LSTM reads the embedded label
    and the context; its output is the new state. (ESPnet's `att_rnn` decoder.)

    Args:
        vocab_size: number of labels, including `<sos/eos>`.
        memory_size: size D of an encoder frame.
        embedding_size: size of an embedded label.
        hidden_size: size H of the state and the output.
        attention_size: dimension in which state and frames are compared.
        location_filters: convolution filters over the last label's attention weights.
        location_width: frames to each side that a filter covers.
        dropout: on the embedded labels and the output.
    """

    prenorm = False
    reads_weights = True  # uses its submodules' tensors without calling them: no adapters, no int8

    def __init__(
        self,
        *,
        vocab_size: int,
        memory_size: int,
        embedding_size: int,
        hidden_size: int,
        attention_size: int,
        location_filters: int,
        location_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.attention = LocationAttention(
            memory_size=memory_size,
            query_size=hidden_size,
            attention_size=attention_size,
            filters=location_filters,
            width=location_width,
        )
        self.cell = nn.LSTMCell(embedding_size + memory_size, hidden_size)
        self.dropout = Dropout(dropout)
        self.output_size = hidden_size
        # The forget gate starts open (Gers et al. 2000): 1 from the two biases together.
        for bias, value in ((self.cell.bias_ih, 1.0), (self.cell.bias_hh, 0.0)):
            nn.init.constant_(bias[hidden_size : 2 * hidden_size], value)

    def layers(self) -> tuple[Layer, ...]:
        """`decoder`, its only layer."""
        return (Layer("decoder", (self,)),)

    def forward(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing.

        Args:
            frames: (B, T, D) encoder output.
            lengths: (B,) its lengths, at least 1.
            tokens: (B, L) input labels, `<sos/eos>` first.

        Returns:
            (B, L, H): output i has read the labels 0 … i.
        """
        state = self.init_state(frames, lengths)
        hidden, cell, weights = state.hidden, state.cell, state.weights
        outputs = []
        # Time first, so that a step's gates lie together.
        for gates in self._label_gates(tokens.t()):
            hidden, cell, weights = self._step(gates, hidden, cell, weights, state.memory, *state.loop)
            outputs.append(hidden)
        out: Tensor = self.dropout(torch.stack(outputs, dim=1))
        return out

    def init_state(self, frames: Tensor, lengths: Tensor) -> LstmState:
        """(B, T, D), (B,) lengths >= 1 -> the state before any label, one hypothesis per utterance."""
        memory, weights = self.attention.prepare(frames, lengths)
        zeros = weights.new_zeros(len(frames), self.output_size)
        return LstmState(zeros, zeros, weights, memory, self._loop_weights())

    def step(self, state: LstmState, tokens: Tensor) -> tuple[Tensor, LstmState]:
        """Read one label (N,) per hypothesis -> (N, H) output, and the state after it."""
        hidden, cell, weights = self._step(
            self._label_gates(tokens),
            state.hidden,
            state.cell,
            state.weights,
            state.memory,
            *state.loop,
        )
        after = replace(state, hidden=hidden, cell=cell, weights=weights)
        return self.dropout(hidden), after

    def select(self, state: LstmState, rows: Tensor, utterances: Tensor | None = None) -> LstmState:
        """Select the hypotheses `rows` (N',): the same number per utterance, in the order of the utterances.

        With `utterances` (B',) the others are dropped, and `rows` lists hypotheses of these only.
        """
        return replace(
            state,
            hidden=state.hidden.index_select(0, rows),
            cell=state.cell.index_select(0, rows),
            weights=state.weights.index_select(0, rows),
            memory=state.memory if utterances is None else state.memory.of(utterances),
        )

    def _label_gates(self, tokens: Tensor) -> Tensor:
        """The labels' contribution to the gates, including both biases: (…) -> (…, 4H)."""
        embedded = self.dropout(self.embedding(tokens))
        weight = self.cell.weight_ih[:, : embedded.shape[-1]]
        return F.linear(embedded, weight, self.cell.bias_ih + self.cell.bias_hh)

    def _loop_weights(self) -> tuple[DeferredWeight, DeferredWeight]:
        """State -> gates and query (H, 4H + A) in one matrix; context -> gates (D, 4H)."""
        recurrent = torch.cat([self.cell.weight_hh, self.attention.query.weight]).t()
        context = self.cell.weight_ih[:, self.embedding.embedding_dim :].t()
        return DeferredWeight(recurrent), DeferredWeight(context)

    def _step(
        self,
        label_gates: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weights: Tensor,
        memory: Memory,
        recurrent: DeferredWeight,
        from_context: DeferredWeight,
    ) -> tuple[Tensor, Tensor, Tensor]:
        size = 4 * self.output_size
        from_state = recurrent(hidden)
        context, weights = self.attention(memory, from_state[:, size:], weights)
        gates = label_gates + from_state[:, :size] + from_context(context)
        open_in, forget, new, open_out = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + open_in.sigmoid() * new.tanh()
        return open_out.sigmoid() * cell.tanh(), cell, weights
