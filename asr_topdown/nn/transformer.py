"""Pre-norm Transformer blocks, and a decoder with caches (Vaswani et al. 2017; Karita et al. 2019)."""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from asr_topdown.nn.attention import CrossAttention, KeyValue, SelfAttention, key_mask
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import ScaledPositions


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear."""

    def __init__(self, dim: int, hidden: int, *, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.widen = nn.Linear(dim, hidden)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.narrow = nn.Linear(hidden, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """(…, dim) -> (…, dim)."""
        out: Tensor = self.narrow(self.dropout(self.activation(self.widen(frames))))
        return out


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    Args:
        dim: size of a frame.
        heads: attention heads.
        hidden: size of the feed-forward layer.
        dropout: after attention and feed-forward, and inside the latter.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self, dim: int, heads: int, hidden: int, *, dropout: float = 0.1, attention_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.attention = SelfAttention(dim, heads, dropout=attention_dropout)
        self.feed_forward = FeedForward(dim, hidden, activation=nn.ReLU(inplace=True), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, may_look: Tensor) -> Tensor:
        """(B, T, D) and a mask from `nn.attention.key_mask` -> (B, T, D)."""
        first, second = self.norms
        frames = frames + self.dropout(self.attention(first(frames), may_look))
        out: Tensor = frames + self.dropout(self.feed_forward(second(frames)))
        return out


class DecoderBlock(nn.Module):
    """Attention to the labels so far, attention to the encoder's output, feed-forward; each x + f(norm(x)).

    The arguments are those of `EncoderBlock`.
    """

    def __init__(
        self, dim: int, heads: int, hidden: int, *, dropout: float = 0.1, attention_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.attention = SelfAttention(dim, heads, dropout=attention_dropout)
        self.cross = CrossAttention(dim, heads, dropout=attention_dropout)
        self.feed_forward = FeedForward(dim, hidden, activation=nn.ReLU(inplace=True), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, labels: Tensor, memory: KeyValue, may_look: Tensor) -> Tensor:
        """(B, L, D) labels and the encoder's keys, values and mask -> (B, L, D)."""
        labels = labels + self.dropout(self.attention(self.norms[0](labels), None))
        return self._rest(labels, memory, may_look)

    def step(
        self, label: Tensor, cache: Tensor | None, memory: KeyValue, may_look: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The newest label (N, 1, D) of k hypotheses of each of B utterances -> (N, 1, D), longer cache."""
        added, cache = self.attention.step(self.norms[0](label), cache)
        label = label + self.dropout(added)
        # An utterance's hypotheses look at its memory side by side, which then need not be copied for each.
        together = label.view(len(may_look), -1, label.shape[-1])
        return self._rest(together, memory, may_look).view_as(label), cache

    def _rest(self, labels: Tensor, memory: KeyValue, may_look: Tensor) -> Tensor:
        labels = labels + self.dropout(self.cross(self.norms[1](labels), memory, may_look))
        out: Tensor = labels + self.dropout(self.feed_forward(self.norms[2](labels)))
        return out


@dataclass(frozen=True)
class TransformerState:
    """Where each of N = B x k hypotheses stands.

    Attributes:
        caches: per block, keys and values (N, L, 2 D) of the labels so far; empty at first.
        memory: per block, keys and values (B, heads, T, D / heads) of the encoder output.
        may_look: (B, 1, 1, T).
        position: how many labels have been read.
    """

    caches: tuple[Tensor, ...]
    memory: tuple[KeyValue, ...]
    may_look: Tensor
    position: int


class TransformerDecoder(nn.Module):
    """Embedded labels with positions, then the blocks; the norm that ends them is the output layer's.

    Args:
        units: labels, `<sos/eos>` included.
        dim: size of a frame, the encoder's too.
        blocks: number of blocks.
        heads: attention heads.
        hidden: size of the feed-forward layers.
        dropout: on the embedded labels and in each block.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self,
        units: int,
        dim: int,
        *,
        blocks: int = 6,
        heads: int = 4,
        hidden: int = 2048,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(units, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)  # its output is multiplied by sqrt(dim)
        self.positions = ScaledPositions(dim, dropout=dropout)
        self.blocks = nn.ModuleList(
            DecoderBlock(dim, heads, hidden, dropout=dropout, attention_dropout=attention_dropout)
            for _ in range(blocks)
        )
        self.outputs = dim

    def parts(self) -> list[tuple[str, tuple[nn.Module, ...]]]:
        """The layers by name: `dec.0` (with the embedding), `dec.1` and so on."""
        blocks: list[tuple[str, tuple[nn.Module, ...]]] = [
            (f"dec.{index}", (block,)) for index, block in enumerate(self.blocks)
        ]
        name, modules = blocks[0]
        return [(name, (self.embedding, *modules)), *blocks[1:]]

    def forward(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing.

        Args:
            frames: (B, T, D) encoder output.
            lengths: (B,) its lengths.
            tokens: (B, L) the labels that are read, `<sos/eos>` first. Padding comes last, so that no real
                label can look at it.

        Returns:
            (B, L, D): output i has read the labels 0 … i.
        """
        labels = self.positions(self.embedding(tokens))
        may_look = key_mask(lengths, frames.shape[1])
        for block in self._blocks():
            labels = block(labels, block.cross.prepare(frames), may_look)
        return labels

    def init_state(self, frames: Tensor, lengths: Tensor) -> TransformerState:
        """(B, T, D), (B,) lengths -> the state before any label, one hypothesis per utterance."""
        memory = tuple(block.cross.prepare(frames) for block in self._blocks())
        return TransformerState((), memory, key_mask(lengths, frames.shape[1]), 0)

    def step(self, state: TransformerState, tokens: Tensor) -> tuple[Tensor, TransformerState]:
        """Read one label (N,) per hypothesis -> (N, D) output, and the state after it."""
        label = self.positions(self.embedding(tokens[:, None]), first=state.position)
        caches = []
        for index, block in enumerate(self._blocks()):
            past = state.caches[index] if state.caches else None
            label, cache = block.step(label, past, state.memory[index], state.may_look)
            caches.append(cache)
        after = TransformerState(tuple(caches), state.memory, state.may_look, state.position + 1)
        return label[:, 0], after

    def select(
        self, state: TransformerState, rows: Tensor, utterances: Tensor | None = None
    ) -> TransformerState:
        """The hypotheses `rows` (N',): as many for each utterance, in the order of the utterances.

        With `utterances` (B',) the others are dropped, and `rows` lists hypotheses of these only.
        """
        caches = tuple(cache.index_select(0, rows) for cache in state.caches)
        memory, may_look = state.memory, state.may_look
        if utterances is not None:
            memory = tuple((key[utterances], value[utterances]) for key, value in memory)
            may_look = may_look[utterances]
        return TransformerState(caches, memory, may_look, state.position)

    def _blocks(self) -> list[DecoderBlock]:
        return cast(list[DecoderBlock], list(self.blocks))
