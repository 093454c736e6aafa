"""Training criteria, computed in float32 whatever the precision of the network."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """What a model returns for a batch.

    Attributes:
        total: scalar that is minimised.
        per_utterance: (B,) detached, to name the culprits of a non-finite loss.
        carried: what the model wants to be given with the next batch of the epoch, detached: the state of a
            language model, whose batches follow each other in the text. Empty at the start of an epoch.
    """

    total: Tensor
    per_utterance: Tensor
    carried: tuple[Tensor, ...] = ()


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), one value per utterance.

    Args:
        log_probs: (B, T, V) log-probabilities; unit 0 is the blank.
        lengths: (B,) frames of each utterance; see `ctc_frames_needed` for the least.
        targets: (B, L) units, padded with anything.
        target_lengths: (B,).

    Returns:
        (B,) negative log-likelihoods in nats, float32; infinite where no alignment exists.
    """
    with torch.autocast(log_probs.device.type, enabled=False):
        return F.ctc_loss(
            log_probs.float().transpose(0, 1), targets, lengths, target_lengths, blank=0, reduction="none"
        )


def ctc_frames_needed(units: tuple[int, ...] | list[int]) -> int:
    """Fewest frames that can carry `units`: one each, and a blank between equal neighbours."""
    return len(units) + sum(left == right for left, right in zip(units, units[1:], strict=False))
