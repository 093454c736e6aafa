"""The Transformer's encoder block, pre-norm (Vaswani et al. 2017; Karita et al. 2019)."""

from torch import Tensor, nn

from asr_topdown.nn.attention import SelfAttention, attention_mask
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import InputLayer
from asr_topdown.nn.stage import Stage


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear."""

    def __init__(self, *, d_model: int, ffn_dim: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(d_model, ffn_dim)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.linear2 = nn.Linear(ffn_dim, d_model)

    def forward(self, frames: Tensor) -> Tensor:
        """(…, d_model) -> (…, d_model)."""
        out: Tensor = self.linear2(self.dropout(self.activation(self.linear1(frames))))
        return out


class TransformerLayer(Stage):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    Args:
        d_model: size of a frame.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layer.
        dropout: after attention and feed-forward, and inside the latter.
        attention_dropout: on the attention weights.
        input_layer: in front of the stack's first block; None in the others.
    """

    name = "enc"
    prenorm = True

    def __init__(
        self,
        *,
        d_model: int,
        num_heads: int,
        ffn_dim: int,
        dropout: float,
        attention_dropout: float,
        input_layer: InputLayer | None,
    ) -> None:
        super().__init__()
        self.input_layer = input_layer or nn.Identity()
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))
        self.attention = SelfAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.ffn = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.ReLU(), dropout=dropout)
        self.dropout = Dropout(dropout)
        self.output_size = d_model

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        x = self.input_layer(x)
        x = x + self.dropout(self.attention(self.norms[0](x), attention_mask(lengths, x.shape[1])))
        x = x + self.dropout(self.ffn(self.norms[1](x)))
        return x, lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T."""
        return lengths


def transformer_stages(
    input_size: int,
    *,
    num_layers: int,
    d_model: int,
    num_heads: int,
    ffn_dim: int,
    dropout: float,
    attention_dropout: float,
) -> list[TransformerLayer]:
    """A stack of Transformer blocks.

    Args:
        input_size: size of an input frame.
        num_layers: number of blocks.
        d_model: size of a frame in the blocks.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layers.
        dropout: on the input and in each block.
        attention_dropout: on the attention weights.

    Raises:
        ValueError: if `d_model` is odd or `num_heads` does not divide it.
    """
    return [
        TransformerLayer(
            d_model=d_model,
            num_heads=num_heads,
            ffn_dim=ffn_dim,
            dropout=dropout,
            attention_dropout=attention_dropout,
            input_layer=None
            if index
            else InputLayer(input_size=input_size, d_model=d_model, dropout=dropout),
        )
        for index in range(num_layers)
    ]
