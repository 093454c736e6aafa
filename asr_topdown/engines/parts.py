"""A piece of work in parts that know nothing of each other, with one progress bar for all."""

import functools
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from multiprocessing import connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch

from asr_topdown.engines.job import Engine, Job
from asr_topdown.progress import progress

Part = TypeVar("Part")
Result = TypeVar("Result")
Tick = Callable[[], object]
"""To be called once per item that is done."""

_POLL_SECONDS = 0.2


def run_parts(
    work: Callable[[Part, Tick], Result],
    parts: Sequence[Part],
    total: int,
    what: str,
    *,
    at_once: int | None = None,
    engine: Engine | None = None,
    folders: Sequence[Path] = (),
) -> Iterator[tuple[int, Result]]:
    """`work(part, tick)` for each part, each in a process of its own; a single one here runs in this process.

    Args:
        work: a function of a module, so that other processes can find it; runs on one thread.
        parts: plain values, which can be pickled.
        total: items in all parts together.
        what: text of the progress bar.
        at_once: processes of this machine side by side; None = as many as parts.
        engine: where the parts run; None = processes of this machine, which start quickly.
        folders: with an engine, a folder for each part's job (`Job.folder`).

    Yields:
        (index of the part, its result), as they come.

    Raises:
        ValueError, OSError: what a part raises first; the others are ended (those of an engine, with it).
            OSError also if a process died.
    """
    if engine is not None:
        yield from _run_on(engine, work, parts, folders, what)
        return
    with progress((), what, total=total, unit="utt") as bar:
        if len(parts) == 1:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                yield 0, work(parts[0], bar.update)
            finally:
                torch.set_num_threads(threads)
            return
        yield from _run_apart(work, parts, bar, at_once or len(parts))


def _run_on(
    engine: Engine,
    work: Callable[[Part, Tick], Result],
    parts: Sequence[Part],
    folders: Sequence[Path],
    what: str,
) -> Iterator[tuple[int, Result]]:
    futures = {
        engine.submit(Job(f"{what}, part {index + 1} of {len(parts)}", job, folder)): index
        for index, (job, folder) in enumerate(
            zip((functools.partial(_alone, work, part) for part in parts), folders, strict=True)
        )
    }
    for future in progress(as_completed(futures), what, total=len(futures), unit="part"):
        yield futures[future], future.result()


def _alone(work: Callable[[Part, Tick], Result], part: Part) -> Result:
    """A part on an engine: on one thread, and nobody counts."""
    torch.set_num_threads(1)
    return work(part, lambda: None)


def _run_apart(
    work: Callable[[Part, Tick], Result], parts: Sequence[Part], bar: Any, at_once: int
) -> Iterator[tuple[int, Result]]:
    # Not forked from here: a fork inherits locks of threads that it does not have.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    done = context.Value("q", 0)
    running: dict[connection.Connection, tuple[int, BaseProcess]] = {}
    waiting = list(enumerate(parts))[::-1]
    try:
        while running or waiting:
            while waiting and len(running) < at_once:
                running.update(_start(context, work, *waiting.pop(), done))
            for ready in connection.wait(list(running), _POLL_SECONDS):
                assert isinstance(ready, connection.Connection)
                index, process = running[ready]
                result = _receive(ready, process)
                del running[ready]
                yield index, result
            bar.update(done.value - bar.n)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _start(
    context: ForkServerContext, work: Callable[[Part, Tick], Result], index: int, part: Part, done: Any
) -> dict[connection.Connection, tuple[int, BaseProcess]]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_process, args=(work, part, done, theirs), daemon=True)
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
    work: Callable[[Part, Tick], Result], part: Part, done: Any, results: connection.Connection
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
        results.send(work(part, tick))
    except (ValueError, OSError) as error:
        # As plain text: an exception with a cause or with odd arguments may not survive pickling.
        results.send(OSError(str(error)) if isinstance(error, OSError) else ValueError(str(error)))
