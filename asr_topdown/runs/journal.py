"""Which commands made an experiment: one line each in EXP/commands.jsonl, for the report."""

import datetime
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import asr_topdown


@dataclass(frozen=True)
class Command:
    """A command as it was given.

    Attributes:
        argv: its words, the program first.
        folder: where it was run.
        began: when, as in "2026-11-21T22:10:05+00:00".
        version: of this package.
    """

    argv: tuple[str, ...]
    folder: str
    began: str
    version: str

    def line(self) -> str:
        """What to type into a shell."""
        return shlex.join(self.argv)


def record(root: Path, argv: Sequence[str]) -> None:
    """Add a command to the experiment's record.

    A line is written at once and appended, so that commands side by side lose none.

    Raises:
        OSError: if the folder is not there or cannot be written.
    """
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    command = Command(tuple(argv), str(Path.cwd()), began, asr_topdown.__version__)
    with (root / "commands.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(command), ensure_ascii=False) + "\n")


def recorded(root: Path) -> tuple[Command, ...]:
    """The commands so far; of equal ones (started again, or finished already) the first alone."""
    path = root / "commands.jsonl"
    if not path.is_file():
        return ()
    found: dict[tuple[str, ...], Command] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
            argv = tuple(str(word) for word in values["argv"])
            command = Command(argv, str(values["folder"]), str(values["began"]), str(values["version"]))
        except (ValueError, KeyError, TypeError):  # the end of a line that was being written
            continue
        found.setdefault(argv, command)
    return tuple(found.values())
