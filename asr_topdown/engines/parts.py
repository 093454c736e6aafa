"""A piece of work in parts that know nothing of each other, with one progress bar for all."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import TypeVar

import torch

from asr_topdown.engines.job import Engine, Job, JobError
from asr_topdown.engines.local import LocalPool
from asr_topdown.engines.worker import report_progress
from asr_topdown.progress import progress

Part = TypeVar("Part")
Result = TypeVar("Result")
Tick = Callable[[], object]
"""To be called once per item that is done."""


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
        engine: where the parts run; None = processes of this machine.
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
        with contextlib.closing(LocalPool(at_once or len(parts))) as pool:
            guard = threading.Lock()

            def tick() -> None:
                with guard:
                    bar.update()

            jobs = enumerate(_jobs(work, parts, what))
            futures = {pool.submit(job, tick): index for index, job in jobs}
            for future in as_completed(futures):
                try:
                    result = future.result()
                except JobError as error:
                    if error.lost:
                        raise
                    raise ValueError(error.problem) from None
                yield futures[future], result


def _run_on(
    engine: Engine,
    work: Callable[[Part, Tick], Result],
    parts: Sequence[Part],
    folders: Sequence[Path],
    what: str,
) -> Iterator[tuple[int, Result]]:
    futures = {engine.submit(job): index for index, job in enumerate(_jobs(work, parts, what, folders))}
    for future in progress(as_completed(futures), what, total=len(futures), unit="part"):
        yield futures[future], future.result()


def _jobs(
    work: Callable[[Part, Tick], Result], parts: Sequence[Part], what: str, folders: Sequence[Path] = ()
) -> Iterator[Job]:
    for index, part in enumerate(parts):
        name = f"{what}, part {index + 1} of {len(parts)}"
        yield Job(name, functools.partial(_alone, work, part), folders[index] if folders else None)


def _alone(work: Callable[[Part, Tick], Result], part: Part) -> Result:
    """A part in another process: on one thread."""
    torch.set_num_threads(1)
    return work(part, report_progress)
