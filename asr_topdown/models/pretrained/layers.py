"""The stages `enc.0`, `enc.1`, … of pretrained encoders, and `mix`.

A chain of stages passes on one sequence. If outputs of several layers are needed, a frame holds those
from below, concatenated, in front of the next layer's input.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.stage import Stage

_FAR = torch.finfo(torch.bfloat16).min
"""Added to the scores of masked frames; float16 has no number so low and takes its lowest."""


class Block(nn.Module):
    """A layer of the library's as a function of a padded batch: (B, T, D), (B,) lengths -> (B, T, D).

    Args:
        layer: the library's module.
    """

    def __init__(self, *, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = self.layer(x, attention_mask=_scores_mask(lengths, x))
        return out


class ConformerBlock(Block):
    """A layer of Wav2Vec2-BERT, whose convolution must not see the padding either."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = self.layer(
            x, attention_mask=_scores_mask(lengths, x), conv_attention_mask=mask(lengths, x.shape[1])
        )
        return out


class WindowBlock(Block):
    """A layer of Whisper: each window is a separate sequence, and the silence after the audio is attended to.

    Args:
        layer: the library's module.
        window: frames.
    """

    def __init__(self, *, layer: Any, window: int) -> None:
        super().__init__(layer=layer)
        self.window = window

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = self.layer(x.reshape(-1, self.window, x.shape[2]), None)
        return out.reshape(x.shape)


class GatedBlock(Block):
    """A layer of WavLM: attention with a gated bias by distance (Chen et al. 2022, section III.B).

    The library's layers share one table of distances, its first layer's. Here each has a copy, so that it can
    be frozen or retrained alone; and the matrices are used by calling their modules, which adapters need.

    Args:
        layer: the library's module.
        table: the shared table.
    """

    def __init__(self, *, layer: Any, table: nn.Embedding) -> None:
        super().__init__(layer=layer)
        attention = layer.attention
        if not hasattr(attention, "rel_attn_embed"):
            attention.rel_attn_embed = nn.Embedding.from_pretrained(
                table.weight.detach().clone(), freeze=False
            )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        layer, prenorm = self.layer, type(self.layer).__name__.endswith("StableLayerNorm")
        read = layer.layer_norm(x) if prenorm else x
        x = x + layer.dropout(self._attended(read, _scores_mask(lengths, x)))
        if prenorm:
            return x + layer.feed_forward(layer.final_layer_norm(x))
        x = layer.layer_norm(x)
        out: Tensor = layer.final_layer_norm(x + layer.feed_forward(x))
        return out

    def _attended(self, x: Tensor, padding: Tensor) -> Tensor:
        attention = self.layer.attention
        batch, time, size = x.shape
        heads = x.view(batch, time, attention.num_heads, -1)
        query, key, value = (
            projection(x).view(heads.shape).transpose(1, 2)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        projected = attention.gru_rel_pos_linear(heads.transpose(1, 2))
        first, second = projected.unflatten(-1, (2, 4)).sum(-1).sigmoid().chunk(2, dim=-1)
        gate = first * (second * attention.gru_rel_pos_const - 1.0) + 2.0
        bias = gate * attention.compute_bias(time, time) + padding
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return attention.out_proj(out.transpose(1, 2).reshape(batch, time, size))


class EncoderLayer(Stage):
    """One layer of a pretrained encoder.

    Args:
        block: the layer.
        norm: of the last layer's output, or an `nn.Identity`.
        size: of a frame of the layer's input.
        kept: number of outputs of lower layers in front of it.
        keep_input: whether to keep the layer's input as well.
        window: frames per window in which the layers work; 0 = they work on whole utterances.
        last: whether it is the last layer, so that the padding of the last window is cut off.
        dropout: on the output.
        published: see `Stage`.
    """

    name = "enc"
    reads_host_lengths = True

    def __init__(
        self,
        *,
        block: Block,
        norm: nn.Module,
        size: int,
        kept: int,
        keep_input: bool,
        window: int,
        last: bool,
        dropout: float,
        published: bool,
    ) -> None:
        super().__init__()
        self.published = published
        self.block, self.norm = block, norm
        self.dropout = Dropout(dropout)
        self.below, self.keep_input = kept * size, keep_input
        self.cut = last and window > 0
        self.window = 0 if last else window
        self.output_size = (kept + keep_input + 1) * size

    def forward(
        self, x: Tensor, lengths: Tensor, host_lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        read = x[..., self.below :]
        out = self.dropout(self.norm(self.block(read, lengths)))
        if self.below or self.keep_input:
            out = torch.cat([x if self.keep_input else x[..., : self.below], out], dim=-1)
        if self.cut:
            on_host = lengths if host_lengths is None else host_lengths
            out = out[:, : max(1, int(on_host.max()))]
        return out, lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T."""
        return lengths


class Mix(Stage):
    """The sum of several layers' outputs, with trained weights that sum to 1 (Peters et al. 2018).

    Args:
        count: how many layers.
        size: of a frame of each.
    """

    name = "mix"
    numbered = False

    def __init__(self, *, count: int, size: int) -> None:
        super().__init__()
        self.output_size = size
        self.weights = nn.Parameter(torch.zeros(count))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        shares = self.weights.softmax(0)
        return (x.unflatten(-1, (len(shares), self.output_size)) * shares[:, None]).sum(-2), lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T."""
        return lengths


def _scores_mask(lengths: Tensor, x: Tensor) -> Tensor:
    """(B, 1, 1, T): 0 for attended frames, at least one per utterance, otherwise very low."""
    real = mask(lengths.clamp(min=1), x.shape[1])[:, None, None]
    low = max(_FAR, torch.finfo(x.dtype).min)
    return torch.zeros(real.shape, dtype=x.dtype, device=x.device).masked_fill(~real, low)
