"""Training criteria, computed in float32 whatever the precision of the network."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class ModelOutput(NamedTuple):
    """A network's output for a batch: everything that training and the dev metrics need, from one pass.

    Attributes:
        loss: scalar to minimise.
        losses: (B,) loss of each utterance in nats, detached, to name the culprits of a non-finite `loss`;
            infinite if CTC finds no alignment. For a language model, (1,) the cross-entropy without
            penalties.
        hidden_state: of a language model at the end of the batch, detached: its batches follow one another
            in the text.
        memory: (B, T', D) encoder output, which decoders read. None, like all below, for a language model.
        lengths: (B,) frames of `memory`.
        correct: (B,) labels, including the end of the sequence, that an attention decoder predicts correctly
            with teacher forcing; None without such a decoder.
        labels: (B,) their number.
    """

    loss: Tensor
    losses: Tensor
    hidden_state: tuple[Tensor, ...] = ()
    memory: Tensor | None = None
    lengths: Tensor | None = None
    correct: Tensor | None = None
    labels: Tensor | None = None


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), one value per utterance.

    Args:
        log_probs: (B, T, V) log-probabilities; unit 0 is the blank.
        lengths: (B,) frames of each utterance; see `ctc_frames_needed` for the minimum.
        targets: (B, L) units, with arbitrary padding.
        target_lengths: (B,).

    Returns:
        (B,) negative log-likelihoods in nats, float32; infinite where no alignment exists.
    """
    with torch.autocast(log_probs.device.type, enabled=False):
        return F.ctc_loss(
            log_probs.float().transpose(0, 1), targets, lengths, target_lengths, blank=0, reduction="none"
        )


def overconfidence(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Divergence of each frame's distribution P from the uniform U, KL(P || U), summed over the frames.

    Kim et al. 2018 (arXiv:1711.02212) smooth the labels of CTC with it.

    Args:
        log_probs: (B, T, V) log-probabilities.
        mask: (B, T) booleans, false on padding.

    Returns:
        (B,) nats, float32: 0 if all units are equally likely, log V per frame if one is certain.
    """
    with torch.autocast(log_probs.device.type, enabled=False):
        log_probs = log_probs.float()
        divergence = (log_probs.exp() * log_probs).sum(-1) + math.log(log_probs.shape[-1])
        return (divergence * mask).sum(-1)


def ctc_frames_needed(units: Sequence[int]) -> int:
    """Minimum number of frames for `units`: one each, and a blank between equal adjacent units."""
    return len(units) + sum(left == right for left, right in itertools.pairwise(units))


def label_loss(
    log_probs: Tensor, targets: Tensor, mask: Tensor, *, smoothing: float, prior: Tensor | None
) -> Tensor:
    """Cross-entropy against smoothed labels, summed over an utterance's labels (Szegedy et al. 2016).

    The target distribution is (1 - smoothing) on the label plus smoothing x `prior`, over all V units: with
    the uniform prior, 1 - s + s / V on the label and s / V on each other unit. ESPnet's LabelSmoothingLoss
    has 1 - s on the label and s / (V - 1) on each other, which is this with s V / (V - 1) in place of s; it
    also subtracts the distribution's entropy, a constant. Sums rather than means over the labels keep the
    weight between this loss and CTC, which is also a sum, the same for long and short utterances.

    Args:
        log_probs: (B, L, V) log-probabilities.
        targets: (B, L) units; the padding may hold any valid one.
        mask: (B, L) booleans, false on padding.
        smoothing: probability mass taken from the label, 0 to 1.
        prior: (V,) its distribution; None = uniform.

    Returns:
        (B,) nats, float32.
    """
    with torch.autocast(log_probs.device.type, enabled=False):
        log_probs = log_probs.float()
        loss = -log_probs.gather(-1, targets[..., None])[..., 0]
        if smoothing:
            spread = log_probs.mean(-1) if prior is None else log_probs @ prior
            loss = (1 - smoothing) * loss - smoothing * spread
        return (loss * mask).sum(-1)


def unit_prior(sequences: Iterable[Sequence[int]], vocab_size: int, end: int) -> Tensor:
    """Relative frequency of each unit in the training labels, for unigram label smoothing.

    Each sequence ends with one `end`; one is added to each count, so that no unit has probability 0.

    Returns:
        (vocab_size,) float32, summing to 1.
    """
    counts = torch.ones(vocab_size, dtype=torch.float64)
    for sequence in sequences:
        counts += torch.bincount(torch.tensor([*sequence, end]), minlength=vocab_size)
    return (counts / counts.sum()).float()
