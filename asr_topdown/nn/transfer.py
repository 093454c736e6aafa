"""Copy from host to device without waiting: the GPU keeps computing during the copy."""

import torch
from torch import Tensor


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor in pinned memory, from which `device` copies asynchronously; unchanged if not useful."""
    return tensor if device.type in ("cpu", "meta") else tensor.pin_memory()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A host tensor copied to `device` without blocking either."""
    return pinned(tensor, device).to(device, non_blocking=True)
