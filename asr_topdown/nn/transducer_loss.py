"""The transducer loss (Graves 2012): the sum over all ways of interleaving T blanks with U labels.

From node (t, u) of a lattice, frame t with u labels emitted, a blank leads to (t + 1, u) and the next label
to (t, u + 1); every path ends with the blank of (T - 1, U). The sum over all paths into each node (`alpha`)
and out of it (`beta`) gives the gradient of the logits directly: the flow through an arc is its expected
count. So of the large (B, T, U + 1, V) tensors only the log-probabilities are kept for the backward pass.

The nodes of an anti-diagonal, t + u = n, depend only on the previous one: T + U steps of a few vector
operations process the whole batch, including `beta`, which is `alpha` of the reversed lattice, in the same
steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr_topdown.nn.lengths import mask, reversal

BLANK = 0
# Stands for log 0: finite, so that differences of two of them are numbers.
IMPOSSIBLE = -1e30


def transducer_loss(
    logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor, backend: str = "auto"
) -> Tensor:
    """Negative log-likelihood of each utterance's labels, summed over all alignments (Graves 2012).

    Args:
        logits: (B, T, U + 1, V) outputs of the joiner before the softmax; unit 0 is the blank.
            float64 is kept; everything else is computed in float32.
        targets: (B, U) units; any valid one in the padding.
        frames: (B,) of each utterance.
        labels: (B,) of each utterance.
        backend: "torch" (this file), "torchaudio", "warp_rnnt", or "auto": the first of warp_rnnt,
            torchaudio and torch that can be imported and computes on the logits' device and type.

    Returns:
        (B,) nats; infinite for an utterance without frames.

    Raises:
        ValueError: for a back end that is unknown, cannot be imported, or does not support this device.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"transducer loss {backend!r} is none of auto, {', '.join(BACKENDS)}")
    with torch.autocast(logits.device.type, enabled=False):
        if backend == "auto":
            backend = next(name for name in PREFERENCE if unusable(name, logits) is None)
        elif (reason := unusable(backend, logits)) is not None:
            raise ValueError(f"transducer loss {backend!r}: {reason}; use 'torch' or 'auto'")
        targets = targets.masked_fill(~mask(labels, targets.shape[1]), BLANK)
        # Back ends know no empty lattice.
        losses = BACKENDS[backend](logits, targets, frames.clamp(min=1), labels)
        return losses.masked_fill(frames == 0, torch.inf)


def unusable(backend: str, logits: Tensor) -> str | None:
    """Why `backend` cannot compute on `logits`; None if it can."""
    if backend == "torch":
        return None
    if backend == "warp_rnnt" and not logits.is_cuda:
        return f"it computes on CUDA devices only, and the logits are on {logits.device.type}"
    if logits.dtype == torch.float64:
        return "it does not compute in float64"
    try:
        IMPORTS[backend]()
    except (ImportError, OSError, RuntimeError) as error:
        return f"cannot be imported here ({error})"
    return None


def _import_torchaudio() -> Callable[..., Tensor]:
    from torchaudio.functional import rnnt_loss

    loss: Callable[..., Tensor] = rnnt_loss
    return loss


def _import_warp_rnnt() -> Callable[..., Tensor]:
    from warp_rnnt import rnnt_loss

    loss: Callable[..., Tensor] = rnnt_loss
    return loss


def _torch(logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    loss: Tensor = _TransducerLoss.apply(logits, targets, frames, labels)
    return loss


def _torchaudio(logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    # It insists on a lattice that the longest utterance fills.
    longest, most = torch.stack([frames.max(), labels.max()]).tolist()
    return _import_torchaudio()(
        logits[:, :longest, : most + 1].float().contiguous(),
        targets[:, :most].int().contiguous(),
        frames.int(),
        labels.int(),
        blank=BLANK,
        reduction="none",
    )


def _warp_rnnt(logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    log_probs = logits.float().log_softmax(-1)
    # gather: only the blank's and the label's share of the log-probabilities is kept.
    return _import_warp_rnnt()(
        log_probs,
        targets.int().contiguous(),
        frames.int(),
        labels.int(),
        reduction="none",
        blank=BLANK,
        gather=True,
    )


IMPORTS: Mapping[str, Callable[[], Callable[..., Tensor]]] = {
    "torchaudio": _import_torchaudio,
    "warp_rnnt": _import_warp_rnnt,
}
BACKENDS: Mapping[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "torch": _torch,
    "torchaudio": _torchaudio,
    "warp_rnnt": _warp_rnnt,
}
PREFERENCE = ("warp_rnnt", "torchaudio", "torch")


class _TransducerLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
        """The (B,) losses, and what their gradients need if they are wanted."""
        ctx.dtype = logits.dtype
        exact = logits if logits.dtype == torch.float64 else logits.float()
        log_probs = exact.log_softmax(-1)
        blank = log_probs[..., BLANK]
        index = targets[:, None, :, None].expand(-1, logits.shape[1], -1, -1)
        label = log_probs[:, :, :-1].gather(-1, index)[..., 0]
        if not ctx.needs_input_grad[0]:
            alpha = _alpha(*_arcs(blank, label))
            return -_at_end(alpha + blank, frames, labels)
        log_likelihood, through_blank, through_label = _expected_counts(blank, label, frames, labels)
        ctx.save_for_backward(log_probs, index, through_blank, through_label)
        return -log_likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        log_probs, index, through_blank, through_label = ctx.saved_tensors
        through_blank = through_blank * grad[:, None, None]
        through_label = through_label * grad[:, None, None]
        through_node = through_blank + F.pad(through_label, (0, 1))
        # A node's expected count, shared out as its softmax says, less what goes each way.
        slope = log_probs.exp().mul_(through_node[..., None])
        slope[..., BLANK] -= through_blank
        slope[:, :, :-1].scatter_add_(-1, index, -through_label[..., None])
        return slope.to(ctx.dtype), None, None, None


def _expected_counts(
    blank: Tensor, label: Tensor, frames: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-likelihood (B,) and the expected counts of each node's blank (B, T, U + 1) and label (B, T, U).

    Args:
        blank: (B, T, U + 1) log-probabilities of the blank.
        label: (B, T, U) of the next label.
        frames: (B,), at least 1.
        labels: (B,).
    """
    batch, time, width = blank.shape
    turned = _reversal(frames, labels, time, width)
    turned_blank, turned_label = _turn(blank, turned), _turn(F.pad(label, (0, 1)), turned)
    down, right = _arcs(blank, label)
    # Seen from the end, the weight of a way into a node is that of the way out of it.
    tables = _alpha(torch.cat([down, turned_blank]), torch.cat([right, turned_label]))
    alpha, beta = tables[:batch], _turn(tables[batch:], turned)
    last_blank = _at_end(blank, frames, labels)
    log_likelihood = _at_end(alpha, frames, labels) + last_blank

    outside = (last_blank - log_likelihood)[:, None, None]
    in_time, in_labels = mask(frames, time)[:, :, None], mask(labels, width - 1)[:, None, :]
    through_label = (alpha[:, :, :-1] + label + beta[:, :, 1:] + outside).exp()
    through_label = through_label.where(in_time & in_labels, 0.0)
    onward = mask(frames - 1, time)[:, :, None] & mask(labels + 1, width)[:, None, :]
    through_blank = (alpha + blank + F.pad(beta[:, 1:], (0, 0, 0, 1)) + outside).exp().where(onward, 0.0)
    rows = torch.arange(batch, device=blank.device)
    through_blank[rows, frames - 1, labels] = 1.0
    return log_likelihood, through_blank, through_label


def _arcs(blank: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The weights, both (B, T, U + 1), of the arcs into each node: by a blank, and by a label."""
    return F.pad(blank, (0, 0, 1, 0))[:, :-1], F.pad(label, (1, 0))


def _alpha(down: Tensor, right: Tensor) -> Tensor:
    """Log of the sum over all paths from node (0, 0) to each node, (B, T, U + 1).

    Args:
        down: (B, T, U + 1) log-weight of the step from (t - 1, u) to (t, u); unused at t = 0.
        right: (B, T, U + 1) of the step from (t, u - 1) to (t, u); unused at u = 0.
    """
    batch, time, width = down.shape
    frame, label = torch.arange(time, device=down.device), torch.arange(width, device=down.device)
    diagonals = torch.arange(time + width - 1, device=down.device)
    # Row n of the skewed tables holds the nodes (n - u, u), batch innermost. Places without a node may hold
    # anything: no way leads from there into the lattice.
    skew = ((diagonals[:, None] - label).clamp(0, time - 1) * width + label).flatten()
    down, right = (
        arcs.permute(1, 2, 0).reshape(time * width, batch).index_select(0, skew).view(-1, width, batch)
        for arcs in (down, right)
    )
    # One column more on the left, so that u - 1 is there for u = 0.
    table = down.new_full((len(diagonals), width + 1, batch), IMPOSSIBLE)
    table[0, 1] = 0.0
    rows, downs, rights = table.unbind(0), down.unbind(0), right.unbind(0)
    for before, row, along, across in zip(rows, rows[1:], downs[1:], rights[1:], strict=False):
        torch.logaddexp(before[1:] + along, before[:-1] + across, out=row[1:])
    unskew = ((frame[:, None] + label) * (width + 1) + label + 1).flatten()
    return table.flatten(0, 1).index_select(0, unskew).view(time, width, batch).permute(2, 0, 1)


def _reversal(frames: Tensor, labels: Tensor, time: int, width: int) -> Tensor:
    """(B, T x (U + 1)) indices that turn each utterance's lattice by 180 degrees; its own inverse."""
    return (reversal(frames, time)[:, :, None] * width + reversal(labels + 1, width)[:, None, :]).flatten(1)


def _turn(values: Tensor, turned: Tensor) -> Tensor:
    """(B, T, U + 1) by `_reversal`'s indices."""
    return values.flatten(1).gather(1, turned).view_as(values)


def _at_end(values: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
    """(B, T, U + 1) -> (B,) at each utterance's last node."""
    return values[torch.arange(len(values), device=values.device), frames - 1, labels]
