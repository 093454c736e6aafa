"""Transcription in parallel processes, with results that do not depend on their number."""

import contextlib
import functools
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from asr_topdown.engines.job import Job, JobError
from asr_topdown.engines.local import LocalPool
from asr_topdown.engines.parts import one_thread
from asr_topdown.nn.reuse import keep_memory_and_kernels
from asr_topdown.transcription.transcriber import Transcriber
from asr_topdown.transcription.transcript import Failure, Transcript

GROUP_BYTES = 2_000_000
"""A minute of 16-bit sound at 16 kHz, about a CPU's batch in `Transcriber.stream`."""
GROUP_FILES = 64
BYTES_PER_SECOND = 32_000
"""Of 16-bit sound at 16 kHz."""

Result = Transcript | Failure


class Request(NamedTuple):
    """A model's folder and the other arguments of `Transcriber.load`, including `device`."""

    model: Path
    settings: dict[str, Any]


def groups(sounds: Sequence[str]) -> list[list[str]]:
    """Divide the files, in their order, into groups by size.

    Rounding depends on which files share a batch, so groups are formed before they are divided among
    processes: the number of processes must not affect results.
    """
    found: list[list[str]] = [[]]
    held = 0
    for sound in sounds:
        size = size_of(sound)
        if found[-1] and (held + size > GROUP_BYTES or len(found[-1]) == GROUP_FILES):
            found.append([])
            held = 0
        found[-1].append(sound)
        held += size
    return found if found[-1] else []


def size_of(sound: str) -> int:
    """Return a file's size in bytes; 0 if it is missing."""
    try:
        return os.stat(sound).st_size
    except OSError:
        return 0


def transcripts(request: Request, sounds: Sequence[str], nj: int) -> Generator[Result, None, None]:
    """Transcribe files, yielding results in their order.

    Args:
        request: the model and its settings.
        sounds: files.
        nj: maximum number of processes, with one thread each; a GPU uses only this process.

    Raises:
        ValueError: naming what is wrong with the model's folder.
    """
    parts = groups(sounds) if request.settings["device"] == "cpu" else [sounds]
    nj = min(nj, len(parts))
    if nj > 1:
        yield from _side_by_side(request, parts, nj)
        return
    keep_memory_and_kernels()
    transcriber = Transcriber.load(request.model, **request.settings)
    with one_thread() if len(parts) > 1 else contextlib.nullcontext():
        for part in parts:
            yield from transcriber.stream(part)


def _side_by_side(request: Request, parts: Sequence[Sequence[str]], nj: int) -> Generator[Result, None, None]:
    with contextlib.closing(LocalPool(nj)) as pool:
        futures = [pool.submit(_job(request, part)) for part in parts]
        for part, future in zip(parts, futures, strict=True):
            try:
                yield from future.result()
            except JobError as error:
                if not error.lost:
                    raise ValueError(error.problem) from None
                yield from _one_by_one(pool, request, part)


def _one_by_one(pool: LocalPool, request: Request, sounds: Sequence[str]) -> Iterator[Result]:
    """Transcribe files of a group whose process died, so that only the file that causes it fails."""
    for sound in sounds:
        try:
            yield from pool.submit(_job(request, [sound])).result()
        except JobError as error:
            yield Failure(sound, f"{sound}: {error.problem}")


def _job(request: Request, sounds: Sequence[str]) -> Job:
    return Job("transcribe", functools.partial(_transcribe, request, sounds))


def _transcribe(request: Request, sounds: Sequence[str]) -> list[Result]:
    """Transcribe files, in a process of the pool."""
    return list(_transcriber(request.model, tuple(request.settings.items())).stream(sounds))


@functools.lru_cache(maxsize=1)
def _transcriber(model: Path, settings: tuple[tuple[str, Any], ...]) -> Transcriber:
    torch.set_num_threads(1)
    keep_memory_and_kernels()
    return Transcriber.load(model, **dict(settings))
