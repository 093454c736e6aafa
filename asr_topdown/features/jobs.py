"""Independent jobs in processes of their own, with one progress bar for all."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch

from asr_topdown.progress import progress

Job = TypeVar("Job")
Result = TypeVar("Result")
Tick = Callable[[], object]
"""To be called once per item that is done."""

_POLL_SECONDS = 0.2


def run_jobs(work: Callable[[Job, Tick], Result], jobs: Sequence[Job], total: int, what: str) -> list[Result]:
    """`work(job, tick)` for each job, one process each; a single job runs in this process.

    Args:
        work: a function of a module, so that other processes can find it; runs on one thread.
        jobs: plain values, which can be pickled.
        total: items in all jobs together.
        what: text of the progress bar.

    Returns:
        the results, in the order of the jobs.

    Raises:
        ValueError, OSError: what a job raises first; the others are ended. OSError also if a process died.
    """
    bar = progress((), what, total=total, unit="utt")
    with bar:
        if len(jobs) == 1:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                return [work(jobs[0], bar.update)]
            finally:
                torch.set_num_threads(threads)
        return _run_apart(work, jobs, bar)


def _run_apart(work: Callable[[Job, Tick], Result], jobs: Sequence[Job], bar: Any) -> list[Result]:
    # Not forked from here: a fork inherits locks of threads that it does not have.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    done = context.Value("q", 0)
    running: dict[connection.Connection, tuple[int, BaseProcess]] = {}
    results: dict[int, Result] = {}
    try:
        for index, job in enumerate(jobs):
            running.update(_start(context, work, index, job, done))
        while running:
            for ready in connection.wait(list(running), _POLL_SECONDS):
                assert isinstance(ready, connection.Connection)
                index, process = running[ready]
                results[index] = _receive(ready, process)
                del running[ready]
            bar.update(done.value - bar.n)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()
    return [results[index] for index in range(len(jobs))]


def _start(
    context: ForkServerContext, work: Callable[[Job, Tick], Result], index: int, job: Job, done: Any
) -> dict[connection.Connection, tuple[int, BaseProcess]]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_process, args=(work, job, done, theirs), daemon=True)
    process.start()
    theirs.close()
    return {ours: (index, process)}


def _receive(ready: connection.Connection, process: BaseProcess) -> Any:
    try:
        outcome = ready.recv()
    except EOFError:
        process.join()
        raise OSError(
            f"a process of the job died (exit code {process.exitcode}); was there enough memory?"
        ) from None
    process.join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _process(
    work: Callable[[Job, Tick], Result], job: Job, done: Any, results: connection.Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave through every `finally`
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def tick() -> None:
        with done.get_lock():
            done.value += 1
        if not parent.is_alive():
            sys.exit(1)

    try:
        results.send(work(job, tick))
    except (ValueError, OSError) as error:
        # As plain text: an exception with a cause or with odd arguments may not survive pickling.
        results.send(OSError(str(error)) if isinstance(error, OSError) else ValueError(str(error)))
