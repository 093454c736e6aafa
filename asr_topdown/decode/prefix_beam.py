"""CTC prefix beam search, vectorised over utterances and beam.

A prefix is a label sequence; its score sums over all its alignments. Those that end in a blank (`blank`) and
those that end in its last label (`label`) are kept apart (Graves, PhD thesis 2008, section 7.5; Hannun et al.
2014, arXiv 1408.2873, algorithm 1, without a language model).

If a prefix of the beam, extended by a label, equals another one, their alignments must be summed. A
(beam, beam) table of which prefix begins which other, updated in every frame, finds these pairs exactly,
without hashes or comparisons of whole label sequences.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import Decoder
from asr_topdown.decode.result import (
    BLANK,
    IMPOSSIBLE,
    DecodeResult,
    Hypothesis,
    check_ctc_input,
    longest_first,
)
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: prefix_beam`."""
    ctc = model.ctc
    assert ctc is not None
    return lambda memory, lengths: ctc_prefix_beam(
        ctc.log_probs(memory), lengths, beam=config.beam, nbest=config.nbest
    )


class Prefixes(NamedTuple):
    """The prefixes of B utterances, K each, in order of falling score."""

    blank: Tensor  # (B, K) log-probability of the alignments that end in a blank
    label: Tensor  # (B, K) of those that end in the prefix's last label
    total: Tensor  # (B, K) of both
    last: Tensor  # (B, K) last label; the blank's id for the empty prefix
    length: Tensor  # (B, K) labels
    labels: Tensor  # (B, K, >= length + 1) labels from position 1; position 0 holds the blank's id
    begins: Tensor  # (B, K, K) [b, i, j]: prefix i begins or equals prefix j, and both are possible


class Frame(NamedTuple):
    """One frame of B utterances: the log-probabilities that the search needs."""

    log_probs: Tensor  # (B, V)
    top: Tensor  # (B, C) the most probable labels, without the blank
    top_log_probs: Tensor  # (B, C)


@torch.no_grad()
def ctc_prefix_beam(log_probs: Tensor, lengths: Tensor, *, beam: int, nbest: int = 1) -> list[DecodeResult]:
    """Decode each utterance into its most probable label sequences.

    After every frame the `beam` best prefixes of each utterance are kept. The result does not depend on the
    rest of the batch or on padding; on the CPU bit for bit.

    Args:
        log_probs: (B, T, V) natural logarithms, on any device; float64 stays, other types become float32.
        lengths: (B,) frames per utterance, 0 allowed (an empty hypothesis with score 0).
        beam: prefixes kept per utterance, at least 1.
        nbest: maximum number of hypotheses returned per utterance, at most `beam`.

    Returns:
        Per utterance, hypotheses with different labels, best first; a score is the natural logarithm of the
        sequence's probability, summed over its alignments within the beam.

    Raises:
        ValueError: if a frame holds NaN.
    """
    counts = check_ctc_input(log_probs, lengths)
    log_probs = log_probs.to(torch.float64 if log_probs.dtype == torch.float64 else torch.float32)
    return longest_first(lambda rows, lengths: _search(rows, lengths, beam, nbest), log_probs, counts)


def _search(log_probs: Tensor, lengths: list[int], beam: int, nbest: int) -> list[DecodeResult]:
    """Decode utterances in order of falling length."""
    state = _start(log_probs, beam)
    results: list[DecodeResult] = []
    for time, frame in enumerate(_frames(log_probs, max(lengths, default=0), beam)):
        active = sum(length > time for length in lengths)
        if active < len(state.total):
            results[:0] = _results(Prefixes(*(value[active:] for value in state)), nbest)
            state = Prefixes(*(value[:active] for value in state))
        state = _advance(state, Frame(*(value[:active] for value in frame)))
    return _results(state, nbest) + results


def _start(log_probs: Tensor, beam: int) -> Prefixes:
    """Return a beam of the empty prefix and `beam` - 1 impossible ones."""
    batch = log_probs.shape[0]
    label = log_probs.new_full((batch, beam), IMPOSSIBLE)
    total = label.clone()
    total[:, 0] = 0.0
    last = torch.full_like(label, BLANK, dtype=torch.long)
    begins = torch.zeros(batch, beam, beam, dtype=torch.bool, device=label.device)
    begins[:, 0, 0] = True
    return Prefixes(total.clone(), label, total, last, torch.zeros_like(last), last[:, :, None], begins)


def _frames(log_probs: Tensor, frames: int, beam: int) -> Iterator[Frame]:
    """Split (B, T, V) into frames, each with its beam + 1 best labels.

    More labels cannot matter: for any prefix, each of them except its own last label gives an extension at
    least as good as any other label does, which makes `beam` better candidates.
    """
    log_probs = log_probs[:, :frames].clamp(min=IMPOSSIBLE)
    others = log_probs.clone()
    others[:, :, BLANK] = -torch.inf
    values, labels = others.topk(min(beam + 1, log_probs.shape[2] - 1), dim=2)
    for frame in zip(log_probs.unbind(1), labels.unbind(1), values.unbind(1), strict=True):
        yield Frame(*frame)


def _advance(state: Prefixes, frame: Frame) -> Prefixes:
    """Process one frame: each prefix stays or grows by a label, and the best `beam` of all are kept."""
    beam, choices = state.total.shape[1], frame.top.shape[1]
    is_parent = state.begins & (state.length[:, None, :] == state.length[:, :, None] + 1)
    stay_blank = state.total + frame.log_probs[:, BLANK, None]
    stay_label = _stay_label(state, frame, is_parent)
    score, pick = torch.cat(
        [_log_add(stay_blank, stay_label), _grow(state, frame, is_parent).flatten(1)], 1
    ).topk(beam, dim=1)

    grows = pick >= beam
    extension = (pick - beam).clamp(min=0)
    origin = torch.where(grows, extension // choices, pick)
    last = torch.where(grows, frame.top.gather(1, extension % choices), state.last.gather(1, origin))
    length = state.length.gather(1, origin) + grows
    labels = torch.cat([_rows(state.labels, origin), last[:, :, None]], 2)
    labels = labels.scatter(2, length[:, :, None], last[:, :, None])
    return Prefixes(
        blank=stay_blank.gather(1, origin).masked_fill(grows, IMPOSSIBLE),
        label=torch.where(grows, score, stay_label.gather(1, origin)),
        total=score,
        last=last,
        length=length,
        labels=labels,
        begins=_begins(state.begins, origin, score, last, length, labels),
    )


def _stay_label(state: Prefixes, frame: Frame, is_parent: Tensor) -> Tensor:
    """Return (B, K) log-probabilities of alignments that end in the prefix's last label at this frame.

    Either the label continues, or it is new: then the previous frame was at the prefix's parent (the prefix
    without its last label), if that is in the beam.
    """
    emitted = frame.log_probs.gather(1, state.last)
    parent = is_parent.to(torch.uint8).argmax(1)
    # A repeated label is new only after a blank.
    repeats = state.last.gather(1, parent) == state.last
    before = torch.where(repeats, state.blank.gather(1, parent), state.total.gather(1, parent))
    before = before.masked_fill(~is_parent.any(1), IMPOSSIBLE)
    return _log_add(state.label + emitted, before + emitted)


def _grow(state: Prefixes, frame: Frame, is_parent: Tensor) -> Tensor:
    """Return (B, K, C) log-probabilities of each prefix extended by each of the frame's best labels.

    An extended prefix that is already in the beam is IMPOSSIBLE: `_stay_label` counts it.
    """
    repeats = frame.top[:, None, :] == state.last[:, :, None]
    before = torch.where(repeats, state.blank[:, :, None], state.total[:, :, None])
    grown = before + frame.top_log_probs[:, None, :]
    # repeats[b, j, c]: label c ends prefix j. Is there such a j whose parent is i?
    counted = torch.bmm(is_parent.to(grown.dtype), repeats.to(grown.dtype)) > 0
    return grown.masked_fill(counted, IMPOSSIBLE)


def _begins(
    begins: Tensor, origin: Tensor, score: Tensor, last: Tensor, length: Tensor, labels: Tensor
) -> Tensor:
    """Return the (B, K, K) table `Prefixes.begins` of the chosen prefixes, from `begins` before this frame.

    n (= i, or i + a label) begins m (= j, or j + a label) if and only if i begins j and m has n's last label
    at n's last position.
    """
    began = _rows(begins, origin).gather(2, origin[:, None, :].expand_as(begins))
    same_label = labels.gather(2, length[:, None, :].expand_as(begins)).mT == last[:, :, None]
    long_enough = length[:, None, :] >= length[:, :, None]
    possible = score > IMPOSSIBLE / 2
    return began & same_label & long_enough & possible[:, None, :] & possible[:, :, None]


def _rows(values: Tensor, origin: Tensor) -> Tensor:
    """Gather rows `origin` (B, K) of (B, K, N)."""
    return values.gather(1, origin[:, :, None].expand(-1, -1, values.shape[2]))


def _log_add(first: Tensor, second: Tensor) -> Tensor:
    """Compute log(exp(first) + exp(second)).

    torch.logaddexp on the CPU computes the elements that do not fill a SIMD register differently, so that the
    last bit depends on the size of the batch.
    """
    return torch.maximum(first, second) + (first - second).abs().neg().exp().log1p()


def _results(state: Prefixes, nbest: int) -> list[DecodeResult]:
    """Return finished utterances' hypotheses, with three transfers to the CPU."""
    score = state.total[:, :nbest].tolist()
    length = state.length[:, :nbest].tolist()
    labels = state.labels[:, :nbest, 1:].tolist()
    results = []
    for row in zip(labels, length, score, strict=True):
        found = [
            Hypothesis(tuple(ids[:count]), value)
            for ids, count, value in zip(*row, strict=True)
            if value > IMPOSSIBLE / 2
        ]
        # With log-probabilities of -inf nothing may be possible.
        results.append(DecodeResult(tuple(found) or (Hypothesis((), float("-inf")),)))
    return results
