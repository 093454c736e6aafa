"""Work in independent parts, with one progress bar for all."""

import contextlib
import functools
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import TypeVar

import torch

from asr_topdown.engines.job import Engine, Job, JobError
from asr_topdown.engines.local import LocalPool
from asr_topdown.engines.worker import report_progress
from asr_topdown.files import explain
from asr_topdown.progress import progress

Part = TypeVar("Part")
Result = TypeVar("Result")
Tick = Callable[[], object]
"""Call this once per finished item."""

SHOWN_AFTER = 2.0
"""Seconds after which a progress bar is worth its line."""

_Attempts = Generator[tuple[int, Result | ValueError | OSError], None, None]


def run_parts(
    work: Callable[[Part, Tick], Result],
    parts: Sequence[Part],
    total: int,
    what: str,
    *,
    at_once: int | None = None,
    engine: Engine | None = None,
    folders: Sequence[Path] = (),
    faults: dict[int, str] | None = None,
) -> Generator[tuple[int, Result], None, None]:
    """Run `work(part, tick)` for each part in single-threaded processes, or in this one if one is enough.

    Args:
        work: a module's function, so that other processes can find it; runs on one thread.
        parts: plain values that can be pickled.
        total: number of items in all parts.
        what: text of the progress bar.
        at_once: parallel processes on this machine; None = one per part.
        engine: where the parts run; None = processes of this machine.
        folders: with an engine, a folder for each part's job (`Job.folder`).
        faults: filled with index of a failed part -> why, while the others continue. None: the first failure
            ends all.

    Yields:
        (index of the part, its result), as they finish.

    Raises:
        ValueError, OSError: the first raised by a part; the others are stopped (those of an engine, with it).
            OSError also if a process died.
    """
    at_once = min(at_once or len(parts), len(parts))
    if engine is not None:
        attempts = _on_engine(engine, work, parts, folders, what)
    elif at_once > 1:
        attempts = _side_by_side(work, parts, total, what, at_once)
    else:
        attempts = _here(work, parts, total, what)
    with contextlib.closing(attempts):
        for index, result in attempts:
            if not isinstance(result, ValueError | OSError):
                yield index, result
            elif faults is None:
                raise result
            else:
                faults[index] = explain(result)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread within the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _here(
    work: Callable[[Part, Tick], Result], parts: Sequence[Part], total: int, what: str
) -> _Attempts[Result]:
    with one_thread(), progress((), what, total=total, unit="utt", delay=SHOWN_AFTER) as bar:
        for index, part in enumerate(parts):
            try:
                result = work(part, bar.update)
            except (ValueError, OSError) as error:
                yield index, error
            else:
                yield index, result


def _side_by_side(
    work: Callable[[Part, Tick], Result], parts: Sequence[Part], total: int, what: str, at_once: int
) -> _Attempts[Result]:
    with (
        progress((), what, total=total, unit="utt", delay=SHOWN_AFTER) as bar,
        contextlib.closing(LocalPool(at_once)) as pool,
    ):
        guard = threading.Lock()

        def tick() -> None:
            with guard:
                bar.update()

        futures = {pool.submit(job, tick): index for index, job in enumerate(_jobs(work, parts, what))}
        for future in as_completed(futures):
            try:
                result = future.result()
            except JobError as error:
                yield futures[future], error if error.lost else ValueError(error.problem)
            else:
                yield futures[future], result


def _on_engine(
    engine: Engine,
    work: Callable[[Part, Tick], Result],
    parts: Sequence[Part],
    folders: Sequence[Path],
    what: str,
) -> _Attempts[Result]:
    futures = {engine.submit(job): index for index, job in enumerate(_jobs(work, parts, what, folders))}
    for future in progress(as_completed(futures), what, total=len(futures), unit="part"):
        try:
            result = future.result()
        except JobError as error:
            yield futures[future], error
        else:
            yield futures[future], result


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
