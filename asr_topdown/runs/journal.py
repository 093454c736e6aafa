"""The commands that produced an experiment: one line each in EXP/commands.jsonl, for the report."""

import contextlib
import fcntl
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import asr_topdown
from asr_topdown.files import json_text


@dataclass(frozen=True)
class Command:
    """A command as given, and how it ended.

    Attributes:
        argv: its words, the program first.
        folder: where it was run.
        began: time, as in "2026-11-21T22:10:05+00:00".
        seconds: how long it ran.
        exit_code: 0 on success.
        version: of this package.
    """

    argv: tuple[str, ...]
    folder: str
    began: str
    seconds: float
    exit_code: int
    version: str

    def line(self) -> str:
        """The shell command; a comment says if it failed."""
        return shlex.join(self.argv) + (f"  # exit code {self.exit_code}" if self.exit_code else "")


def record(root: Path, argv: Sequence[str], began: datetime, exit_code: int) -> None:
    """Add a finished command to the experiment's record.

    A line is appended in one write, so that parallel commands lose none. What a full disk left of the one
    before stays a line of its own: the end of the file is read for it, under a lock.

    Raises:
        OSError: if the folder does not exist or is not writable.
    """
    seconds = round((datetime.now(UTC) - began).total_seconds(), 1)
    start = began.astimezone(UTC).isoformat(timespec="seconds")
    command = Command(tuple(argv), str(Path.cwd()), start, seconds, exit_code, asr_topdown.__version__)
    with (root / "commands.jsonl").open("ab+") as file:
        with contextlib.suppress(OSError):  # a file system without locks: at worst there is an empty line
            fcntl.flock(file, fcntl.LOCK_EX)
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
        torn = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * torn + f"{json_text(asdict(command))}\n".encode())


def recorded(root: Path) -> tuple[Command, ...]:
    """The commands so far; of equal ones (restarted, or already finished) the first that succeeded, or
    the last if none did.
    """
    path = root / "commands.jsonl"
    if not path.is_file():
        return ()
    found: dict[tuple[str, ...], Command] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            command = _command(json.loads(line))
        except (ValueError, KeyError, TypeError):  # the end of a line that was being written
            continue
        known = found.get(command.argv)
        if known is None or known.exit_code:
            found[command.argv] = command
    return tuple(found.values())


def _command(values: dict[str, object]) -> Command:
    argv, seconds, code = values["argv"], values["seconds"], values["exit_code"]
    if not isinstance(argv, list) or not isinstance(seconds, (int, float)) or not isinstance(code, int):
        raise TypeError
    return Command(
        tuple(str(word) for word in argv),
        str(values["folder"]),
        str(values["began"]),
        float(seconds),
        code,
        str(values["version"]),
    )
