"""A recogniser: a chain of encoder stages, and heads that read the output of the last stage.

The heads are CTC, an attention decoder and a transducer, in any combination. Each of an utterance's losses
has a weight: a hybrid of CTC and attention is trained on w x CTC + (1 - w) x attention (Kim et al. 2017),
each summed over the utterance and averaged over the batch. If an utterance has one label instead of a text,
there is a single head: a softmax over pooled frames.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.losses import ModelOutput
from asr_topdown.models.heads.attention import AttentionHead
from asr_topdown.models.heads.ctc import CtcHead
from asr_topdown.models.heads.head import Head, HeadOutput
from asr_topdown.models.heads.label import LabelHead
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.models.model import Model, SpeechInput
from asr_topdown.nn.stage import Stage, stage_names


class Recognizer(Model):
    """An encoder under heads.

    Args:
        stages: the encoder, input first; each reads the output of the previous one.
        ctc: a head, or None.
        attention: likewise.
        transducer: likewise.
        label: likewise; it excludes the others.
        weights: of the heads' losses; see `loss_weights`.

    Attributes:
        stage_names: the stages' layers, which are also their places in `stages`.

    Raises:
        ValueError: if there is no head, or the weights do not add up to 1.
    """

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        ctc: CtcHead | None,
        attention: AttentionHead | None,
        transducer: TransducerHead | None,
        label: LabelHead | None,
        weights: Mapping[str, float | None],
    ) -> None:
        super().__init__()
        heads = {"ctc": ctc, "attention": attention, "transducer": transducer, "label": label}
        self.stage_names = stage_names(stages)
        self.stages = nn.ModuleDict()
        for name, stage in zip(self.stage_names, stages, strict=True):
            kind, _, number = name.partition(".")
            if not number:
                self.stages[kind] = stage
            elif kind in self.stages:
                cast(nn.ModuleList, self.stages[kind]).append(stage)
            else:
                self.stages[kind] = nn.ModuleList([stage])
        last = stages[-1]
        self.norm = nn.LayerNorm(last.output_size) if last.prenorm else nn.Identity()
        self.heads = nn.ModuleDict({name: head for name, head in heads.items() if head is not None})
        self.weights = loss_weights({name: weights[name] for name in self.heads})

    @property
    def device(self) -> torch.device:
        """Its device: the CPU, if int8 weights (`nn/quantized.py`) have left it no parameter."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @property
    def ctc(self) -> CtcHead | None:
        """The CTC head."""
        return cast(CtcHead, self.heads["ctc"]) if "ctc" in self.heads else None

    @property
    def attention(self) -> AttentionHead | None:
        """The head with an attention decoder."""
        return cast(AttentionHead, self.heads["attention"]) if "attention" in self.heads else None

    @property
    def transducer(self) -> TransducerHead | None:
        """The transducer head."""
        return cast(TransducerHead, self.heads["transducer"]) if "transducer" in self.heads else None

    @property
    def label(self) -> LabelHead | None:
        """The head that gives an utterance one label."""
        return cast(LabelHead, self.heads["label"]) if "label" in self.heads else None

    def layers(self) -> tuple[Layer, ...]:
        """The stages, each head's own layers, and `softmax`: all output layers together.

        The final norm that pre-norm stages need belongs to the layer that reads it: the first of the
        attention decoder, or without one `softmax`.
        """
        stages = [Layer(name, (stage,)) for name, stage in self.chain()]
        heads = cast(list[Head], list(self.heads.values()))
        above = [layer for head in heads for layer in head.layers()]
        above.append(Layer("softmax", tuple(head.output_layer for head in heads)))
        reader = 0 if self.attention is not None else -1
        name, modules = above[reader]
        above[reader] = Layer(name, (self.norm, *modules))
        return (*stages, *above)

    def encode(
        self,
        x: Tensor,
        lengths: Tensor,
        start: int = 0,
        stop: int | None = None,
        host_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the stages from `start` to before `stop`.

        Args:
            x: (B, T, D) features, or for `start` > 0 the output of stage `start` - 1; the padding may hold
                any finite values.
            lengths: (B,) frames of `x`.
            start: the first stage.
            stop: the first stage to omit; None = run to the end, including the norm.
            host_lengths: `lengths` on the CPU, so that a GPU's host need not wait for them.

        Returns:
            the memory (B, T', D') that heads read (or, with `stop`, the output of stage `stop` - 1), and its
            (B,) lengths; 0 for an utterance that is too short.
        """
        for _, stage in self.chain()[start:stop]:
            x, lengths = stage(x, lengths, *((host_lengths,) if stage.reads_host_lengths else ()))
            host_lengths = None if host_lengths is None else stage.output_lengths(host_lengths)
        return (self.norm(x) if stop is None else x), lengths

    def forward_with_loss(self, batch: SpeechInput, hidden_state: Sequence[Tensor] = ()) -> ModelOutput:
        """As `Model`; the loss is the mean over the utterances of the weighted sum of the heads'."""
        frames, units = batch.host_lengths
        memory, lengths = self.encode(batch.feats, batch.feat_lengths, batch.start, host_lengths=frames)
        on_host = self.output_lengths(frames, batch.start), units
        outputs: dict[str, HeadOutput] = {}
        for name, head in cast(Mapping[str, Head], self.heads).items():
            sizes = on_host if head.reads_host_lengths else (lengths, batch.token_lengths)
            outputs[name] = head.loss(memory, sizes[0], batch.tokens, sizes[1])
        losses = sum(self.weights[name] * output.losses for name, output in outputs.items())
        assert isinstance(losses, Tensor)
        decoded = outputs.get("attention", HeadOutput(losses))
        return ModelOutput(
            losses.mean(),
            losses.detach(),
            memory=memory,
            lengths=lengths,
            correct=decoded.correct,
            labels=decoded.labels,
        )

    def output_lengths(self, lengths: Tensor, start: int = 0) -> Tensor:
        """Frames of memory for (N,) lengths of features, or of the output of stage `start` - 1."""
        for _, stage in self.chain()[start:]:
            lengths = stage.output_lengths(lengths)
        return lengths

    def frames_needed(self, tokens: Sequence[int]) -> int:
        """Minimum frames of memory to train on `tokens`, over all heads."""
        return max(cast(Head, head).frames_needed(tokens) for head in self.heads.values())

    def set_prior(self, sequences: Iterable[Sequence[int]]) -> None:
        """Give the heads the training labels (`AttentionHead.set_prior`)."""
        if self.attention is not None:
            self.attention.set_prior(sequences)

    def chain(self) -> list[tuple[str, Stage]]:
        """The stages and their names, input first."""
        return [(name, cast(Stage, self.stages.get_submodule(name))) for name in self.stage_names]


def loss_weights(given: Mapping[str, float | None]) -> dict[str, float]:
    """The weight of each head's loss; one head may omit its own, and gets the remainder to 1.

    Raises:
        ValueError: if no head is given, several weights are omitted, one is not above 0, or they do not sum
            to 1.
    """
    if not given:
        raise ValueError("no head: give ctc, attention or transducer, or several of them, or label")
    known = {name: weight for name, weight in given.items() if weight is not None}
    unknown = [name for name in given if name not in known]
    if len(unknown) > 1:
        raise ValueError(
            f"the weight of one head at most may be left open, not those of {' and '.join(unknown)}"
        )
    weights = known | {name: 1 - math.fsum(known.values()) for name in unknown}
    said = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    if min(weights.values()) <= 0 or not math.isclose(math.fsum(weights.values()), 1, abs_tol=1e-6):
        raise ValueError(f"the weights of the heads' losses must be above 0 and add up to 1, got {said}")
    return {name: weights[name] for name in given}
