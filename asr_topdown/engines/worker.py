"""The loop of a process of `local.LocalPool`: one job after another, until the pool is closed or dies."""

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from asr_topdown.engines import interruption
from asr_topdown.engines.job import Answer, attempt, log_to
from asr_topdown.files import explain

TAKEN = "taken"
"""The message to the pool when a job has arrived; from then on, failures are the job's."""

_pool: Connection | None = None


def report_progress() -> None:
    """Report one more finished item of the running job to the pool, if there is one."""
    if _pool is not None:
        _pool.send(1)


class _ToPool(logging.handlers.QueueHandler):
    """Sends log records to the pool, the only process that writes to the terminal, to keep lines intact."""

    def enqueue(self, record: logging.LogRecord) -> None:
        assert _pool is not None
        _pool.send(record)


def serve(pool: Connection, environment: Mapping[str, str]) -> None:
    """Answer each message from the pool, (pickled work, log or None), with `TAKEN` and an `Answer`.

    In between, send a number for each finished item and, for jobs without their own log, each record
    of the package's log.

    Args:
        pool: its other end is closed when there is no more work.
        environment: variables in addition to the inherited ones.
    """
    global _pool
    _pool = pool
    # Ctrl-C goes to every process of the terminal; the pool's process alone decides, and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    terminal = os.dup(1), os.dup(2)
    try:
        interruption.listen(signal.SIGTERM, signal.SIGHUP)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        while True:
            try:
                work, log = pool.recv()
            except EOFError:
                return
            pool.send(TAKEN)
            pool.send(_answer(work, log, terminal))
    except interruption.Interrupted as asked:
        os._exit(128 + asked.signal)  # at once, since the pool waits for it


def _answer(work: bytes, log: Path | None, terminal: tuple[int, int]) -> Answer:
    try:
        _log_to(log, terminal)
    except OSError as error:  # the disk is full or read-only: the reason cannot be in the log
        return Answer(problem=explain(error))
    try:
        job = pickle.loads(work)  # noqa: S301 - our own parent wrote it
    except Exception as error:
        traceback.print_exc()
        return Answer(problem=f"{type(error).__name__}: {error}")
    return attempt(job)


def _log_to(log: Path | None, terminal: tuple[int, int]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # what the disk has no room for is no failure of the next job
            stream.flush()
    for own, number in zip(terminal, (1, 2), strict=True):
        os.dup2(own, number)
    logging.getLogger().handlers = [] if log else [_ToPool(queue.SimpleQueue())]
    log_to(log)
    logging.getLogger().setLevel(logging.INFO)


def _end_with_parent() -> None:
    """Stop this worker when its parent is killed; it saves its state and cleans up first."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(interruption.GRACE_SECONDS + 5)
    os._exit(1)
