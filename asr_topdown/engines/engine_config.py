"""The configuration of the engine that runs the jobs, from the command line."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from asr_topdown.engines.job import Engine
from asr_topdown.engines.local import InProcess, LocalPool
from asr_topdown.engines.ray_cluster import Ray
from asr_topdown.engines.retry import Retrying
from asr_topdown.engines.slurm import Slurm
from asr_topdown.engines.slurm_options import SlurmOptions

ENGINES = ("local", "slurm", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """An engine and how much of it to use.

    Attributes:
        engine: one of `ENGINES`.
        workers: jobs at a time; None = here one per GPU, or one per `threads` CPUs; on a cluster no limit.
        gpus: GPUs of this machine over which to spread the workers; with the engine ray, GPUs per job.
        threads: OpenMP threads per job.
        retries: how often a job that died (killed, out of memory, lost) is retried.
        slurm: options for the cluster, with the engine slurm.
        ray: address of the cluster, with the engine ray; "" = only this machine.
    """

    engine: str = "local"
    workers: int | None = None
    gpus: int = 0
    threads: int = 1
    retries: int = 2
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    ray: str = ""

    @property
    def in_process(self) -> bool:
        """Whether jobs run in this process."""
        return self.engine == "local" and self.local_workers <= 1

    @property
    def local_workers(self) -> int:
        """Number of processes on this machine."""
        if self.workers is not None:
            return self.workers
        return self.gpus or max(1, len(os.sched_getaffinity(0)) // self.threads)


@contextlib.contextmanager
def open_engine(config: EngineConfig) -> Iterator[Engine]:
    """A context with the engine.

    Leaving the block, also by Ctrl-C, stops the processes of this machine and Ray's; Slurm's jobs stay in the
    queue, and when reopened for the same jobs the engine waits for them. With one worker on this machine,
    jobs run in this process.

    Raises:
        ValueError: if the engine is not installed.
    """
    if config.in_process:
        yield InProcess()
        return
    with contextlib.closing(_engine(config)) as engine:
        yield Retrying(engine, config.retries)


def _engine(config: EngineConfig) -> LocalPool | Slurm | Ray:
    if config.engine == "slurm":
        return Slurm(config.slurm, at_once=config.workers or 0, threads=config.threads)
    if config.engine == "ray":
        return Ray(config.ray, at_once=config.workers or 0, threads=config.threads, gpus=config.gpus)
    assert config.engine == "local", config.engine
    return LocalPool(config.local_workers, threads=config.threads, gpus=config.gpus)
