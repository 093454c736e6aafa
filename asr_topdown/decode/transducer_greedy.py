"""Greedy transducer decoding: the most probable step at each node of the lattice (Graves 2012)."""

from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.decode.host_flags import HostFlags
from asr_topdown.decode.result import BLANK, DecodeResult, Hypothesis, check_scores
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.nn.predictor import PredictorState


@torch.no_grad()
def transducer_greedy(
    head: TransducerHead, memory: Tensor, lengths: Tensor, *, max_symbols: int
) -> list[DecodeResult]:
    """Decode each utterance, always taking the most probable next label or blank.

    Utterances advance together, each at its own frame: a step calls joiner and predictor once for the whole
    batch, and there are as many steps as the longest utterance has frames and labels.

    Args:
        head: a transducer in eval mode.
        memory: (B, T, D) encoder output.
        lengths: (B,) frames per utterance, 0 allowed (an empty hypothesis).
        max_symbols: maximum number of labels per frame, after which a blank is forced.

    Returns:
        One hypothesis per utterance. Its score is the log-probability of its alignment, including forced
        blanks.

    Raises:
        NotANumberError: if an utterance's log-probabilities hold NaN.
    """
    frames = memory.shape[1]
    state = _start(head, memory, max_symbols)
    flags = HostFlags(memory.device)
    for _ in range(frames * (max_symbols + 1)):
        over = flags.read(state.time >= lengths)
        if over is not None and all(over):
            break
        state = _step(head, memory, lengths, state, max_symbols)
    return _results(state.labels, state.size, state.score)


class State(NamedTuple):
    """The state of B utterances."""

    time: Tensor  # (B,) current frame
    in_frame: Tensor  # (B,) labels emitted in it
    size: Tensor  # (B,) labels emitted in total
    labels: Tensor  # (B, T x max_symbols + 1)
    score: Tensor  # (B,)
    outputs: Tensor  # (B, H) of the predictor
    read: PredictorState  # after the labels so far


def _start(head: TransducerHead, memory: Tensor, max_symbols: int) -> State:
    batch, frames, _ = memory.shape
    zeros = torch.zeros(batch, dtype=torch.long, device=memory.device)
    labels = zeros.new_zeros(batch, frames * max_symbols + 1)
    score = memory.new_zeros(batch, dtype=torch.float32)
    return State(zeros, zeros, zeros, labels, score, *head.predictor.start(batch))


def _step(head: TransducerHead, memory: Tensor, lengths: Tensor, state: State, max_symbols: int) -> State:
    """Emit one label or blank for each utterance that has not ended."""
    running = state.time < lengths
    rows = torch.arange(len(memory), device=memory.device)
    frame = memory[rows, state.time.clamp(max=memory.shape[1] - 1)]
    log_probs = head.joiner(frame, state.outputs).float().log_softmax(-1)
    label = log_probs.argmax(-1).masked_fill(state.in_frame == max_symbols, BLANK)
    emits = running & (label != BLANK)
    read, after = head.predictor.step(state.read, label)
    kept = [
        new.where(emits[:, None], old)
        for new, old in zip((read, *after), (state.outputs, *state.read), strict=True)
    ]
    return State(
        time=state.time + (running & ~emits),
        in_frame=(state.in_frame + 1).where(emits, 0),
        size=state.size + emits,
        # A blank is written too, and overwritten by the next label.
        labels=state.labels.scatter_(1, state.size[:, None], label[:, None]),
        score=state.score + log_probs.gather(1, label[:, None])[:, 0].where(running, 0.0),
        outputs=kept[0],
        read=PredictorState(*kept[1:]),
    )


def _results(labels: Tensor, count: Tensor, score: Tensor) -> list[DecodeResult]:
    rows = zip(labels.tolist(), count.tolist(), score.tolist(), strict=True)
    return check_scores([DecodeResult((Hypothesis(tuple(ids[:size]), value),)) for ids, size, value in rows])
