"""Seeds and random states, so that a resumed run draws the same numbers as an uninterrupted one."""

import hashlib

import torch
from torch import Tensor


def derive(*parts: object) -> int:
    """A 63-bit seed from any parts (a seed, an epoch, an utterance id): equal parts, equal seed."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def state(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's generators of the CPU and of `device` (dropout draws from them), as tensors."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the generators to a `state()`; states of unused kinds of devices are ignored."""
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def seed_dropout(seed: int, rank: int, *more: object) -> None:
    """Seed the generators of one of several processes; rank 0 draws like a single process."""
    torch.manual_seed(derive(seed, "dropout", *more, *([rank] if rank else [])))
