"""The Transformer's decoder: pre-norm blocks with caches (Vaswani et al. 2017; Karita et al. 2019)."""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.nn.attention import CrossAttention, KeyValue, SelfAttention, attention_mask
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import ScaledPositions
from asr_topdown.nn.transformer import FeedForward


class DecoderBlock(nn.Module):
    """Attention to the labels so far, attention to the encoder's output, feed-forward; each x + f(norm(x)).

    The arguments are those of `nn.transformer.TransformerLayer`.
    """

    def __init__(
        self, *, d_model: int, num_heads: int, ffn_dim: int, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(3))
        self.attention = SelfAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.cross = CrossAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.ffn = FeedForward(
            d_model=d_model, ffn_dim=ffn_dim, activation=nn.ReLU(inplace=True), dropout=dropout
        )
        self.dropout = Dropout(dropout)

    def forward(self, labels: Tensor, memory: KeyValue, attn_mask: Tensor) -> Tensor:
        """(B, L, D) labels and the encoder's keys, values and mask -> (B, L, D)."""
        labels = labels + self.dropout(self.attention(self.norms[0](labels), None))
        return self._rest(labels, memory, attn_mask)

    def step(
        self,
        label: Tensor,
        cache: Tensor | None,
        rows: Tensor | None,
        memory: KeyValue,
        attn_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The newest label (N, 1, D) of k hypotheses per utterance -> (N, 1, D), longer cache."""
        added, cache = self.attention.step(self.norms[0](label), cache, rows)
        label = label + self.dropout(added)
        # An utterance's hypotheses look at its memory side by side, which then need not be copied for each.
        together = label.view(len(attn_mask), -1, label.shape[-1])
        return self._rest(together, memory, attn_mask).view_as(label), cache

    def _rest(self, labels: Tensor, memory: KeyValue, attn_mask: Tensor) -> Tensor:
        labels = labels + self.dropout(self.cross(self.norms[1](labels), memory, attn_mask))
        out: Tensor = labels + self.dropout(self.ffn(self.norms[2](labels)))
        return out


@dataclass(frozen=True)
class TransformerState:
    """The state of each of N = B x k hypotheses.

    Attributes:
        caches: per block, keys and values (N', L, 2 D) of the labels so far; empty at first.
        rows: (N,) which rows of the caches the hypotheses go on from; None = all, N' = N. They are copied
            together with the next label.
        memory: per block, keys and values (B, heads, T, D / heads) of the encoder output.
        attn_mask: (B, 1, 1, T).
        position: how many labels have been read.
    """

    caches: tuple[Tensor, ...]
    rows: Tensor | None
    memory: tuple[KeyValue, ...]
    attn_mask: Tensor
    position: int


class TransformerDecoder(nn.Module):
    """Embedded labels with positions, then the blocks; the final norm belongs to the output layer.

    Args:
        vocab_size: number of labels, including `<sos/eos>`.
        memory_size: size of an encoder frame, and of the blocks.
        num_layers: number of blocks.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layers.
        dropout: on the embedded labels and in each block.
        attention_dropout: on the attention weights.

    Raises:
        ValueError: if `memory_size` is odd or `num_heads` does not divide it.
    """

    prenorm = True

    def __init__(
        self,
        *,
        vocab_size: int,
        memory_size: int,
        num_layers: int,
        num_heads: int,
        ffn_dim: int,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, memory_size)
        # Its output is multiplied by the root of its size.
        nn.init.normal_(self.embedding.weight, std=memory_size**-0.5)
        self.positions = ScaledPositions(d_model=memory_size, dropout=dropout)
        self.blocks = nn.ModuleList(
            DecoderBlock(
                d_model=memory_size,
                num_heads=num_heads,
                ffn_dim=ffn_dim,
                dropout=dropout,
                attention_dropout=attention_dropout,
            )
            for _ in range(num_layers)
        )
        self.output_size = memory_size

    def layers(self) -> tuple[Layer, ...]:
        """`dec.0` (with the embedding and the positions), `dec.1` and so on."""
        below: tuple[nn.Module, ...] = (self.embedding, self.positions)
        return tuple(
            Layer(f"dec.{index}", (block,) if index else (*below, block))
            for index, block in enumerate(self.blocks)
        )

    def forward(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing.

        Args:
            frames: (B, T, D) encoder output.
            lengths: (B,) its lengths.
            tokens: (B, L) input labels, `<sos/eos>` first. Padding comes last, so that no real
                label can attend to it.

        Returns:
            (B, L, D): output i has read the labels 0 … i.
        """
        labels = self.positions(self.embedding(tokens))
        attn_mask = attention_mask(lengths, frames.shape[1])
        for block in self._blocks():
            labels = block(labels, block.cross.prepare(frames), attn_mask)
        return labels

    def init_state(self, frames: Tensor, lengths: Tensor) -> TransformerState:
        """(B, T, D), (B,) lengths -> the state before any label, one hypothesis per utterance."""
        memory = tuple(block.cross.prepare(frames) for block in self._blocks())
        return TransformerState((), None, memory, attention_mask(lengths, frames.shape[1]), 0)

    def step(self, state: TransformerState, tokens: Tensor) -> tuple[Tensor, TransformerState]:
        """Read one label (N,) per hypothesis -> (N, D) output, and the state after it."""
        label = self.positions(self.embedding(tokens[:, None]), first=state.position)
        caches = []
        for index, block in enumerate(self._blocks()):
            past = state.caches[index] if state.caches else None
            label, cache = block.step(label, past, state.rows, state.memory[index], state.attn_mask)
            caches.append(cache)
        after = TransformerState(tuple(caches), None, state.memory, state.attn_mask, state.position + 1)
        return label[:, 0], after

    def select(
        self, state: TransformerState, rows: Tensor, utterances: Tensor | None = None
    ) -> TransformerState:
        """Select the hypotheses `rows` (N',): the same number per utterance, in the order of the utterances.

        With `utterances` (B',) the others are dropped, and `rows` lists hypotheses of these only.
        """
        if state.rows is not None:
            rows = state.rows.index_select(0, rows)
        memory, attn_mask = state.memory, state.attn_mask
        if utterances is not None:
            memory = tuple((key[utterances], value[utterances]) for key, value in memory)
            attn_mask = attn_mask[utterances]
        kept = rows if state.caches else None
        return TransformerState(state.caches, kept, memory, attn_mask, state.position)

    def _blocks(self) -> list[DecoderBlock]:
        return cast(list[DecoderBlock], list(self.blocks))
