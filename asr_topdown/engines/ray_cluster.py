"""Ray as the engine: `pip install 'asr_topdown[ray]'`.

Without an address only this machine is used; with one, those of a running Ray cluster, which must all share
the disk with the data and experiments and have this package installed. A job is a task in its own process. It
ends with the program that submitted it, also by Ctrl-C; when restarted, that program submits what is not
finished, and each training resumes from its last checkpoint.
"""

import os
import signal
import threading
from concurrent.futures import Future
from typing import Any

from asr_topdown.engines.interruption import handlers_kept
from asr_topdown.engines.job import Answer, Job, JobError, attempt, log_to

_CLOSING_SECONDS = 20


class Ray:
    """Runs jobs as tasks of Ray.

    Args:
        address: of a running cluster ("auto" finds this machine's); "" starts one on only this machine.
        at_once: maximum number of jobs at a time; 0 = as many as the cluster has CPUs and GPUs for.
        threads: CPUs requested per job, and its OpenMP threads.
        gpus: GPUs requested per job, possibly a fraction.

    Raises:
        ValueError: if Ray is not installed or the cluster does not answer.
    """

    def __init__(self, address: str = "", *, at_once: int = 0, threads: int = 1, gpus: float = 0) -> None:
        try:
            import ray
        except ImportError:
            raise ValueError("--engine ray needs Ray: pip install 'asr_topdown[ray]'") from None
        # Its own name for "give CUDA_VISIBLE_DEVICES to each task, also to those that ask for no GPU".
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            # Its own handler for SIGTERM ends the program with neither a word nor our exit code.
            with handlers_kept(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    include_dashboard=None if address else False,
                    namespace="asr_topdown",
                )
        except Exception as error:  # of any kind, if it does not start or does not answer
            raise ValueError(f"--engine ray: {' '.join(str(error).split())}") from error
        environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if path := os.environ.get("PYTHONPATH"):
            environment["PYTHONPATH"] = path
        # A process for each call: what a job leaves in its process is gone with it. Retries are not Ray's.
        self._run = ray.remote(max_calls=1, max_retries=0)(_run).options(
            num_cpus=threads, num_gpus=gpus, runtime_env={"env_vars": environment}
        )
        self._room = threading.Semaphore(at_once) if at_once else None
        self._lock = threading.Lock()
        self._waiting: dict[threading.Thread, Any] = {}  # for a job -> its task, None before it has begun
        self._closed = False

    def submit(self, job: Job) -> "Future[Any]":
        """Submit the job and return a future of its result; the exception is a `JobError`."""
        promise: Future[Any] = Future()
        promise.set_running_or_notify_cancel()
        thread = threading.Thread(target=self._wait_for, args=(job, promise), daemon=True)
        with self._lock:
            self._waiting[thread] = None
        thread.start()
        return promise

    def close(self) -> None:
        """End all tasks."""
        import ray

        with self._lock:
            self._closed = True
            waiting = dict(self._waiting)
        for task in waiting.values():
            if task is not None:
                ray.cancel(task, force=True)
        # Ray ends the whole process if a thread still speaks to it once it is shut down.
        for thread in waiting:
            thread.join(_CLOSING_SECONDS)
        ray.shutdown()

    def _wait_for(self, job: Job, promise: "Future[Any]") -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        if self._room:
            self._room.acquire()
        try:
            answer: Answer = ray.get(self._begin(job))
            promise.set_result(answer.settle(job))
        except JobError as error:
            promise.set_exception(error)
        except RayTaskError as error:  # not the work's, which is in the answer
            promise.set_exception(JobError(job.name, str(error).strip().splitlines()[-1]))
        except RayError as error:  # killed, out of memory, its machine gone
            first_line = str(error).strip().splitlines()[:1]  # none of a task that was cancelled
            problem = ": ".join([type(error).__name__, *first_line])
            promise.set_exception(JobError(job.name, problem, lost=not self._closed))
        except Exception as error:  # what Ray raises once it is shut down
            promise.set_exception(JobError(job.name, f"{type(error).__name__}: {error}"))
        finally:
            if self._room:
                self._room.release()
            with self._lock:
                del self._waiting[threading.current_thread()]

    def _begin(self, job: Job) -> Any:
        """Begin the task, for the thread that waits for it."""
        with self._lock:
            if self._closed:  # Ray would start again by itself
                raise JobError(job.name, "not begun: the engine is closed")
            task = self._waiting[threading.current_thread()] = self._run.remote(job, os.getcwd())
        return task


def _run(job: Job, folder: str) -> Answer:
    """Run a job on the cluster, in the folder to which paths are relative."""
    os.chdir(folder)
    log_to(job.log)
    return attempt(job.work)
