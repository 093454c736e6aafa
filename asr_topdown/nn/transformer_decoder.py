"""The Transformer's decoder: pre-norm blocks with caches (Vaswani et al. 2017; Karita et al. 2019)."""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.nn.attention import CrossAttention, KeyValue, SelfAttention, attention_mask
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.key_value_pool import KeyValuePool, living, with_fresh
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
        self.ffn = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.ReLU(), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, labels: Tensor, memory: KeyValue, attn_mask: Tensor) -> Tensor:
        """(B, L, D) labels and the encoder's keys, values and mask -> (B, L, D)."""
        labels = labels + self.dropout(self.attention(self.norms[0](labels), None))
        return self._rest(labels, memory, attn_mask)

    def step(
        self,
        labels: Tensor,
        pool: KeyValuePool | None,
        ancestors: Tensor,
        memory: KeyValue,
        attn_mask: Tensor,
    ) -> tuple[Tensor, KeyValuePool]:
        """The newest labels (B, k, D) of k hypotheses per utterance -> (B, k, D), and the pool with them.

        `pool` and `ancestors` are those of `SelfAttention.step`.
        """
        added, pool = self.attention.step(self.norms[0](labels), pool, ancestors)
        return self._rest(labels + self.dropout(added), memory, attn_mask), pool

    def _rest(self, labels: Tensor, memory: KeyValue, attn_mask: Tensor) -> Tensor:
        labels = labels + self.dropout(self.cross(self.norms[1](labels), memory, attn_mask))
        out: Tensor = labels + self.dropout(self.ffn(self.norms[2](labels)))
        return out


@dataclass(frozen=True)
class TransformerState:
    """The state of each of N = B x k hypotheses.

    Attributes:
        pools: per block, keys and values of the labels so far, P per utterance; empty at first.
        ancestors: (B, k, P), true on those that a hypothesis has read.
        memory: per block, keys and values (B, heads, T, D / heads) of the encoder output.
        attn_mask: (B, 1, 1, T).
        position: how many labels have been read.
    """

    pools: tuple[KeyValuePool, ...]
    ancestors: Tensor
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
        attn_mask = attention_mask(lengths, frames.shape[1])
        nothing = torch.empty(len(frames), 1, 0, dtype=torch.bool, device=frames.device)
        return TransformerState((), nothing, memory, attn_mask, 0)

    def step(self, state: TransformerState, tokens: Tensor) -> tuple[Tensor, TransformerState]:
        """Read one label (N,) per hypothesis -> (N, D) output, and the state after it."""
        state = _without_the_dead(state)
        labels = self.positions(self.embedding(tokens[:, None]), first=state.position)
        # An utterance's hypotheses look at its memory side by side, which then need not be copied for each.
        labels = labels.view(*state.ancestors.shape[:2], -1)
        ancestors = with_fresh(state.ancestors)
        pools = []
        for index, block in enumerate(self._blocks()):
            past = state.pools[index] if state.pools else None
            labels, pool = block.step(labels, past, ancestors, state.memory[index], state.attn_mask)
            pools.append(pool)
        after = TransformerState(tuple(pools), ancestors, state.memory, state.attn_mask, state.position + 1)
        return labels.flatten(0, 1), after

    def select(
        self, state: TransformerState, rows: Tensor, utterances: Tensor | None = None
    ) -> TransformerState:
        """Select the hypotheses `rows` (N',): the same number per utterance, in the order of the utterances.

        With `utterances` (B',) the others are dropped, and `rows` lists hypotheses of these only.
        """
        pools, memory, attn_mask = state.pools, state.memory, state.attn_mask
        if utterances is not None:
            pools = tuple(pool.of_utterances(utterances) for pool in pools)
            memory = tuple((key[utterances], value[utterances]) for key, value in memory)
            attn_mask = attn_mask[utterances]
        ancestors = state.ancestors.flatten(0, 1).index_select(0, rows).unflatten(0, (len(attn_mask), -1))
        return TransformerState(pools, ancestors, memory, attn_mask, state.position)

    def _blocks(self) -> list[DecoderBlock]:
        return cast(list[DecoderBlock], list(self.blocks))


def _without_the_dead(state: TransformerState) -> TransformerState:
    """On a CPU, drop labels that no hypothesis descends from when the pools are full and would be copied."""
    beam = state.ancestors.shape[1]
    if not state.pools or state.pools[0].has_room(beam) or state.ancestors.device.type != "cpu":
        return state
    places = living(state.ancestors)
    return replace(
        state,
        pools=tuple(pool.take(places, beam) for pool in state.pools),
        ancestors=state.ancestors.gather(2, places[:, None].expand(-1, beam, -1)),
    )
