"""AWD-LSTM: a word language model of LSTM layers with weight dropout (Merity et al. 2018)."""

from collections.abc import Sequence

from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import ModelOutput
from asr_topdown.models.model import Model, TextInput
from asr_topdown.nn.dropout import LockedDropout, WordDropout
from asr_topdown.nn.linear_cross_entropy import linear_cross_entropy
from asr_topdown.nn.weight_drop import WeightDrop

INIT_RANGE = 0.1


class AwdLstm(Model):
    """Embedding -> LSTM layers -> softmax over the words, with five kinds of dropout (arXiv:1708.02182).

    The last LSTM is as wide as the embedding, tied or not, so that only the tying differs.

    Args:
        vocab_size: number of words.
        embedding_size: size of a word's vector.
        hidden_size: size of each LSTM but the last.
        num_layers: number of LSTM layers.
        tied: the softmax's matrix is also the input embedding, and belongs to the layer `softmax`: freezing
            the top freezes the input as well. Untied, the embedding belongs to `lstm.0`.
        embedding_dropout: of whole words of the embedding (`dropoute` in the published program).
        input_dropout: on the words' vectors (`dropouti`).
        hidden_dropout: on the output of each LSTM but the last (`dropouth`).
        output_dropout: on the output of the last LSTM (`dropout`).
        weight_dropout: of elements of the hidden-to-hidden matrices (`wdrop`).
        ar_alpha: weight of activation regularisation, the mean square of the last LSTM's dropped output.
        tar_beta: weight of temporal activation regularisation, the mean square of the change in time of its
            raw output.
    """

    reads_weights = True  # uses its submodules' tensors without calling them: no adapters, no int8

    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        tied: bool,
        embedding_dropout: float,
        input_dropout: float,
        hidden_dropout: float,
        output_dropout: float,
        weight_dropout: float,
        ar_alpha: float,
        tar_beta: float,
    ) -> None:
        super().__init__()
        sizes = [embedding_size, *[hidden_size] * (num_layers - 1), embedding_size]
        self.embedding = None if tied else nn.Embedding(vocab_size, embedding_size)
        self.lstm = nn.ModuleList(nn.LSTM(sizes[i], sizes[i + 1]) for i in range(num_layers))
        self.softmax = nn.Linear(embedding_size, vocab_size)
        self.word_dropout = WordDropout(embedding_dropout)
        self.input_dropout = LockedDropout(input_dropout)
        self.weight_drop = nn.ModuleList(WeightDrop(weight_dropout) for _ in range(num_layers))
        after = [*[hidden_dropout] * (num_layers - 1), output_dropout]
        self.output_dropout = nn.ModuleList(LockedDropout(p) for p in after)
        self.ar_alpha = ar_alpha
        self.tar_beta = tar_beta
        if self.embedding is not None:
            nn.init.uniform_(self.embedding.weight, -INIT_RANGE, INIT_RANGE)
        nn.init.uniform_(self.softmax.weight, -INIT_RANGE, INIT_RANGE)
        nn.init.zeros_(self.softmax.bias)

    def layers(self) -> tuple[Layer, ...]:
        """`lstm.0`, `lstm.1`, …, `softmax`; the embedding is the softmax's if tied, else `lstm.0`'s."""
        parts = zip(self.lstm, self.weight_drop, self.output_dropout, strict=True)
        stack = [Layer(f"lstm.{index}", tuple(part)) for index, part in enumerate(parts)]
        inputs: tuple[nn.Module, ...] = (self.word_dropout, self.input_dropout)
        if self.embedding is None:
            return (*stack, Layer("softmax", (self.softmax, *inputs)))
        stack[0] = Layer("lstm.0", (self.embedding, *inputs, *stack[0].modules))
        return (*stack, Layer("softmax", (self.softmax,)))

    def init_state(self, columns: int) -> tuple[Tensor, ...]:
        """The initial state for this many texts, zeros, equivalent to none."""
        sizes = [int(weight.shape[1]) for name, weight in self.lstm.named_parameters() if "weight_hh" in name]
        weight = self.softmax.weight
        return tuple(weight.new_zeros(1, columns, size) for size in sizes for _ in range(2))

    def forward(
        self, words: Tensor, state: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Read words and return the softmax's input after each.

        Args:
            words: (T, B) word ids; the B columns are separate texts.
            state: the layers' state after the preceding text, as returned by this function; () at the start.

        Returns:
            (T, B, D) outputs of the last LSTM, the same after dropout, and the state: output and cells of
            each layer, (1, B, size) each.
        """
        hidden = self.input_dropout(self.word_dropout(words, self._embedding))
        after: list[Tensor] = []
        raw = hidden
        for index, (lstm, drop, dropout) in enumerate(
            zip(self.lstm, self.weight_drop, self.output_dropout, strict=True)
        ):
            before = (state[2 * index], state[2 * index + 1]) if state else None
            raw, ends = drop(lstm, hidden, before)
            after.extend(ends)
            hidden = dropout(raw)
        return raw, hidden, tuple(after)

    def cross_entropy(
        self, words: Tensor, targets: Tensor, state: Sequence[Tensor] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mean of -log P(target) in nats over (T, B) targets, and the state after the words."""
        _, hidden, after = self(words, state)
        return self._softmax_loss(hidden, targets), after

    def forward_with_loss(self, batch: TextInput, hidden_state: Sequence[Tensor] = ()) -> ModelOutput:
        """As `Model`; the loss is the cross-entropy plus the two penalties on activations."""
        raw, hidden, after = self(batch.words, hidden_state)
        cross_entropy = self._softmax_loss(hidden, batch.targets)
        loss = cross_entropy
        if self.ar_alpha:
            loss = loss + self.ar_alpha * hidden.float().square().mean()
        if self.tar_beta and len(raw) > 1:
            loss = loss + self.tar_beta * raw.float().diff(dim=0).square().mean()
        return ModelOutput(loss, cross_entropy.detach()[None], tuple(tensor.detach() for tensor in after))

    @property
    def _embedding(self) -> Tensor:
        weight: Tensor = self.softmax.weight if self.embedding is None else self.embedding.weight
        return weight

    def _softmax_loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        return linear_cross_entropy(
            hidden.flatten(0, 1), self.softmax.weight, self.softmax.bias, targets.flatten()
        )
