"""Jobs for an engine, which are functions without arguments, and their results."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from asr_topdown.files import explain

LOG_LINES_SHOWN = 5
_NO_MEMORY = ("out of memory", "allocate memory")


@dataclass(frozen=True)
class Job:
    """A piece of work for an engine.

    Attributes:
        name: for messages.
        work: does it and returns its result; picklable (a module's function, or a partial of one).
        folder: the job's own, with its log and an engine's records; None = it has none
            and writes to the terminal. Two jobs with one folder are the same job.
    """

    name: str
    work: Callable[[], Any]
    folder: Path | None = None

    @property
    def log(self) -> Path | None:
        """The file for the job's output."""
        return log_of(self.folder) if self.folder else None


class JobError(ChildProcessError):
    """A job failed.

    Attributes:
        problem: why, without the job's name.
        lost: whether it died of an external cause (killed, out of memory, a broken machine), so that
            a retry may succeed.
    """

    def __init__(self, name: str, problem: str, *, lost: bool = False) -> None:
        super().__init__(f"{name}: {problem}")
        self.problem = problem
        self.lost = lost


class Engine(Protocol):
    """Runs jobs somewhere. Used as a context when opened (`open_engine`)."""

    def submit(self, job: Job) -> "Future[Any]":
        """Submit the job and return a future of its result; the exception is a `JobError`."""
        ...


@dataclass(frozen=True)
class Answer:
    """The answer of a job's process: its result, or one line about the problem."""

    result: Any = None
    problem: str = ""
    lost: bool = False

    def settle(self, job: Job) -> Any:
        """The result.

        Raises:
            JobError: if there was a problem, with the end of the log.
        """
        if self.problem:
            raise JobError(job.name, self.problem + log_hint(job.log), lost=self.lost)
        return self.result


def attempt(work: Callable[[], Any]) -> Answer:
    """Run `work`.

    An error that is not a user's (those are ValueError and OSError) also has its traceback on stderr.
    """
    try:
        return Answer(work())
    except (ValueError, OSError) as error:
        return Answer(problem=explain(error))
    except Exception as error:
        if problem := no_memory(error):
            return Answer(problem=problem, lost=True)
        traceback.print_exc()
        return Answer(problem=f"{type(error).__name__}: {error}", lost="CUDA error" in str(error))


def no_memory(error: BaseException) -> str:
    """One line about `error` if it means that memory ran out, on the CPU or a GPU; otherwise ""."""
    said = " ".join(str(error).split())
    runtime = isinstance(error, RuntimeError) and any(words in said for words in _NO_MEMORY)
    if not runtime and not isinstance(error, MemoryError):
        return ""
    return f"not enough memory for this network, batch or data ({said or type(error).__name__})"


def log_of(folder: Path) -> Path:
    """The log file of the job with this folder."""
    return folder / "worker.log"


def log_to(log: Path | None) -> None:
    """Append this process's output, including that of C libraries and the package's log, to `log`."""
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")


def last_lines(path: Path, count: int) -> str:
    """The last `count` lines of a log that are not blank; "" if it cannot be read."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 8192))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    # splitlines also cuts at the carriage returns of a progress bar
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def log_hint(log: Path | None) -> str:
    """For the end of an error message: the log's path and its last lines."""
    if log is None:
        return ""
    lines = last_lines(log, LOG_LINES_SHOWN)
    return f"; {log} ends with:\n{lines}" if lines else f"; nothing in {log}"


def say(line: str) -> None:
    """Print a line on stderr, unbuffered."""
    print(line, file=sys.stderr, flush=True)
