"""The records of a training run: JSON lines for programs, TensorBoard for people."""

import contextlib
import json
import shutil
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from asr_topdown.files import cannot_write, read_lines, write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class MetricsLog:
    """Append records to `metrics.jsonl` and numbers to TensorBoard's `tb/`.

    Each record has a `kind` ("step" or "epoch"), the `epoch` and the `step` (of the whole run).

    Args:
        folder: the run's folder.
        resume_after: step of the checkpoint from which training resumes; later records are dropped, since
            they will be written again.
        write: false for a log that accepts records but writes nothing.

    Raises:
        OSError: naming what cannot be written.
    """

    def __init__(self, folder: Path, *, resume_after: int = 0, write: bool = True) -> None:
        self.path = folder / "metrics.jsonl"
        self._file: TextIO | None = None
        self._hook = threading.excepthook
        if not write:
            return
        if self.path.exists():
            kept = [
                json.dumps(record) for record in read_metrics(self.path) if record["step"] <= resume_after
            ]
            write_text(self.path, "".join(f"{line}\n" for line in kept) if resume_after else "")
        self._file = self.path.open("a", encoding="utf-8")
        self._board_folder = folder / "tb"
        threading.excepthook = self._uncaught  # stays if this fails: its thread may report only after that
        try:
            self._board = _board(self._board_folder, resume_after)
        except OSError as error:
            raise cannot_write(self._board_folder, error) from error

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                with contextlib.suppress(OSError):  # each record was flushed, or its writing was the error
                    self._file.close()
                self._board.close()
        except OSError as problem:
            if error is None:
                raise cannot_write(self._board_folder, problem) from problem
        finally:
            threading.excepthook = self._hook

    def write(self, kind: str, *, epoch: int, step: int, **values: Any) -> None:
        """Add one record; numbers go to TensorBoard as `kind/name` at `step`."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"kind": kind, "epoch": epoch, "step": step, **values}) + "\n")
            self._file.flush()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            for name, value in values.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    self._board.add_scalar(f"{kind}/{name}", value, step)
        except OSError as error:
            raise cannot_write(self._board_folder, error) from error

    def _uncaught(self, told: threading.ExceptHookArgs) -> None:
        """Leave out the traceback of TensorBoard's thread, whose error the next call of it raises again."""
        if not (
            isinstance(told.exc_value, OSError) and type(told.thread).__module__.startswith("tensorboard")
        ):
            self._hook(told)


def _board(folder: Path, resume_after: int) -> "SummaryWriter":
    if not resume_after:  # an earlier attempt was killed before its first checkpoint: nothing of it counts
        shutil.rmtree(folder, ignore_errors=True)
    # Imported here: it takes a second, which readers of metrics need not wait.
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=resume_after + 1 if resume_after else None)


def read_metrics(path: Path, kind: str = "") -> list[dict[str, Any]]:
    """The records of a `metrics.jsonl`, or those of one kind; a truncated last line is ignored."""
    records = []
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        if kind and f'"kind": "{kind}"' not in line:  # as `MetricsLog` writes it: most lines are steps
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise ValueError(f"{path}:{number}: not JSON ({error})") from error
    return records
