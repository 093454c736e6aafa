"""The records of a training: what is shown is what counts."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
