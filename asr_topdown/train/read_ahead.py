"""Load and augment batches in threads while the previous step is computed."""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")

_MOST_WORKERS = 4


def usual_workers(device: torch.device) -> int:
    """Threads for a training on `device`: the number of CPUs per GPU, at most 4.

    On the CPU there are none: the steps take all cores, and loading takes a hundredth of their time.
    """
    if device.type != "cuda":
        return 0
    cpus = len(os.sched_getaffinity(0)) // max(1, torch.cuda.device_count())
    return min(max(1, cpus - 1), _MOST_WORKERS)


def read_ahead(
    load: Callable[[Item], Loaded], items: Sequence[Item], *, workers: int
) -> Generator[Loaded, None, None]:
    """`load` the items in order, up to two per worker in advance.

    The output does not depend on the number of workers, provided that `load` is a pure function.

    Args:
        load: runs in other threads; its exceptions are raised when the item is due.
        items: in the order in which they are needed.
        workers: number of threads; 0 = load on demand.
    """
    if not workers:
        yield from map(load, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        ahead: deque[Future[Loaded]] = deque()
        for item in items:
            ahead.append(pool.submit(load, item))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
