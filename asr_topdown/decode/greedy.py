"""Greedy CTC decoding: the best label of each frame, repeats merged, blanks dropped (Graves et al. 2006)."""

import torch
from torch import Tensor

from asr_topdown.decode.result import DecodeResult, Hypothesis, check_ctc_input


@torch.no_grad()
def ctc_greedy(log_probs: Tensor, lengths: Tensor, blank: int = 0) -> list[DecodeResult]:
    """Decode each utterance along its single most probable alignment.

    Args:
        log_probs: (B, T, V) natural logarithms; frames at or after an utterance's length are not looked at.
        lengths: (B,) frames of each utterance, 0 allowed (an empty hypothesis).
        blank: the id of the CTC blank.

    Returns:
        One hypothesis per utterance. Its score is the sum over frames of the largest log-probability, i.e.
        of the best alignment, not of the label sequence (that is what `ctc_prefix_beam` sums up).

    Raises:
        ValueError: when a frame holds NaN.
    """
    counts = check_ctc_input(log_probs, lengths, blank)
    values, labels = log_probs.float().max(2)
    previous = torch.cat([torch.full_like(labels[:, :1], -1), labels[:, :-1]], 1)
    emitted = torch.where((labels != previous) & (labels != blank), labels, -1)
    # One transfer for both: label ids are exact in float32 up to 2 ** 24.
    ids, scores = torch.stack([emitted.float(), values]).cpu().double().numpy()
    results = []
    for row, count in enumerate(counts):
        kept = ids[row, :count]
        best = Hypothesis(tuple(kept[kept >= 0].astype(int).tolist()), float(scores[row, :count].sum()))
        results.append(DecodeResult((best,)))
    return results
