"""BLSTM-CTC: a stack of bidirectional LSTM layers under one softmax (Graves et al. 2006)."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import Judgement, Loss, ModelOutput, ctc_frames_needed, ctc_loss
from asr_topdown.models.model import Model, SpeechInput
from asr_topdown.nn.blstm import BlstmStack
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.stacking import stack_frames


class BlstmCtc(Model):
    """Frame stacking -> `layers` x BLSTM -> linear -> log-softmax.

    Args:
        inputs: size of a feature frame.
        units: size of the vocabulary; unit 0 is the blank.
        layers: number of BLSTM layers.
        cells: LSTM cells in each direction.
        projection: size of the linear layer after each BLSTM layer; 0 = none.
        stack: input frames joined into one.
        subsample: frame subsampling after each layer; missing entries are 1.
        norm: layer normalisation after each BLSTM layer.
        dropout: on the output of each BLSTM layer, while training.
    """

    output_kind: ClassVar[str] = "ctc"

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        layers: int = 4,
        cells: int = 320,
        projection: int = 0,
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
        self.softmax = nn.Linear(self.blstm.outputs, units)

    def layers(self) -> tuple[Layer, ...]:
        """`blstm.0`, `blstm.1`, …, `softmax`."""
        stack = [Layer(f"blstm.{index}", (layer,)) for index, layer in enumerate(self.blstm)]
        return (*stack, Layer("softmax", (self.softmax,)))

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features and (B,) lengths -> (B, T', V) log-probabilities in float32, (B,) lengths."""
        if self.below == 0:
            feats, lengths = self._stacked(feats, lengths)
        hidden, lengths = self.blstm(feats, lengths, self.below)
        return F.log_softmax(self.softmax(hidden).float(), dim=-1), lengths

    def bottom(self, feats: Tensor, lengths: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """What the lowest `count` layers give."""
        out: tuple[Tensor, Tensor] = self.blstm(*self._stacked(feats, lengths), 0, count)
        return out

    def _stacked(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        feats = feats.masked_fill(~mask(lengths, feats.shape[1])[:, :, None], 0.0)
        return stack_frames(feats, lengths, self.stack)

    def forward_with_loss(self, batch: SpeechInput, hidden_state: Sequence[Tensor] = ()) -> ModelOutput:
        """As `Model`."""
        judged = self.judge(batch.feats, batch.feat_lengths, batch.tokens, batch.token_lengths)
        return ModelOutput(
            judged.losses.mean(),
            judged.losses.detach(),
            memory=judged.outputs,
            lengths=judged.lengths,
            correct=judged.correct,
            labels=judged.labels,
        )

    def loss(self, feats: Tensor, feat_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Loss:
        """Mean CTC loss per utterance in nats, of a batch as `data.batch.SpeechBatch` describes it."""
        losses = self.judge(feats, feat_lengths, tokens, token_lengths).losses
        return Loss(losses.mean(), losses.detach())

    def judge(self, feats: Tensor, feat_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Judgement:
        """Losses and log-probabilities of such a batch."""
        log_probs, lengths = self(feats, feat_lengths)
        return Judgement(log_probs, lengths, ctc_loss(log_probs, lengths, tokens, token_lengths))

    def output_length(self, length: Tensor) -> Tensor:
        """Frames of log-probabilities for `length` input frames."""
        return self.blstm.output_length(-(-length // self.stack))

    def frames_needed(self, units: Sequence[int]) -> int:
        """Fewest frames of log-probabilities to train on `units`."""
        return ctc_frames_needed(units)
