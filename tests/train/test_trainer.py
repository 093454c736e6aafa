"""The training loop: exact resuming, frozen layers unchanged, clear errors."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_training import EPOCHS, Killed, epochs_of, kill_at, same, trained, trainer

from asr_topdown import layers
from asr_topdown.config.train import OptimizerConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.train.checkpoint import CheckpointPair
from asr_topdown.train.metrics import read_metrics
from asr_topdown.train.progress import Progress
from asr_topdown.weights import load_weights, weights_of_epoch


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Progress]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, trained(trainer(folder))


@pytest.mark.parametrize("step", [0, 1, 3, 5, 11, 16])
def test_killed_and_resumed_equals_uninterrupted(
    step: int, tmp_path: Path, uninterrupted: tuple[Path, Progress]
) -> None:
    with pytest.raises(Killed):
        trained(trainer(tmp_path, before_batch=kill_at(step)))
    resumed = trained(trainer(tmp_path))
    reference, expected = uninterrupted
    assert (resumed.best_epoch, resumed.best_score, resumed.step) == (
        expected.best_epoch,
        expected.best_score,
        expected.step,
    )
    name = weights_of_epoch(Path(), expected.best_epoch).name
    assert same(load_weights(tmp_path / name), load_weights(reference / name))
    assert epochs_of(tmp_path) == epochs_of(reference)


@pytest.mark.parametrize("killed_at", [None, 6, 7])
def test_an_epoch_that_was_killed_in_its_middle_took_the_time_of_both_halves(
    killed_at: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("asr_topdown.train.trainer.time", SimpleNamespace(monotonic=lambda: clock[0]))
    settings = {"epochs": 3, "plan": [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]], "log_interval": 1}

    def ten_seconds() -> None:
        clock[0] += 10

    if killed_at is not None:
        kill = kill_at(killed_at)

        def until_killed() -> None:
            kill()
            ten_seconds()

        with pytest.raises(Killed):
            trained(trainer(tmp_path, before_batch=until_killed, **settings))
        clock[0] = 5e6  # another process, another clock
    assert trained(trainer(tmp_path, before_batch=ten_seconds, **settings)).seconds == 120
    assert [record["seconds"] for record in read_metrics(tmp_path / "metrics.jsonl", "epoch")] == [40] * 3


def test_the_speed_is_in_frames_without_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("asr_topdown.train.loss_meter.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def two_seconds() -> None:
        clock[0] += 2

    plan = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    run = trainer(tmp_path, before_batch=two_seconds, plan=plan, epochs=1, log_interval=2)
    trained(run)
    frames = [len(feats) for _, feats, _ in run.task.utterances]  # type: ignore[attr-defined]
    assert len(set(frames[:3])) > 1, "a batch must have padding"
    speeds = [record["frames_per_second"] for record in read_metrics(tmp_path / "metrics.jsonl", "step")]
    # Every step is read, since there is a checkpoint after each.
    assert speeds == [round(sum(frames[first : first + 3]) / 2) for first in (0, 3, 6, 9)]


def test_kill_9_and_resume_equals_uninterrupted(tmp_path: Path, uninterrupted: tuple[Path, Progress]) -> None:
    """A real process, a real SIGKILL, in the middle of an epoch."""
    program = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        sys.path[:0] = {list(map(str, Path(__file__).parents[:2]))!r}
        import toy_training
        steps = [0]
        def count():
            steps[0] += 1
            if steps[0] == 8:
                os.kill(os.getpid(), signal.SIGKILL)
        toy_training.trained(toy_training.trainer(Path({str(tmp_path)!r}), before_batch=count))
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    resumed = trained(trainer(tmp_path))
    reference, expected = uninterrupted
    name = weights_of_epoch(Path(), expected.best_epoch).name
    assert resumed.best_score == expected.best_score
    assert same(load_weights(tmp_path / name), load_weights(reference / name))


def test_a_truncated_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, uninterrupted: tuple[Path, Progress], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        trained(trainer(tmp_path, before_batch=kill_at(7)))
    newest = tmp_path / "last.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = trained(trainer(tmp_path))
    assert "last.pt: truncated or corrupt checkpoint" in caplog.text
    assert resumed.best_score == uninterrupted[1].best_score


def test_when_both_checkpoints_are_corrupt_one_line_says_so(tmp_path: Path) -> None:
    for name in ("last.pt", "previous.pt"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"last\.pt: truncated .* delete it to train from the start"):
        trained(trainer(tmp_path))


def test_a_full_disk_in_mid_save_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = CheckpointPair(tmp_path)
    checkpoints.save({"step": 1})

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(OSError, match=r"cannot write .*last\.pt: No space left on device"):
        checkpoints.save({"step": 2})
    assert checkpoints.load() == ({"step": 1}, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt"]


def test_the_checkpoint_of_other_layers_is_refused(tmp_path: Path) -> None:
    """torch's load_state_dict matches by position and would accept it silently."""
    with pytest.raises(Killed):
        trained(trainer(tmp_path, before_batch=kill_at(5)))
    with pytest.raises(ValueError, match="made for 18 trainable tensors, here are 10"):
        trained(trainer(tmp_path, freeze=["blstm.1"]))


def test_frozen_layers_are_untouched_and_absent_from_the_optimizer(tmp_path: Path) -> None:
    run = trainer(
        tmp_path,
        freeze=["blstm.1", "softmax"],
        optimizer=OptimizerConfig(weight_decay=0.1, momentum=0.9, name="sgd"),
    )
    before = layers.fingerprint(run.model, ["blstm.1", "softmax"])
    free = layers.fingerprint(run.model, ["blstm.0"])
    trained(run)
    assert layers.fingerprint(run.model, ["blstm.1", "softmax"]) == before
    assert layers.fingerprint(run.model, ["blstm.0"]) != free
    assert len(run.optimizer.param_groups[0]["params"]) == 8


def test_training_lowers_the_dev_loss(tmp_path: Path) -> None:
    progress = trained(trainer(tmp_path))
    records = [r for r in read_metrics(tmp_path / "metrics.jsonl") if r["kind"] == "epoch"]
    assert progress.best_score.error < 0.7 * records[0]["dev_loss"]


def test_patience_counts_epochs_without_improvement(tmp_path: Path) -> None:
    run = trainer(tmp_path, patience=2)
    errors = iter([5.0, 4.0, 4.0, 4.5])
    run.task.evaluate = lambda model: {"loss": next(errors)}
    progress = trained(run)
    assert (progress.epoch, progress.best_epoch, progress.best_score.error) == (4, 2, 4.0)


@pytest.mark.parametrize(("rule", "goes_back"), [("decay_eps", True), ("decay_lr", False)])
def test_without_improvement_the_optimizer_gets_more_careful(
    tmp_path: Path, rule: str, goes_back: bool
) -> None:
    optimizer = OptimizerConfig(name="adadelta", lr=1.0, plateau=rule, plateau_factor=0.01)
    run = trainer(tmp_path, optimizer=optimizer)
    errors = iter([5.0, 6.0, 4.0, 4.5])
    run.task.evaluate = lambda model: {"loss": next(errors)}
    trained(run)
    key = rule.removeprefix("decay_")
    first = {"eps": optimizer.eps, "lr": optimizer.lr}[key]
    assert run.optimizer.param_groups[0][key] == pytest.approx(first * 0.01**2)
    assert same(dict(run.model.state_dict()), load_weights(weights_of_epoch(tmp_path, 3))) == goes_back


def test_only_the_best_weights_stay(tmp_path: Path, uninterrupted: tuple[Path, Progress]) -> None:
    folder, progress = uninterrupted
    kept = {path.name for path in folder.glob("epoch-*")}
    assert f"epoch-{progress.best_epoch}.safetensors" in kept
    assert len(kept) <= 2
    trained(trainer(tmp_path, keep_epochs="all"))
    assert len(list(tmp_path.glob("epoch-*"))) == EPOCHS


def test_a_loss_that_is_not_finite_names_its_utterances(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    good = run.task.load

    def poisoned(indices: Sequence[int], epoch: int) -> SpeechBatch:
        batch = good(indices, epoch)
        if "utt07" in batch.ids:
            batch.feats[batch.ids.index("utt07")] = float("nan")
        return batch

    run.task.load = poisoned
    with pytest.raises(ValueError, match=r"the loss is not finite in epoch 1, .*utt07"):
        trained(run)


def test_metrics_are_json_lines(uninterrupted: tuple[Path, Progress]) -> None:
    lines = (uninterrupted[0] / "metrics.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds.count("epoch") == EPOCHS
    assert "step" in kinds
    assert list((uninterrupted[0] / "tb").glob("events*"))
