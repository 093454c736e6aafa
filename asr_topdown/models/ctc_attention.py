"""CTC-attention models (Kim et al. 2017): one encoder, a CTC output and an attention decoder over it.

Of an utterance's two losses the CTC one has the weight lambda: the model is trained on
lambda x CTC + (1 - lambda) x attention, each summed over the utterance and averaged over the batch.

The decoder has one unit more than the vocabulary: `<sos/eos>`, which begins and ends every label sequence
(in Kaldi's and ESPnet's way the two are one). Its id is the vocabulary's size, so that a vocabulary is the
same for every kind of model: the CTC output has V units, the decoder V + 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import (
    Judgement,
    Loss,
    ModelOutput,
    ctc_frames_needed,
    ctc_loss,
    label_loss,
    unit_prior,
)
from asr_topdown.models.model import Model, SpeechInput
from asr_topdown.nn.encoders import Encoder, Parts
from asr_topdown.nn.lengths import mask


class Decoder(Protocol):
    """What the model needs of a decoder; N = B x k hypotheses, k of each utterance side by side.

    Attributes:
        outputs: size H of an output.
    """

    outputs: int

    def __call__(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing: memory (B, T, D), its lengths, labels (B, L) -> (B, L, H)."""
        ...

    def init_state(self, frames: Tensor, lengths: Tensor) -> Any: ...
    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]: ...
    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any: ...
    def parts(self) -> Parts: ...


class Outputs(nn.Module):
    """The layer `softmax`: what turns the encoder's frames and the decoder's outputs into units.

    Args:
        memory: size of an encoder frame.
        decoder: size of a decoder output.
        units: size V of the vocabulary; the decoder has one unit more.
        norm: normalise the decoder's output first, as pre-norm blocks need.
    """

    def __init__(self, memory: int, decoder: int, units: int, *, norm: bool) -> None:
        super().__init__()
        self.ctc = nn.Linear(memory, units)
        self.norm = nn.LayerNorm(decoder) if norm else nn.Identity()
        self.decoder = nn.Linear(decoder, units + 1)

    def ctc_log_probs(self, memory: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V) in float32."""
        return F.log_softmax(self.ctc(memory).float(), dim=-1)

    def label_log_probs(self, outputs: Tensor) -> Tensor:
        """(…, H) -> (…, V + 1) in float32."""
        return F.log_softmax(self.decoder(self.norm(outputs)).float(), dim=-1)


@dataclass(frozen=True)
class AttentionScorer:
    """The attention decoder as a search sees it: labels in, log-probabilities of the next label out.

    N = B x k rows are `k` hypotheses of each of B utterances, an utterance's side by side. A state is never
    changed in place.

    Attributes:
        decoder: the decoder.
        outputs: the output layers.
        sos_eos: id of `<sos/eos>`, the first label to score and the one that ends a hypothesis.
    """

    decoder: Decoder
    outputs: Outputs
    sos_eos: int

    def init_state(self, memory: Tensor, lengths: Tensor) -> Any:
        """(B, T, D), (B,) from `encode` -> the state before any label, one hypothesis per utterance."""
        return self.decoder.init_state(memory, lengths.clamp(min=1))

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Append `tokens` (N,) to the hypotheses -> (N, V + 1) log-probabilities of the next, new state."""
        outputs, state = self.decoder.step(state, tokens)
        return self.outputs.label_log_probs(outputs), state

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        """The hypotheses `rows` (N',), again as many for each utterance, in the order of the utterances.

        A row must come from its own utterance. To widen a fresh state to k hypotheses, give
        `arange(B).repeat_interleave(k)`. With `utterances` (B',) the others are dropped, and `rows` lists
        hypotheses of these only.
        """
        return self.decoder.select(state, rows, utterances)


class CtcAttention(Model):
    """An encoder under a CTC output and an attention decoder.

    Args:
        encoder: features to memory.
        decoder: memory and labels to outputs, built for `units` + 1 labels.
        units: size V of the vocabulary; unit 0 is the blank.
        norm: normalise the encoder's and the decoder's outputs, as pre-norm blocks need.
        ctc_weight: lambda.
        label_smoothing: of the attention loss.
        smoothing_prior: what it spreads over: all units alike ("uniform"), or each as often as it occurs
            ("unigram"; `set_prior` must be told the training labels first).
    """

    output_kind: ClassVar[str] = "ctc"
    prior: Tensor | None

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        units: int,
        *,
        norm: bool = False,
        ctc_weight: float = 0.3,
        label_smoothing: float = 0.0,
        smoothing_prior: str = "uniform",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.memory_norm = nn.LayerNorm(encoder.outputs) if norm else nn.Identity()
        self.softmax = Outputs(encoder.outputs, decoder.outputs, units, norm=norm)
        self.sos_eos = units
        self.ctc_weight = ctc_weight
        self.label_smoothing = label_smoothing
        self.wants_prior = label_smoothing > 0 and smoothing_prior == "unigram"
        # Of the data, not learnt: no part of a checkpoint, and so of no layer.
        self.register_buffer("prior", None, persistent=False)

    def layers(self) -> tuple[Layer, ...]:
        """The encoder's layers, the decoder's, `softmax` (both output layers).

        A norm is in the layer that reads it: the encoder's in the first of the decoder, the decoder's in
        `softmax`.
        """
        (name, modules), *above = self.decoder.parts()
        parts = [*self.encoder.parts(), (name, (self.memory_norm, *modules)), *above]
        return tuple(Layer(name, modules) for name, modules in [*parts, ("softmax", (self.softmax,))])

    def encode(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) -> memory (B, T', D'), (B,) lengths; 0 for an utterance too short."""
        memory, lengths = self.encoder(feats, lengths)
        return self.memory_norm(memory), lengths

    def ctc_log_probs(self, memory: Tensor) -> Tensor:
        """(B, T', D') from `encode` -> (B, T', V) log-probabilities in float32."""
        return self.softmax.ctc_log_probs(memory)

    @property
    def scorer(self) -> AttentionScorer:
        """The decoder, for a search."""
        return AttentionScorer(self.decoder, self.softmax, self.sos_eos)

    def forward(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) features, (B,) -> (B, T', V) log-probabilities of CTC in float32, (B,) lengths."""
        memory, lengths = self.encode(feats, lengths)
        return self.ctc_log_probs(memory), lengths

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
        """Mean over the utterances of a batch of the weighted losses, in nats."""
        losses = self.judge(feats, feat_lengths, tokens, token_lengths).losses
        return Loss(losses.mean(), losses.detach())

    def judge(self, feats: Tensor, feat_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Judgement:
        """Losses and predictions of a batch as `data.batch.SpeechBatch` describes it."""
        memory, lengths = self.encode(feats, feat_lengths)
        log_probs = self.ctc_log_probs(memory)
        ctc = ctc_loss(log_probs, lengths, tokens, token_lengths)
        read, predict, real = self._with_ends(tokens, token_lengths)
        predicted = self.softmax.label_log_probs(self.decoder(memory, lengths.clamp(min=1), read))
        assert self.prior is not None or not self.wants_prior, "unigram smoothing: call set_prior first"
        attention = label_loss(predicted, predict, real, smoothing=self.label_smoothing, prior=self.prior)
        return Judgement(
            log_probs,
            lengths,
            self.ctc_weight * ctc + (1 - self.ctc_weight) * attention,
            ((predicted.detach().argmax(-1) == predict) & real).sum(-1),
            token_lengths + 1,
        )

    def output_length(self, length: Tensor) -> Tensor:
        """Frames of memory for `length` input frames."""
        return self.encoder.output_length(length)

    def frames_needed(self, units: Sequence[int]) -> int:
        """Fewest frames of memory to train on `units`."""
        return ctc_frames_needed(units)

    def set_prior(self, sequences: Iterable[Sequence[int]]) -> None:
        """Tell a model with unigram smoothing the labels that it will be trained on; others ignore them."""
        if self.wants_prior:
            prior = unit_prior(sequences, self.sos_eos + 1, self.sos_eos)
            self.prior = prior.to(self.softmax.ctc.weight.device)

    def _with_ends(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L), (B,) -> labels to read and to predict, both (B, L + 1), and which of them are real."""
        end = tokens.new_full((len(tokens), 1), self.sos_eos)
        tokens = tokens.masked_fill(~mask(lengths, tokens.shape[1]), self.sos_eos)
        real = mask(lengths + 1, tokens.shape[1] + 1)
        return torch.cat([end, tokens], 1), torch.cat([tokens, end], 1), real
