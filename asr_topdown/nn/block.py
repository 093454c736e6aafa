"""A stack of equal blocks: what Transformer, Conformer and E-Branchformer have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from asr_topdown.nn.positions import InputLayer
from asr_topdown.nn.stage import Stage


class Block(Stage):
    """One block, which changes neither the number of frames nor their size.

    Args:
        d_model: size of a frame.
        input_layer: in front of the stack's first block; None in the others.
    """

    name = "enc"
    prenorm = True

    def __init__(self, *, d_model: int, input_layer: InputLayer | None) -> None:
        super().__init__()
        self.input_layer = input_layer or nn.Identity()
        self.output_size = d_model

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T."""
        return lengths


AnyBlock = TypeVar("AnyBlock", bound=Block)


def stack(
    block: Callable[..., AnyBlock],
    input_size: int,
    *,
    num_layers: int,
    d_model: int,
    dropout: float,
    **settings: Any,
) -> list[AnyBlock]:
    """A stack of blocks.

    Args:
        block: their class.
        input_size: size of an input frame.
        num_layers: number of blocks.
        d_model: size of a frame in the blocks.
        dropout: on the input and in each block.
        settings: the other arguments of each block.

    Raises:
        ValueError: if `d_model` is odd, or the block does not accept a setting.
    """
    layers = []
    for index in range(num_layers):
        first = InputLayer(input_size=input_size, d_model=d_model, dropout=dropout) if not index else None
        layers.append(block(d_model=d_model, dropout=dropout, input_layer=first, **settings))
    return layers
