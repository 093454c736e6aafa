"""This machine as the engine: jobs in separate processes; one that dies does not affect the others."""

import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from asr_topdown.engines import worker
from asr_topdown.engines.interruption import GRACE_SECONDS
from asr_topdown.engines.job import Answer, Job, JobError, attempt, say
from asr_topdown.logs import ONCE

_SECONDS_TO_STOP = GRACE_SECONDS + 5.0
"""Time for a job to save its state when asked to stop."""


class InProcess:
    """Runs each job in this process, when it is submitted."""

    def submit(self, job: Job) -> "Future[Any]":
        """Run the job and return a finished future of its result or `JobError`."""
        future: Future[Any] = Future()
        answer = attempt(job.work)
        if answer.problem:
            future.set_exception(JobError(job.name, answer.problem, lost=answer.lost))
        else:
            future.set_result(answer.result)
        return future


class LocalPool:
    """Runs jobs in processes started with `spawn`, at most `workers` at a time.

    A process runs one job after another, since it needs seconds to start. A job whose process dies is
    lost, without affecting others.

    Args:
        workers: number of processes at a time.
        threads: OpenMP threads per process.
        gpus: GPUs over which the workers are spread, by CUDA_VISIBLE_DEVICES; 0 leaves it unchanged.
    """

    def __init__(self, workers: int, *, threads: int = 1, gpus: int = 0) -> None:
        # A thread per worker, which only waits for its process.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._closed = threading.Event()
        self._guard = threading.Lock()  # starting a process also reaps the ended ones, in another thread
        self._said: set[str] = set()
        self._workers = [
            _Worker(self._guard, self._closed, _environment(i, threads, gpus), self._log)
            for i in range(workers)
        ]
        # The last one used is the first to be used again, since its process is there.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for one in reversed(self._workers):
            self._idle.put(one)

    def submit(self, job: Job, on_progress: Callable[[], object] | None = None) -> "Future[Any]":
        """Promise the job's result; the future's exception is a `JobError`.

        Args:
            job: what to run.
            on_progress: called, in another thread, whenever the job calls `worker.report_progress`.
        """
        # Pickled here: the worker reads it only when its environment is set, since it may bring torch in.
        return self._threads.submit(self._run, job, pickle.dumps(job.work), on_progress)

    def close(self) -> None:
        """Drop queued jobs, ask running ones to stop, and wait for them; Ctrl-C ends them at once."""
        with self._guard:  # nothing is started from now on
            self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        try:
            for one in self._workers:
                one.ask_to_end()
            self._wait_for_end()
        finally:
            for one in self._workers:
                one.kill()
            self._threads.shutdown(wait=True)

    def _wait_for_end(self) -> None:
        began = time.monotonic()
        for patience in (1.0, _SECONDS_TO_STOP):
            for one in self._workers:
                one.wait_for_end(began + patience - time.monotonic())
            busy = sum(one.is_alive() for one in self._workers)
            if busy and patience == 1.0:
                say(f"waiting until {busy} of the workers have ended; Ctrl-C ends them at once")

    def _log(self, record: logging.LogRecord) -> None:
        """Pass on a process's log records, unless another has logged the same."""
        key = getattr(record, ONCE, None)
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno) and (key is None or key not in self._said):
            self._said.add(key or "")
            logger.handle(record)

    def _run(self, job: Job, work: bytes, on_progress: Callable[[], object] | None) -> Any:
        one = self._idle.get()
        try:
            answer = one.run(job, work, on_progress or (lambda: None))
            if self._closed.is_set() and answer.lost:
                answer = Answer(problem=answer.problem)
            return answer.settle(job)
        finally:
            self._idle.put(one)


class _Worker:
    """A process that is started for the first job, and again after it has died."""

    def __init__(
        self,
        guard: threading.Lock,
        closed: threading.Event,
        environment: Mapping[str, str],
        log: Callable[[logging.LogRecord], None],
    ) -> None:
        self._guard = guard
        self._closed = closed
        self._environment = environment
        self._log = log
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def run(self, job: Job, work: bytes, on_progress: Callable[[], object]) -> Answer:
        """Run the job; `lost` if the process died of it."""
        if self._connection is not None and not self._hand_over(job, work):
            self._reap()  # killed while it had nothing to do
        if self._connection is None:
            if not self._start():
                return Answer(problem="stopped before it began")
            self._hand_over(job, work)
        assert self._connection is not None
        try:
            while not isinstance(message := self._connection.recv(), Answer):
                if isinstance(message, logging.LogRecord):
                    self._log(message)
                else:
                    on_progress()
        except (EOFError, OSError):
            return Answer(problem=_describe_exit(self._reap()), lost=True)
        if message.lost:  # a new process has its memory back
            self._reap()
        return message

    def _hand_over(self, job: Job, work: bytes) -> bool:
        """Send the process its job; False if it died before accepting it, so that the job is not to blame."""
        assert self._connection is not None
        try:
            self._connection.send((work, job.log))
            return self._connection.recv() == worker.TAKEN
        except (EOFError, OSError):
            return False

    def is_alive(self) -> bool:
        """Whether a process exists."""
        with self._guard:  # whoever looks at an ended process takes its exit code away
            return self._process is not None and self._process.is_alive()

    def ask_to_end(self) -> None:
        """Ask the process to stop, saving its state if it is working."""
        if (process := self._process) is not None:
            process.terminate()

    def wait_for_end(self, seconds: float) -> None:
        """Wait for the process to end."""
        process = self._process
        if process is not None and wait([process.sentinel], max(0.0, seconds)):
            with self._guard:
                process.join()

    def kill(self) -> None:
        """Kill the process, if it is still running."""
        if (process := self._process) is not None:
            process.kill()

    def _start(self) -> bool:
        """Start a new process; False if the pool is closed."""
        # Neither forked, which inherits locks of threads that it does not have, nor from a fork server, which
        # a signal to the whole process group would end, and with it the processes while they save.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=worker.serve, args=(theirs, dict(self._environment)))
        with self._guard:
            if self._closed.is_set():
                return False
            process.start()
        theirs.close()  # now the process alone holds it: its death is the end of the pipe
        self._process, self._connection = process, ours
        return True

    def _reap(self) -> int | None:
        """Release the process, which may now exit, and return its exit code."""
        assert self._connection is not None
        assert self._process is not None
        self._connection.close()
        wait([self._process.sentinel])
        with self._guard:
            self._process.join()
        code = self._process.exitcode
        self._process = self._connection = None
        return code


def _environment(worker: int, threads: int, gpus: int) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if gpus > 0:
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = listed.split(",") if listed else [str(gpu) for gpu in range(gpus)]
        environment["CUDA_VISIBLE_DEVICES"] = names[worker % min(gpus, len(names))]
    return environment


def _describe_exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit status {code} and no result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
