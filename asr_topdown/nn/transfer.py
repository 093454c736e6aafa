"""From the host to the device without a wait: a GPU goes on computing while it is copied."""

import torch
from torch import Tensor


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor in memory from which `device` copies by itself; the same where that is of no use."""
    return tensor if device.type in ("cpu", "meta") else tensor.pin_memory()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor on `device`, for which neither host nor device waits."""
    return pinned(tensor, device).to(device, non_blocking=True)
