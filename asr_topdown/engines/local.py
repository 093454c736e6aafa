"""This machine as the engine: each job in a process of its own; one that dies takes no other with it."""

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from asr_topdown.engines import interruption
from asr_topdown.engines.job import Answer, Job, JobError, attempt, log_to

_SECONDS_TO_STOP = 10.0


class InProcess:
    """Runs each job in this very process, when it is submitted."""

    def submit(self, job: Job) -> "Future[Any]":
        """The job's result or its `JobError`, there already."""
        future: Future[Any] = Future()
        answer = attempt(job.work)
        if answer.problem:
            future.set_exception(JobError(job.name, answer.problem, lost=answer.lost))
        else:
            future.set_result(answer.result)
        return future


class Processes:
    """Runs jobs in processes started with `spawn`, at most `workers` at a time.

    Args:
        workers: how many processes at a time.
        threads: OpenMP threads of each process.
        gpus: GPUs that the workers are spread over, by CUDA_VISIBLE_DEVICES; 0 leaves it as it is.
    """

    def __init__(self, workers: int, *, threads: int = 1, gpus: int = 0) -> None:
        # A thread per worker, which only waits for its process.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._environments: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        for worker in range(workers):
            self._environments.put(_environment(worker, threads, gpus))
        self._guard = threading.Lock()
        self._alive: set[SpawnProcess] = set()
        self._closed = False

    def submit(self, job: Job) -> "Future[Any]":
        """Promise the job's result; the future's exception is a `JobError`."""
        # Pickled here: the child reads it only when its environment is set, since it may bring torch in.
        return self._threads.submit(self._run, job, pickle.dumps(job.work))

    def close(self) -> None:
        """Forget what is queued, stop what runs and wait for its end."""
        with self._guard:
            self._closed = True
            alive = list(self._alive)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for process in alive:
            if not wait([process.sentinel], max(0.0, deadline - time.monotonic())):
                process.kill()
        self._threads.shutdown(wait=True)

    def _run(self, job: Job, work: bytes) -> Any:
        environment = self._environments.get()
        try:
            return self._in_process(job, work, environment)
        finally:
            self._environments.put(environment)

    def _in_process(self, job: Job, work: bytes, environment: Mapping[str, str]) -> Any:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(sender, work, dict(environment), job.log))
        with self._guard:
            if self._closed:
                raise JobError(job.name, "stopped before it began")
            process.start()
            self._alive.add(process)
        sender.close()  # now the child alone holds it: its death is the end of the pipe
        answer: Answer | None
        try:
            answer = receiver.recv()
        except EOFError:
            answer = None
        finally:
            receiver.close()
            wait([process.sentinel])
            # Guarded, since starting a process also reaps the ended ones, in another thread.
            with self._guard:
                process.join()
                self._alive.discard(process)
        if answer is None:
            answer = Answer(problem=_describe_exit(process.exitcode), lost=not self._closed)
        return answer.settle(job)


def _child(sender: Connection, work: bytes, environment: Mapping[str, str], log: Path | None) -> None:
    """What runs in a worker process: send an `Answer`."""
    # Ctrl-C goes to every process of the terminal; the parent alone decides, and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(environment)
    log_to(log)
    try:
        interruption.listen(signal.SIGTERM)
        sender.send(_answer(work))
    except interruption.Interrupted as asked:
        os._exit(128 + asked.signal)  # at once, since the parent waits for it


def _answer(work: bytes) -> Answer:
    try:
        job = pickle.loads(work)  # noqa: S301 - our own parent wrote it
    except Exception as error:
        traceback.print_exc()
        return Answer(problem=f"{type(error).__name__}: {error}")
    return attempt(job)


def _die_with_parent() -> None:
    """Without this, workers would train on after the parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


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
