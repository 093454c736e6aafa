"""Which engine runs the jobs, as the command line says it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from asr_topdown.engines.job import Engine
from asr_topdown.engines.local import Here, Processes
from asr_topdown.engines.retry import Retrying

ENGINES = ("local",)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An engine and how much of it to use.

    Attributes:
        engine: one of `ENGINES`.
        workers: jobs at a time; None = one per GPU, or one per `threads` CPUs.
        gpus: GPUs of this machine that the workers are spread over.
        threads: OpenMP threads of each job.
        retries: how often a job that died (killed, out of memory, lost) is tried again.
    """

    engine: str = "local"
    workers: int | None = None
    gpus: int = 0
    threads: int = 1
    retries: int = 2

    @property
    def local_workers(self) -> int:
        """How many processes work on this machine."""
        if self.workers is not None:
            return self.workers
        return self.gpus or max(1, len(os.sched_getaffinity(0)) // self.threads)


@contextlib.contextmanager
def opened(choice: Choice) -> Iterator[Engine]:
    """The engine, while the block runs. Leaving it, by Ctrl-C too, stops the processes of this machine.

    With a single worker here, jobs run in this very process.
    """
    workers = choice.local_workers
    if workers <= 1:
        yield Here()
        return
    processes = Processes(workers, threads=choice.threads, gpus=choice.gpus)
    with contextlib.closing(processes):
        yield Retrying(processes, choice.retries)
