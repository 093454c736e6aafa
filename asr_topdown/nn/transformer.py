"""The Transformer's encoder block, pre-norm (Vaswani et al. 2017; Karita et al. 2019)."""

from torch import Tensor, nn

from asr_topdown.nn.attention import SelfAttention, attention_mask
from asr_topdown.nn.block import Block
from asr_topdown.nn.dropout import Dropout
from asr_topdown.nn.positions import InputLayer


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


class TransformerLayer(Block):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    Args:
        d_model: size of a frame.
        num_heads: attention heads.
        ffn_dim: size of the feed-forward layer.
        dropout: after attention and feed-forward, and inside the latter.
        attention_dropout: on the attention weights.
        input_layer: in front of the stack's first block; None in the others.
    """

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
        super().__init__(d_model=d_model, input_layer=input_layer)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))
        self.attention = SelfAttention(d_model=d_model, num_heads=num_heads, dropout=attention_dropout)
        self.ffn = FeedForward(d_model=d_model, ffn_dim=ffn_dim, activation=nn.ReLU(), dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Stage`."""
        x = self.input_layer(x)
        x = x + self.dropout(self.attention(self.norms[0](x), attention_mask(lengths, x.shape[1])))
        x = x + self.dropout(self.ffn(self.norms[1](x)))
        return x, lengths
