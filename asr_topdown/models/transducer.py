"""Transducers (Graves 2012): an encoder reads the sound, a predictor the labels, a joint network both.

At frame t, with u labels out, the joint network says whether the next frame is due (a blank) or which label
comes next. The loss sums over all ways of going through the frames and the labels (`nn.transducer_loss`).
An auxiliary CTC output on the encoder may be trained along: with weight lambda, the model is trained on
lambda x CTC + (1 - lambda) x transducer. It helps a small model to begin; decoding does not use it.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import Judgement, Loss, ModelOutput, ctc_frames_needed, ctc_loss
from asr_topdown.models.model import Model, SpeechInput
from asr_topdown.nn.encoders import Encoder
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.nn.transducer_loss import transducer_loss


class Joint(nn.Module):
    """The layer `softmax`: what turns a frame and a predictor's output into units.

    Args:
        memory: size D of an encoder frame.
        predictor: size H of a predictor's output.
        units: size V of the vocabulary.
        size: of the space in which the two are added.
        norm: normalise the frames first, as pre-norm blocks need.
        ctc: with a CTC output on the frames.
    """

    def __init__(self, memory: int, predictor: int, units: int, *, size: int, norm: bool, ctc: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(memory) if norm else nn.Identity()
        self.memory = nn.Linear(memory, size)
        self.predictor = nn.Linear(predictor, size, bias=False)
        self.output = nn.Linear(size, units)
        self.ctc = nn.Linear(memory, units) if ctc else None

    def forward(self, frames: Tensor, outputs: Tensor) -> Tensor:
        """(…, D) normed frames and (…, H) outputs, broadcast against each other -> (…, V) logits."""
        logits: Tensor = self.output(torch.tanh(self.memory(frames) + self.predictor(outputs)))
        return logits


class Transducer(Model):
    """An encoder and a predictor under a joint network.

    Args:
        encoder: features to memory.
        predictor: labels to outputs.
        units: size V of the vocabulary; unit 0 is the blank.
        joint: size of the space in which frames and outputs meet.
        norm: normalise the encoder's output, as pre-norm blocks need.
        ctc_weight: lambda; at 0 there is no CTC output.
        loss: the back end of `nn.transducer_loss`.
    """

    output_kind: ClassVar[str] = "transducer"

    def __init__(
        self,
        encoder: Encoder,
        predictor: LstmPredictor,
        units: int,
        *,
        joint: int = 320,
        norm: bool = False,
        ctc_weight: float = 0.0,
        loss: str = "auto",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.softmax = Joint(
            encoder.outputs, predictor.outputs, units, size=joint, norm=norm, ctc=ctc_weight > 0
        )
        self.ctc_weight = ctc_weight
        self.backend = loss

    def layers(self) -> tuple[Layer, ...]:
        """The encoder's layers, `predictor`, `softmax`.

        `softmax` is the joint network, the CTC output if there is one, and the norm that a Transformer
        encoder ends with, which both read.
        """
        parts = [*self.encoder.parts(), ("predictor", (self.predictor,)), ("softmax", (self.softmax,))]
        return tuple(Layer(name, modules) for name, modules in parts)

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) -> memory (B, T', D') for the joint network, (B,) lengths."""
        memory, lengths = self.encoder(feats, lengths)
        return self.softmax.norm(memory), lengths

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
        """Mean loss per utterance in nats, of a batch as `data.batch.SpeechBatch` describes it."""
        losses = self.judge(feats, feat_lengths, tokens, token_lengths).losses
        return Loss(losses.mean(), losses.detach())

    def judge(self, feats: Tensor, feat_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Judgement:
        """Losses and memory of such a batch."""
        memory, lengths = self(feats, feat_lengths)
        tokens = tokens.masked_fill(~mask(token_lengths, tokens.shape[1]), 0)
        logits = self.softmax(memory[:, :, None], self.predictor(tokens)[:, None])
        losses = transducer_loss(logits, tokens, lengths, token_lengths, self.backend)
        if self.softmax.ctc is not None:
            log_probs = F.log_softmax(self.softmax.ctc(memory).float(), dim=-1)
            ctc = ctc_loss(log_probs, lengths, tokens, token_lengths)
            losses = self.ctc_weight * ctc + (1 - self.ctc_weight) * losses
        return Judgement(memory, lengths, losses)

    def output_length(self, length: Tensor) -> Tensor:
        """Frames of memory for `length` input frames."""
        return self.encoder.output_length(length)

    def frames_needed(self, units: Sequence[int]) -> int:
        """Fewest frames of memory to train on `units`: one, or what the CTC output needs."""
        return 1 if self.softmax.ctc is None else ctc_frames_needed(units)
