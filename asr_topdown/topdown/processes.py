"""One process per training run, so many at a time; a process that dies takes no other with it."""

import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from asr_topdown.topdown.node import Node, Outcome

_LOG_LINES_SHOWN = 5
_SECONDS_TO_STOP = 10.0

Run = Callable[[Node], Outcome]


class NodeError(ChildProcessError):
    """The training of a node failed; the message names the node and says why."""

    def __init__(self, node: Node, problem: str) -> None:
        super().__init__(f"node {node.id} ({node.describe()}): {problem}")


class Processes:
    """Train nodes in processes started with `spawn`, at most `workers` at a time.

    Args:
        run: trains a node; picklable.
        workers: how many processes at a time.
        log: where the output of a node's process goes (appended); None = this process's own output.
        threads: OpenMP threads of each process.
        gpus: GPUs that the workers are spread over, by CUDA_VISIBLE_DEVICES; 0 leaves it as it is.
    """

    def __init__(
        self, run: Run, workers: int, *, log: Callable[[Node], Path] | None, threads: int, gpus: int
    ) -> None:
        # Pickled here: the child reads it only when its environment is set, since `run` may bring torch in.
        self._job = pickle.dumps(run)
        self._log = log
        # A thread per worker, which only waits for its process.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._environments: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
        for worker in range(workers):
            self._environments.put(_environment(worker, threads, gpus))
        self._guard = threading.Lock()
        self._alive: set[SpawnProcess] = set()
        self._closed = False

    def submit(self, node: Node) -> "Future[Outcome]":
        """Promise the node's outcome; the future's exception is a `NodeError`."""
        return self._threads.submit(self._train, node)

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

    def _train(self, node: Node) -> Outcome:
        environment = self._environments.get()
        try:
            return self._in_process(node, environment)
        finally:
            self._environments.put(environment)

    def _in_process(self, node: Node, environment: Mapping[str, str]) -> Outcome:
        log = self._log(node) if self._log else None
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(sender, self._job, node, dict(environment), log))
        with self._guard:
            if self._closed:
                raise NodeError(node, "stopped before it began")
            process.start()
            self._alive.add(process)
        sender.close()  # now the child alone holds it: its death is the end of the pipe
        try:
            outcome, problem = receiver.recv()
        except EOFError:
            outcome, problem = None, ""
        finally:
            receiver.close()
            wait([process.sentinel])
            # Guarded, since starting a process also reaps the ended ones, in another thread.
            with self._guard:
                process.join()
                self._alive.discard(process)
        if outcome is None:
            raise NodeError(node, (problem or _describe_exit(process.exitcode)) + _log_hint(log))
        assert isinstance(outcome, Outcome)
        return outcome


def attempt(run: Run, node: Node) -> tuple[Outcome | None, str]:
    """Run a node: its outcome, or None and one line that says what went wrong.

    An error that is not a user's (those are ValueError and OSError) also has its traceback on stderr.
    """
    try:
        return run(node), ""
    except (ValueError, OSError) as error:
        return None, str(error)
    except Exception as error:
        traceback.print_exc()
        return None, f"{type(error).__name__}: {error}"


def last_lines(path: Path, count: int) -> str:
    """The last `count` lines of a log that are not blank; "" if there is no such file."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 8192))
            text = log.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    # splitlines also cuts at the carriage returns of a progress bar
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def _child(
    answer: Connection, job: bytes, node: Node, environment: Mapping[str, str], log: Path | None
) -> None:
    """What runs in a worker process: send (outcome or None, problem)."""
    # Ctrl-C goes to every process of the terminal; the parent alone decides, and stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(environment)
    if log is not None:
        _write_output_to(log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        run = pickle.loads(job)  # noqa: S301 - our own parent wrote it
    except Exception as error:
        traceback.print_exc()
        answer.send((None, f"{type(error).__name__}: {error}"))
    else:
        answer.send(attempt(run, node))


def _die_with_parent() -> None:
    """Without this, workers would train on after the parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _write_output_to(log: Path) -> None:
    """Send what this process prints, C libraries included, to the end of `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


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


def _log_hint(log: Path | None) -> str:
    if log is None:
        return ""
    lines = last_lines(log, _LOG_LINES_SHOWN)
    return f"; {log} ends with:\n{lines}" if lines else f"; nothing in {log}"
