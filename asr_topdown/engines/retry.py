"""Retry jobs that die: they resume from their last checkpoint, if any."""

from concurrent.futures import Future
from typing import Any

from asr_topdown.engines.job import Engine, Job, JobError, say


class Retrying:
    """An engine that resubmits lost jobs to another engine.

    A job that fails by itself (a missing file, a bug) would fail again and is not retried. A retried
    job queues behind the others, so that the cause (too many at a time for the memory) has time to pass.

    Args:
        engine: runs the jobs.
        retries: how often a job is retried.
    """

    def __init__(self, engine: Engine, retries: int) -> None:
        self._engine = engine
        self._retries = retries

    def submit(self, job: Job) -> "Future[Any]":
        """Submit the job and return a future of its result; the exception is that of the last attempt."""
        promise: Future[Any] = Future()
        promise.set_running_or_notify_cancel()
        self._try(job, promise, 1)
        return promise

    def _try(self, job: Job, promise: "Future[Any]", number: int) -> None:
        try:
            future = self._engine.submit(job)
        except RuntimeError as error:  # the engine has been closed meanwhile
            promise.set_exception(JobError(job.name, str(error)))
            return
        future.add_done_callback(lambda done: self._settle(job, promise, number, done))

    def _settle(self, job: Job, promise: "Future[Any]", number: int, done: "Future[Any]") -> None:
        if done.cancelled():
            promise.set_exception(JobError(job.name, "stopped before it began"))
            return
        error = done.exception()
        if error is None:
            promise.set_result(done.result())
        elif isinstance(error, JobError) and error.lost and number <= self._retries:
            reason = error.problem.splitlines()[0].partition("; ")[0]
            say(f"{job.name}: {reason}; retry {number} of {self._retries}")
            self._try(job, promise, number + 1)
        else:
            promise.set_exception(_after(number, job, error))


def _after(tries: int, job: Job, error: BaseException) -> BaseException:
    if tries == 1 or not isinstance(error, JobError):
        return error
    return JobError(job.name, f"{error.problem} (tried {tries} times)", lost=error.lost)
