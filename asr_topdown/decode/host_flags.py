"""What a search on a GPU knows about its utterances, told to the host without stopping the device."""

import torch
from torch import Tensor

# On a GPU flags are sent off with one label and read with the second after it.
AFTER = 2


class HostFlags:
    """Flags of one loop: at once on a CPU, those of an earlier step on a GPU.

    There a copy is sent off and read some steps later, when it is likely to have arrived; which steps that
    are does not depend on how fast the device is, so that a search is the same every time.

    Args:
        device: where the flags are.
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = device.type == "cpu"
        self._sent: tuple[Tensor, torch.cuda.Event] | None = None
        self._steps = 0

    def read(self, flags: Tensor) -> list[bool] | None:
        """Once in each step: the step's flags (B,), or earlier ones, or None where none are there yet."""
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
