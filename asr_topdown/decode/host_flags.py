"""Flags of a search on a GPU, sent to the host without stalling the device."""

import torch
from torch import Tensor

# Steps between sending flags from a GPU and reading them.
AFTER = 2


class HostFlags:
    """Reads the flags of a loop: on a CPU at once, on a GPU those of an earlier step.

    From a GPU a copy is sent and read a fixed number of steps later, when it has probably arrived. Since the
    number is fixed, a search does not depend on the device's speed.

    Args:
        device: where the flags are.
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = device.type == "cpu"
        self._sent: tuple[Tensor, torch.cuda.Event] | None = None
        self._steps = 0

    def read(self, flags: Tensor) -> list[bool] | None:
        """Return this step's flags (B,), earlier ones, or None if none have arrived. Call once per step."""
        if self._at_once:
            now: list[bool] = flags.tolist()
            return now
        self._steps += 1
        if self._sent is None:
            buffer = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
            buffer.copy_(flags, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._sent = buffer, event
            self._steps = 0
        elif self._steps >= AFTER:
            buffer, event = self._sent
            self._sent = None
            event.synchronize()
            then: list[bool] = buffer.tolist()
            return then
        return None
