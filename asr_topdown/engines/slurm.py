"""A Slurm cluster as the engine, through submitit: `pip install 'asr_topdown[cluster]'`.

A job is warned some time before its time limit, or when it is preempted; it saves its state, is requeued
and resumes from there. A job that leaves the queue without a result (cancelled, its node lost) is
lost, and `Retrying` submits it again. The submitting program may end meanwhile, also by Ctrl-C: the jobs
stay, and when restarted it waits for them instead of submitting them twice. All of a job's files
must be on a disk shared by the whole cluster.
"""

import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_topdown.engines import interruption
from asr_topdown.engines.job import Answer, Job, JobError, attempt, log_to, say
from asr_topdown.engines.slurm_options import SlurmOptions
from asr_topdown.files import write_text

_ACTIVE = frozenset((
    "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "COMPLETING", "SIGNALING", "STAGE_OUT",
    "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
))  # fmt: skip
_RESULT_SECONDS = 10.0
"""Maximum time for a network disk to show the result of a job that has left the queue."""


@dataclass
class _Submitted:
    job: Job
    number: str
    promise: "Future[Any]"
    missing_since: float | None = None


class Slurm:
    """Submits each job to the queue and watches all of them with one query at a time.

    Args:
        options: for the cluster.
        at_once: maximum number of jobs in the queue; 0 = no limit.
        threads: of each job, which gets as many CPUs unless the options say otherwise.

    Raises:
        ValueError: if submitit or Slurm is not installed.
    """

    def __init__(self, options: SlurmOptions, *, at_once: int = 0, threads: int = 1) -> None:
        _check_installed()
        self._options = options
        self._at_once = at_once
        self._threads = threads
        self._waiting: deque[tuple[Job, Future[Any]]] = deque()
        self._submitted: list[_Submitted] = []
        self._news = threading.Event()
        self._closed = False
        self._silent: set[str] = set()
        self._names: set[str] = set()
        self._watcher = threading.Thread(target=self._watch, name="slurm", daemon=True)
        self._watcher.start()

    def submit(self, job: Job) -> "Future[Any]":
        """Submit the job and return a future of its result; the exception is a `JobError`."""
        assert job.folder is not None, f"{job.name}: a job for a cluster needs a folder"
        if self._closed:
            raise RuntimeError("the engine is closed")
        promise: Future[Any] = Future()
        promise.set_running_or_notify_cancel()
        self._waiting.append((job, promise))
        self._news.set()
        return promise

    def close(self) -> None:
        """Stop watching; jobs in the queue stay there, and a message says how to cancel them."""
        self._closed = True
        self._news.set()
        self._watcher.join()
        if self._submitted:
            numbers = " ".join(one.number for one in self._submitted)
            say(
                f"{len(self._submitted)} jobs stay in Slurm's queue; the same command waits for them again. "
                f"To end them: scancel {numbers}"
            )

    # --- the thread that watches ---------------------------------------------------------------------

    def _watch(self) -> None:
        pause = 1.0
        while not self._closed:
            try:
                busy = self._look()
            except Exception as error:  # a bug here must not leave the driver waiting for ever
                self._fail_all(error)
                return
            if self._news.is_set() or busy:
                pause = 1.0
            self._news.clear()
            self._news.wait(pause)
            pause = min(2 * pause, float(self._options.poll))

    def _look(self) -> bool:
        """One round; whether something has happened or is about to."""
        self._names = {_name(one.job) for one in self._submitted}
        states = self._states() if self._submitted or self._waiting else {}
        if states is None:
            return False  # the controller does not answer: ask again later
        before = len(self._submitted)
        for one in list(self._submitted):
            self._look_at(one, states.get((one.number, _name(one.job)), "gone"))
        ended = before - len(self._submitted)
        started = self._start(states)
        return bool(ended or started) or any(one.missing_since for one in self._submitted)

    def _look_at(self, one: _Submitted, state: str) -> None:
        answer = _answer(one)
        if answer is None and state not in _ACTIVE:
            now = time.monotonic()
            one.missing_since = one.missing_since or now
            if now - one.missing_since < _RESULT_SECONDS:
                return
            answer = Answer(problem=f"Slurm job {one.number} ended without a result ({state})", lost=True)
        elif answer is None:
            one.missing_since = None
            return
        self._submitted.remove(one)
        try:
            one.promise.set_result(answer.settle(one.job))
        except JobError as error:
            one.promise.set_exception(error)

    def _start(self, states: dict[tuple[str, str], str]) -> bool:
        """Submit waiting jobs, as far as there is room in the queue."""
        started = False
        while self._waiting and not (self._at_once and len(self._submitted) >= self._at_once):
            job, promise = self._waiting[0]
            number = _still_there(job, states)
            if number is None:
                try:
                    number = self._sbatch(job)
                except (OSError, ValueError, RuntimeError) as error:
                    problem = " ".join(str(error).split())
                    if self._submitted or "contact slurm controller" in problem:
                        self._say_once(f"{job.name}: not submitted yet: {problem}")
                        return started
                    self._waiting.popleft()
                    promise.set_exception(JobError(job.name, problem))
                    continue
            else:
                say(f"{job.name}: waits for Slurm job {number}, which was submitted before")
            self._waiting.popleft()
            self._submitted.append(_Submitted(job, number, promise))
            started = True
        return started

    def _sbatch(self, job: Job) -> str:
        import submitit

        assert job.folder is not None
        folder = _memory(job).parent
        shutil.rmtree(folder, ignore_errors=True)  # of a job that is lost
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=self._options.requeues)
        executor.update_parameters(job_name=_name(job), **self._parameters())
        number: str = executor.submit(_Task(job)).job_id
        write_text(_memory(job), f"{number}\n")
        return number

    def _parameters(self) -> dict[str, Any]:
        options = self._options
        cpus = options.cpus or self._threads
        parameters: dict[str, Any] = {
            "time": options.time,
            "cpus_per_task": cpus,
            # Since Slurm 22.05 srun does not take it over from sbatch.
            "srun_args": [f"--cpus-per-task={cpus}"],
            "signal_delay_s": options.notice,
            "stderr_to_stdout": True,
            "wckey": None,  # submitit's own, which a cluster may not know
            "additional_parameters": {
                "requeue": True,
                **{key: value or True for key, value in options.sbatch.items()},
            },
        }
        if options.gpus:
            parameters["gpus_per_node"] = options.gpus
        if options.mem:
            parameters["mem"] = options.mem
        if options.setup:
            parameters["setup"] = list(options.setup)
        return parameters

    def _states(self) -> dict[tuple[str, str], str] | None:
        """(number, name) -> state, for every job of this user known to Slurm; None if it does not answer."""
        command = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%r|%j"]
        # `sacct`, which submitit would use, does not work on clusters without an accounting database.
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            words = getattr(error, "stderr", None) or str(error)
            self._say_once(f"squeue does not answer, asking on: {' '.join(str(words).split())}")
            return None
        states = {}
        # The name last: those of the user's other jobs may hold anything.
        for number, state, reason, name in (line.split("|", 3) for line in done.stdout.splitlines()):
            states[number, name] = state
            if state == "PENDING" and name in self._names and "Limit" in reason:
                self._say_once(
                    f"Slurm: {name} waits for {reason}; is too much asked for (time, gpus, cpus, mem)?"
                )
        return states

    def _say_once(self, line: str) -> None:
        if line not in self._silent:
            self._silent.add(line)
            say(line)

    def _fail_all(self, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}"
        for job, promise in [*self._waiting, *((one.job, one.promise) for one in self._submitted)]:
            promise.set_exception(JobError(job.name, problem))


class _Task:
    """The work on the cluster. submitit pickles it, and calls `checkpoint` when it is requeued."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> Answer:
        put_off = signal.getsignal(signal.SIGUSR2)  # submitit's: write this task down, requeue the job, exit
        log_to(self.job.log)
        logging.getLogger("submitit").propagate = False  # it writes by itself
        logging.getLogger("submitit").setLevel(logging.WARNING)
        interruption.listen(signal.SIGUSR2, signal.SIGTERM)
        try:
            return attempt(self.job.work)
        except interruption.Interrupted as asked:
            if asked.signal == signal.SIGUSR2 and callable(put_off):
                put_off(signal.SIGUSR2, None)
            # SIGTERM comes from scancel or from a preemption, which decides itself what becomes of the job.
            sys.exit(1)

    def checkpoint(self) -> Any:
        """The same again: its state is on disk."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _check_installed() -> None:
    try:
        import submitit  # noqa: F401 - only whether it is there
    except ImportError:
        raise ValueError("--engine slurm needs submitit: pip install 'asr_topdown[cluster]'") from None
    for program in ("sbatch", "squeue", "srun"):
        if shutil.which(program) is None:
            raise ValueError(f"--engine slurm: {program} is not here; is this a machine of the cluster?")


def _name(job: Job) -> str:
    assert job.folder is not None
    return f"asr-{job.folder.name}"


def _memory(job: Job) -> Path:
    """The file with the number of the job's latest submission."""
    assert job.folder is not None
    return job.folder / "slurm" / "job"


def _still_there(job: Job, states: dict[tuple[str, str], str]) -> str | None:
    """The number of an earlier submission of this job that is waiting or running."""
    try:
        number = _memory(job).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return number if states.get((number, _name(job))) in _ACTIVE else None


def _answer(one: _Submitted) -> Answer | None:
    """The job's answer on disk; None while there is none."""
    path = _memory(one.job).parent / f"{one.number}_0_result.pkl"
    try:
        with path.open("rb") as handle:
            how, value = pickle.load(handle)  # noqa: S301 - our own job wrote it
    except (FileNotFoundError, EOFError):
        return None
    if how == "success":
        assert isinstance(value, Answer)
        return value
    return Answer(problem=f"Slurm job {one.number}: {str(value).strip().splitlines()[-1]}")
