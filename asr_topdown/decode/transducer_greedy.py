"""Greedy transducer decoding: at each node of the lattice the likelier way on (Graves 2012)."""

import torch
from torch import Tensor

from asr_topdown.decode.result import BLANK, DecodeResult, Hypothesis
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.nn.predictor import PredictorState

LOOK_EVERY = 32  # steps between two looks at whether all utterances are done


@torch.no_grad()
def transducer_greedy(
    head: TransducerHead, memory: Tensor, lengths: Tensor, *, max_symbols: int
) -> list[DecodeResult]:
    """Decode each utterance along the likeliest next step, again and again.

    All utterances go on at once, each in a frame of its own: a step is one joiner and one predictor for
    the whole batch, and there are as many steps as the longest utterance has frames and labels.

    Args:
        head: a transducer in eval mode.
        memory: (B, T, D) encoder output.
        lengths: (B,) frames of each utterance, 0 allowed (an empty hypothesis).
        max_symbols: after so many labels in one frame the next frame is forced, so that a search ends.

    Returns:
        One hypothesis per utterance. Its score is the log-probability of the alignment found, forced blanks
        included.

    Raises:
        ValueError: naming the row of the batch, when its log-probabilities hold NaN.
    """
    batch, frames, _ = memory.shape
    rows = torch.arange(batch, device=memory.device)
    time, in_frame, count = (torch.zeros_like(rows) for _ in range(3))
    score = memory.new_zeros(batch, dtype=torch.float32)
    labels = rows.new_zeros(batch, frames * max_symbols + 1)
    outputs, state = head.predictor.start(batch)
    for step in range(frames * (max_symbols + 1)):
        running = time < lengths
        if step % LOOK_EVERY == 0 and not running.any():
            break
        frame = memory[rows, time.clamp(max=frames - 1)]
        log_probs = head.joiner(frame, outputs).float().log_softmax(-1)
        label = log_probs.argmax(-1).masked_fill(in_frame == max_symbols, BLANK)
        score = score + log_probs.gather(1, label[:, None])[:, 0].where(running, 0.0)
        emits = running & (label != BLANK)
        labels.scatter_(1, count[:, None], label[:, None])
        count = count + emits
        in_frame = (in_frame + 1).where(emits, 0)
        time = time + (running & ~emits)
        read, after = head.predictor.step(state, label)
        outputs = read.where(emits[:, None], outputs)
        state = PredictorState(
            *(new.where(emits[:, None], old) for new, old in zip(after, state, strict=True))
        )
    return _results(labels, count, score)


def _results(labels: Tensor, count: Tensor, score: Tensor) -> list[DecodeResult]:
    results = []
    for row, (ids, size, value) in enumerate(
        zip(labels.tolist(), count.tolist(), score.tolist(), strict=True)
    ):
        if value != value:
            raise ValueError(f"utterance {row} of the batch: its log-probabilities hold NaN")
        results.append(DecodeResult((Hypothesis(tuple(ids[:size]), value),)))
    return results
