"""The records of a training: what is shown is what counts."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from asr_topdown.train.metrics import MetricsLog, read_metrics


def train(folder: Path, first: int, last: int, *, resume_after: int = 0) -> None:
    with MetricsLog(folder, resume_after=resume_after) as log:
        for step in range(first, last + 1):
            log.write("step", epoch=1, step=step, loss=1 / step)


def shown(folder: Path) -> list[int]:
    board = EventAccumulator(str(folder / "tb"))
    board.Reload()
    return [event.step for event in board.Scalars("step/loss")]


def test_tensorboard_shows_each_step_once_wherever_a_training_was_killed(tmp_path: Path) -> None:
    train(tmp_path, 1, 3)  # killed before its first checkpoint
    train(tmp_path, 1, 4)  # killed after the one of step 2
    assert shown(tmp_path) == [1, 2, 3, 4]
    train(tmp_path, 3, 6, resume_after=2)
    assert shown(tmp_path) == [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")]
    assert shown(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_disk_that_is_full_at_the_start_is_said_in_such_a_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracebacks: list[object] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordWriter, "write", fail)
    before = set(threading.enumerate())
    with pytest.raises(OSError, match=rf"cannot write {tmp_path / 'tb'}: No space left on device$"):
        MetricsLog(tmp_path)
    for thread in set(threading.enumerate()) - before:  # TensorBoard's own, which writes
        thread.join(10)
    assert tracebacks == []


@pytest.mark.parametrize("full", ["metrics.jsonl", "tb"])
def test_a_full_disk_is_said_in_a_line_that_names_what_is_written(
    full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracebacks: list[object] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (  # noqa: PT012 - TensorBoard's own thread writes
        pytest.raises(OSError, match=rf"cannot write {tmp_path / full}: No space left on device$"),
        MetricsLog(tmp_path) as log,
    ):
        if full == "tb":
            monkeypatch.setattr(RecordWriter, "write", fail)
        else:
            log._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115
        for step in range(1, 100):
            log.write("step", epoch=1, step=step, loss=1.0)
            time.sleep(0.001)
    assert tracebacks == []
