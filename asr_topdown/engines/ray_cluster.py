"""Ray as the engine: `pip install 'asr_topdown[ray]'`.

Without an address only this machine is used; with one, those of a running Ray cluster, which must all share
the disk with the data and experiments and have this package installed. A job is a task in its own process. It
ends with the program that submitted it, also by Ctrl-C; when restarted, that program submits what is not
finished, and each training resumes from its last checkpoint.
"""

import os
import threading
from concurrent.futures import Future
from typing import Any

from asr_topdown.engines.job import Answer, Job, JobError, attempt, log_to


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

    def submit(self, job: Job) -> "Future[Any]":
        """Submit the job and return a future of its result; the exception is a `JobError`."""
        promise: Future[Any] = Future()
        promise.set_running_or_notify_cancel()
        threading.Thread(target=self._wait_for, args=(job, promise), daemon=True).start()
        return promise

    def close(self) -> None:
        """End all tasks."""
        import ray

        ray.shutdown()

    def _wait_for(self, job: Job, promise: "Future[Any]") -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        if self._room:
            self._room.acquire()
        try:
            answer: Answer = ray.get(self._run.remote(job, os.getcwd()))
            promise.set_result(answer.settle(job))
        except JobError as error:
            promise.set_exception(error)
        except RayTaskError as error:  # not the work's, which is in the answer
            promise.set_exception(JobError(job.name, str(error).strip().splitlines()[-1]))
        except RayError as error:  # killed, out of memory, its machine gone
            problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            promise.set_exception(JobError(job.name, problem, lost=True))
        except Exception as error:  # what Ray raises once it is shut down
            promise.set_exception(JobError(job.name, f"{type(error).__name__}: {error}"))
        finally:
            if self._room:
                self._room.release()


def _run(job: Job, folder: str) -> Answer:
    """Run a job on the cluster, in the folder to which paths are relative."""
    os.chdir(folder)
    log_to(job.log)
    return attempt(job.work)
