"""Seeds and random states, so that a resumed run draws the numbers that it would have drawn."""

import hashlib

import torch
from torch import Tensor


def derive(*parts: object) -> int:
    """A 63-bit seed from any parts (a seed, an epoch, an utterance id): equal parts, equal seed."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def state() -> dict[str, Tensor]:
    """The state of torch's generators (dropout draws from them), as tensors."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{index}": value for index, value in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore(states: dict[str, Tensor]) -> None:
    """Set the generators to a `state()`; a device that is not here is passed over."""
    torch.set_rng_state(states["cpu"].cpu())
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            if f"cuda:{index}" in states:
                torch.cuda.set_rng_state(states[f"cuda:{index}"].cpu(), index)
