"""Encoders: from features to the memory that a CTC output and a decoder read, as a list of named parts."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor, nn

from asr_topdown.nn.attention import key_mask
from asr_topdown.nn.blstm import BlstmStack
from asr_topdown.nn.conformer import ConformerBlock
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.positions import ScaledPositions
from asr_topdown.nn.stacking import stack_frames
from asr_topdown.nn.subsampling import ConvSubsampling
from asr_topdown.nn.transformer import EncoderBlock
from asr_topdown.nn.vgg import FILTERS, Vgg

Parts = list[tuple[str, tuple[nn.Module, ...]]]


class Encoder(Protocol):
    """What the models need of an encoder.

    Attributes:
        outputs: size D' of an output frame.
    """

    outputs: int

    def __call__(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) lengths -> (B, T', D'), (B,) lengths; padding may hold anything."""
        ...

    def output_length(self, length: Tensor) -> Tensor:
        """T' for T; 0 where T is too short for the front end."""
        ...

    def parts(self) -> Parts:
        """Layer names and their modules, input first."""
        ...


class BlstmEncoder(nn.Module):
    """Frame stacking, then BLSTM layers; for the arguments see `nn.blstm.BlstmStack`."""

    def __init__(
        self,
        inputs: int,
        *,
        layers: int = 4,
        cells: int = 320,
        projection: int = 320,
        stack: int = 1,
        subsample: Sequence[int] = (),
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.below = 0  # so many layers are done already: the input is what the last of them gave
        self.stack = stack
        self.blstm = BlstmStack(
            inputs * stack,
            layers=layers,
            cells=cells,
            projection=projection,
            subsample=subsample,
            norm=norm,
            dropout=dropout,
        )
        self.outputs = self.blstm.outputs

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Encoder`."""
        if self.below == 0:
            feats, lengths = self._stacked(feats, lengths)
        out: tuple[Tensor, Tensor] = self.blstm(feats, lengths, self.below)
        return out

    def bottom(self, feats: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What the lowest `count` layers give."""
        out: tuple[Tensor, Tensor] = self.blstm(*self._stacked(feats, lengths), 0, count)
        return out

    def _stacked(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        feats = feats.masked_fill(~mask(lengths, feats.shape[1])[:, :, None], 0.0)
        return stack_frames(feats, lengths, self.stack)

    def output_length(self, length: Tensor) -> Tensor:
        """As `Encoder`."""
        return self.blstm.output_length(-(-length // self.stack))

    def parts(self) -> Parts:
        """The layers `blstm.0`, `blstm.1` and so on."""
        return _numbered("blstm", self.blstm)


class VggBlstmEncoder(nn.Module):
    """The VGG front end, then BLSTM layers; for the arguments see `nn.vgg.Vgg` and `nn.blstm.BlstmStack`."""

    def __init__(
        self,
        inputs: int,
        *,
        channels: int = 1,
        filters: Sequence[int] = FILTERS,
        layers: int = 4,
        cells: int = 320,
        projection: int = 320,
        subsample: Sequence[int] = (),
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.below = 0  # as `BlstmEncoder`
        self.vgg = Vgg(inputs, channels=channels, filters=filters)
        self.blstm = BlstmStack(
            self.vgg.outputs,
            layers=layers,
            cells=cells,
            projection=projection,
            subsample=subsample,
            norm=norm,
            dropout=dropout,
        )
        self.outputs = self.blstm.outputs

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Encoder`."""
        if self.below == 0:
            feats, lengths = self.vgg(feats, lengths)
        out: tuple[Tensor, Tensor] = self.blstm(feats, lengths, max(0, self.below - 1))
        return out

    def bottom(self, feats: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What the lowest `count` layers give."""
        out: tuple[Tensor, Tensor] = self.blstm(*self.vgg(feats, lengths), 0, count - 1)
        return out

    def output_length(self, length: Tensor) -> Tensor:
        """As `Encoder`."""
        return self.blstm.output_length(self.vgg.output_length(length))

    def parts(self) -> Parts:
        """The layers `vgg`, `blstm.0`, `blstm.1` and so on."""
        return [("vgg", (self.vgg,)), *_numbered("blstm", self.blstm)]


class TransformerEncoder(nn.Module):
    """Convolutional subsampling, positions, Transformer or Conformer blocks.

    The norm that pre-norm blocks end with belongs to whatever reads the output.

    Args:
        inputs: size of a feature frame.
        block: "transformer" or "conformer".
        blocks: number of blocks.
        dim: size of a frame.
        heads: attention heads.
        hidden: size of the feed-forward layers.
        channels: of the subsampling convolutions; 0 = `dim`.
        kernel: frames that a Conformer's depthwise convolution sees.
        conv_norm: in a Conformer's convolution module, "layer" or "batch".
        dropout: on the input and in each block.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self,
        inputs: int,
        *,
        block: str = "transformer",
        blocks: int = 12,
        dim: int = 256,
        heads: int = 4,
        hidden: int = 2048,
        channels: int = 0,
        kernel: int = 31,
        conv_norm: str = "layer",
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.below = 0  # as `BlstmEncoder`
        self.subsample = ConvSubsampling(inputs, dim, channels=channels)
        self.positions = ScaledPositions(dim, dropout=dropout)
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            self.blocks.append(
                ConformerBlock(
                    dim,
                    heads,
                    hidden,
                    kernel=kernel,
                    norm=conv_norm,
                    dropout=dropout,
                    attention_dropout=attention_dropout,
                )
                if block == "conformer"
                else EncoderBlock(dim, heads, hidden, dropout=dropout, attention_dropout=attention_dropout)
            )
        self.outputs = dim

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `Encoder`."""
        if self.below == 0:
            feats, lengths = self._placed(feats, lengths)
        return self._through(self.blocks[max(0, self.below - 1) :], feats, lengths)

    def bottom(self, feats: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What the lowest `count` layers give."""
        return self._through(self.blocks[: count - 1], *self._placed(feats, lengths))

    def _placed(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        hidden, lengths = self.subsample(feats, lengths)
        return self.positions(hidden), lengths

    def _through(self, blocks: Iterable[nn.Module], hidden: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        may_look = key_mask(lengths, hidden.shape[1])
        for block in blocks:
            hidden = block(hidden, may_look)
        return hidden, lengths

    def output_length(self, length: Tensor) -> Tensor:
        """As `Encoder`."""
        return self.subsample.output_length(length)

    def parts(self) -> Parts:
        """The layers `subsample`, `enc.0`, `enc.1` and so on."""
        return [("subsample", (self.subsample, self.positions)), *_numbered("enc", self.blocks)]


def _numbered(name: str, modules: nn.ModuleList) -> Parts:
    return [(f"{name}.{index}", (module,)) for index, module in enumerate(modules)]
