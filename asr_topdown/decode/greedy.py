"""Greedy decoding: only the best hypothesis at each step.

With CTC, the best label of each frame, repeats merged and blanks dropped (Graves et al. 2006).
"""

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode import attention
from asr_topdown.decode.decoders import Decoder
from asr_topdown.decode.result import BLANK, DecodeResult, Hypothesis, check_ctc_input
from asr_topdown.decode.transducer_greedy import transducer_greedy
from asr_topdown.models.heads.label import LabelHead
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: greedy`, on the label, transducer, CTC or attention head, the first that exists."""
    transducer, ctc, label = model.transducer, model.ctc, model.label
    if label is not None:
        return lambda memory, lengths: best_labels(label.log_probs(memory, lengths), lengths, config.nbest)
    if transducer is not None:
        return lambda memory, lengths: transducer_greedy(
            transducer, memory, lengths, max_symbols=config.max_symbols
        )
    if ctc is not None:
        return lambda memory, lengths: ctc_greedy(ctc.log_probs(memory), lengths)
    narrow = {"beam": 1, "nbest": 1, "lm": "", "lm_weight": 0.0, "length_penalty": 0.0}
    return attention.decoder(model, config.model_copy(update=narrow), vocabulary)


@torch.no_grad()
def ctc_greedy(log_probs: Tensor, lengths: Tensor) -> list[DecodeResult]:
    """Decode each utterance along its single most probable alignment.

    Args:
        log_probs: (B, T, V) natural logarithms; padding frames are ignored.
        lengths: (B,) frames per utterance, 0 allowed (an empty hypothesis).

    Returns:
        One hypothesis per utterance. Its score is the best alignment's log-probability, not the label
        sequence's (which `ctc_prefix_beam` computes).

    Raises:
        ValueError: if a frame holds NaN.
    """
    counts = check_ctc_input(log_probs, lengths)
    values, labels = log_probs.float().max(2)
    previous = torch.cat([torch.full_like(labels[:, :1], -1), labels[:, :-1]], 1)
    emitted = torch.where((labels != previous) & (labels != BLANK), labels, -1)
    # One transfer for both: label ids are exact in float32 up to 2 ** 24.
    ids, scores = torch.stack([emitted.float(), values]).cpu().double().numpy()
    results = []
    for row, count in enumerate(counts):
        kept = ids[row, :count]
        best = Hypothesis(tuple(kept[kept >= 0].astype(int).tolist()), float(scores[row, :count].sum()))
        results.append(DecodeResult((best,)))
    return results


@torch.no_grad()
def best_labels(log_probs: Tensor, lengths: Tensor, nbest: int) -> list[DecodeResult]:
    """Return the most probable labels of each utterance, as hypotheses of one unit.

    Args:
        log_probs: (B, labels) from `LabelHead.log_probs`.
        lengths: (B,) frames per utterance; 0 gives an empty hypothesis.
        nbest: maximum number of hypotheses per utterance.

    Raises:
        ValueError: if a log-probability is NaN.
    """
    counts = check_ctc_input(log_probs[:, None], lengths.clamp(max=1))
    scores, labels = log_probs.topk(min(nbest, log_probs.shape[1]))
    rows = zip(counts, (labels + LabelHead.FIRST).tolist(), scores.tolist(), strict=True)
    return [
        DecodeResult(
            tuple(Hypothesis((unit,), score) for unit, score in zip(units, values, strict=True))
            if count
            else (Hypothesis((), 0.0),)
        )
        for count, units, values in rows
    ]
