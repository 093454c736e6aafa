"""Several processes, started by torchrun, that train one network: their identities and communication.

Each process (rank) has its own device and a part of every batch; after each backward pass all have the
same gradient, so that all take the same step. The batch is the same however many processes share it. Only
rank 0 writes. When a process dies, torchrun stops the others; when restarted, all resume from the checkpoint.
"""

import contextlib
import datetime
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from asr_topdown import layers
from asr_topdown.models.model import Model

Value = TypeVar("Value")

# While rank 0 evaluates, or waits for a node's lock, the others wait. To find the dead is torchrun's task.
_PATIENCE = datetime.timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes that train together, as seen by one of them; a single process is a world too.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, the one that writes."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is only one process."""
        return self.size == 1

    def from_leader(self, make: Callable[[], Value]) -> Value:
        """Call `make` in rank 0 only, and return its result in every rank."""
        if self.alone:
            return make()
        box = [make() if self.leads else None]
        distributed.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def gather(self, value: Value) -> list[Value]:
        """Every rank's value, in the order of the ranks."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def share(self, count: int) -> tuple[list[int], int]:
        """The rows of a batch of `count` rows that belong to this rank, and how many of them count.

        Every rank must run its network as many times as the others, so a rank without rows
        takes the first one, which then does not count.
        """
        rows = list(range(self.rank, count, self.size))
        return rows or [0], len(rows)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Wrap the network so that gradients are averaged over the ranks; all get rank 0's weights.

        Wrap afresh for each retraining, after freezing: layers frozen or unfrozen later would be
        missed. Each rank has its own buffers until `settle`.
        """
        if self.alone:
            return network
        # Renamed in PyTorch 2.13, where the old name warns.
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        settings: Any = {buffers: False}
        return DistributedDataParallel(network, **settings)

    def settle(self, model: Model) -> None:
        """Give every rank the buffers of rank 0, and check that all have the same weights.

        Batch-normalisation statistics are thus those of rank 0's part of the batches.
        """
        if self.alone:
            return
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)
        prints = self.gather(layers.fingerprint(model, layers.layer_names(model)))
        assert len(set(prints)) == 1, f"the weights of the {self.size} processes differ: {prints}"


def local_device(name: str) -> torch.device:
    """The device of this process: with several processes and "cuda", the GPU of its local rank."""
    rank = os.environ.get("LOCAL_RANK")
    return torch.device(f"cuda:{rank}" if name == "cuda" and rank is not None else name)


def current() -> World:
    """The world that this process has joined."""
    if distributed.is_available() and distributed.is_initialized():
        return World(distributed.get_rank(), distributed.get_world_size())
    return World()


@contextlib.contextmanager
def join(device: str) -> Iterator[World]:
    """Join the other processes started by torchrun, if any; over NCCL with GPUs, otherwise over gloo.

    Args:
        device: "cuda" or "cpu".

    Raises:
        ValueError: if several processes would share one GPU.
    """
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys() or os.environ["WORLD_SIZE"] == "1":
        yield World()
        return
    if device not in ("cuda", "cpu"):
        raise ValueError(f"--device {device}: several processes cannot share it, say cuda")
    if device == "cuda":
        torch.cuda.set_device(local_device(device))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=_PATIENCE)
    yield current()
    # Not after an error: the others may be waiting for this one, and its end is what stops them.
    distributed.destroy_process_group()


def part_of_a_step(network: nn.Module, *, last: bool) -> contextlib.AbstractContextManager[None]:
    """A context for the forward and backward pass of one of several batches: the last exchanges gradients."""
    if last or not isinstance(network, DistributedDataParallel):
        return contextlib.nullcontext()
    silent: contextlib.AbstractContextManager[None] = network.no_sync()
    return silent
