"""An attention decoder: each label from the memory and the previous labels (Chorowski et al. 2015).

It has one more unit than the vocabulary: `<sos/eos>`, which starts and ends every label sequence (as in Kaldi
and ESPnet the two are one). Its id is the vocabulary's size, so that all kinds of heads share a
vocabulary: CTC has V units, the decoder V + 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import label_loss, unit_prior
from asr_topdown.models.heads.head import Head, HeadOutput
from asr_topdown.nn.lengths import mask


class AttentionDecoder(Protocol):
    """The head's interface to a decoder; N = B x k hypotheses, k adjacent ones per utterance.

    Attributes:
        output_size: size H of an output.
        prenorm: whether an output is the running sum of pre-norm blocks, which the reader must normalise.
    """

    output_size: int
    prenorm: bool

    def __call__(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing: memory (B, T, D), its lengths, labels (B, L) -> (B, L, H)."""
        ...

    def init_state(self, frames: Tensor, lengths: Tensor) -> Any:
        """(B, T, D) memory, (B,) lengths -> the state before any label, one hypothesis per utterance."""
        ...

    def step(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Read one label (N,) per hypothesis -> (N, H) output, and the state after it."""
        ...

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        """Select the hypotheses `rows` (N',): the same number per utterance, in the order of the utterances.

        With `utterances` (B',) the others are dropped, and `rows` lists hypotheses of these only.
        """
        ...

    def layers(self) -> tuple[Layer, ...]:
        """The decoder's layers, from input to output."""
        ...


class OutputLayer(nn.Module):
    """[Layer norm] -> linear -> log-softmax.

    Args:
        input_size: size of an input vector.
        vocab_size: number of units.
        norm: normalise the input first, as pre-norm blocks need.
    """

    def __init__(self, *, input_size: int, vocab_size: int, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(input_size) if norm else nn.Identity()
        self.linear = nn.Linear(input_size, vocab_size)

    def forward(self, outputs: Tensor) -> Tensor:
        """(…, H) -> (…, V) log-probabilities in float32."""
        return F.log_softmax(self.linear(self.norm(outputs)).float(), dim=-1)


@dataclass(frozen=True)
class AttentionScorer:
    """The attention decoder's interface for a search (`decode.scorer.Scorer`).

    Attributes:
        decoder: the decoder.
        output: its output layer.
    """

    decoder: AttentionDecoder
    output: OutputLayer

    def init_state(self, memory: Tensor, lengths: Tensor) -> Any:
        """(B, T, D), (B,) -> the state before any label, one hypothesis per utterance."""
        return self.decoder.init_state(memory, lengths.clamp(min=1))

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Append `tokens` (N,) to the hypotheses -> (N, V + 1) log-probabilities of the next, new state."""
        outputs, state = self.decoder.step(state, tokens)
        return self.output(outputs), state

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        """Select the hypotheses `rows` (N',), the same number per utterance, in the order of the utterances.

        A row must come from its own utterance. To widen a fresh state to k hypotheses, pass
        `arange(B).repeat_interleave(k)`. With `utterances` (B',) the others are dropped, and `rows` lists
        hypotheses of these only.
        """
        return self.decoder.select(state, rows, utterances)


class AttentionHead(Head):
    """A decoder under an output layer.

    Args:
        decoder: built for `vocab_size` + 1 labels.
        vocab_size: size V of the vocabulary.
        label_smoothing: probability mass taken from the label.
        smoothing_prior: how it is distributed: evenly over all units ("uniform"), or by frequency
            ("unigram"; call `set_prior` with the training labels first).
    """

    prior: Tensor | None

    def __init__(
        self, *, decoder: AttentionDecoder, vocab_size: int, label_smoothing: float, smoothing_prior: str
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.output = OutputLayer(
            input_size=decoder.output_size, vocab_size=vocab_size + 1, norm=decoder.prenorm
        )
        self.sos_eos = vocab_size
        self.label_smoothing = label_smoothing
        self.wants_prior = label_smoothing > 0 and smoothing_prior == "unigram"
        # Of the data, not learnt: no part of a checkpoint, and so of no layer.
        self.register_buffer("prior", None, persistent=False)

    @property
    def scorer(self) -> AttentionScorer:
        """The decoder, for a search."""
        return AttentionScorer(self.decoder, self.output)

    def loss(self, memory: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> HeadOutput:
        """As `Head`."""
        read, predict, within = self.with_ends(tokens, token_lengths)
        log_probs = self.output(self.decoder(memory, lengths.clamp(min=1), read))
        assert self.prior is not None or not self.wants_prior, "unigram smoothing: call set_prior first"
        return HeadOutput(
            label_loss(log_probs, predict, within, smoothing=self.label_smoothing, prior=self.prior),
            ((log_probs.detach().argmax(-1) == predict) & within).sum(-1),
            token_lengths + 1,
        )

    def with_ends(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L), (B,) -> input and target labels, both (B, L + 1), and a mask of those that count."""
        end = tokens.new_full((len(tokens), 1), self.sos_eos)
        tokens = tokens.masked_fill(~mask(lengths, tokens.shape[1]), self.sos_eos)
        within = mask(lengths + 1, tokens.shape[1] + 1)
        return torch.cat([end, tokens], 1), torch.cat([tokens, end], 1), within

    def set_prior(self, sequences: Iterable[Sequence[int]]) -> None:
        """Count the training labels, for unigram smoothing; without it, do nothing."""
        if self.wants_prior:
            prior = unit_prior(sequences, self.sos_eos + 1, self.sos_eos)
            self.prior = prior.to(self.output.linear.weight.device)

    def layers(self) -> tuple[Layer, ...]:
        """The decoder's."""
        return self.decoder.layers()

    @property
    def output_layer(self) -> OutputLayer:
        """As `Head`."""
        return self.output

    def frames_needed(self, tokens: Sequence[int]) -> int:
        """One."""
        return 1
