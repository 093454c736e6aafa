"""Learning rates by their formulas; accumulation = one larger batch; each schedule resumes bit for bit."""

from pathlib import Path

import pytest
import torch
from toy_training import Killed, epochs_of, kill_at, same, trained, trainer

from asr_topdown.config.train import LrScheduleConfig, OptimizerConfig
from asr_topdown.train.lr_schedule import lr_factor
from asr_topdown.train.metrics import read_metrics
from asr_topdown.train.trainer import Trainer
from asr_topdown.weights import load_weights, weights_of_epoch

NOAM = LrScheduleConfig(name="noam", warmup_steps=4, dim=16)
ADAM = OptimizerConfig(lr=0.5, betas=(0.9, 0.98), eps=1e-9)
RULES = {
    "noam, accumulated": {"optimizer": ADAM, "lr_schedule": NOAM, "grad_accumulation": 2},
    "noam, all in one step": {"optimizer": ADAM, "lr_schedule": NOAM, "grad_accumulation": 99},
    "adadelta, eps decay": {
        "optimizer": OptimizerConfig(name="adadelta", lr=1.0, plateau="decay_eps", plateau_factor=0.01)
    },
    "plateau, accumulated": {
        "optimizer": OptimizerConfig(lr=0.02, plateau="decay_lr", plateau_factor=0.5),
        "grad_accumulation": 3,
    },
}


@pytest.mark.parametrize(
    ("step", "lr"),
    # 10 x 256^-0.5 x min(step^-0.5, step x 25000^-1.5), by hand: 10 / 16 = 0.625
    [(1, 0.625 / 25000**1.5), (25000, 0.625 / 25000**0.5), (100000, 0.625 / 100000**0.5)],
)
def test_noam_as_published(step: int, lr: float) -> None:
    config = LrScheduleConfig(name="noam", warmup_steps=25000, dim=256)
    assert 10 * lr_factor(config, step) == pytest.approx(lr, rel=1e-12)


def test_the_peak_is_at_the_end_of_the_warm_up() -> None:
    config = LrScheduleConfig(name="warmup", warmup_steps=50)
    factors = [lr_factor(config, step) for step in range(1, 200)]
    assert factors.index(max(factors)) == 49
    assert factors[49] == pytest.approx(1.0, rel=1e-12)
    assert factors[24] == pytest.approx(0.5, rel=1e-12)
    assert lr_factor(LrScheduleConfig(), 7) == 1.0


def test_the_optimizer_sees_the_rate_that_the_log_shows(tmp_path: Path) -> None:
    run = trainer(tmp_path, log_interval=1, grad_accumulation=2, optimizer=ADAM, lr_schedule=NOAM)
    used: list[float] = []
    run.optimizer.register_step_pre_hook(lambda opt, *_: used.append(opt.param_groups[0]["lr"]))
    progress = trained(run)
    batches = sum(len(run.task.epoch(epoch)) for epoch in range(1, 5))
    assert batches / 2 < progress.step == len(used) <= (batches + 4) / 2
    assert used == pytest.approx([0.5 * lr_factor(NOAM, step) for step in range(1, len(used) + 1)])
    logged = [record["lr"] for record in read_metrics(tmp_path / "metrics.jsonl") if record["kind"] == "step"]
    assert logged == pytest.approx(used)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([[0, 1], [2, 3], [4, 5]], [[0, 1, 2, 3, 4, 5]]),
        # of different sizes, and the last step of the epoch has fewer batches
        ([[0, 1, 2], [3], [4, 5], [6, 7], [8]], [[0, 1, 2, 3, 4, 5], [6, 7, 8]]),
    ],
)
def test_accumulated_batches_are_one_larger_batch(
    tmp_path: Path, parts: list[list[int]], whole: list[list[int]]
) -> None:
    sgd = OptimizerConfig(name="sgd", lr=0.1, momentum=0.9)  # Adam would hide a wrong scale
    settings = {"dropout": 0.0, "optimizer": sgd, "keep_epochs": "all"}
    one = trainer(tmp_path / "1", plan=whole, **settings)
    many = trainer(tmp_path / "2", plan=parts, grad_accumulation=3, **settings)
    assert trained(many).step == trained(one).step
    for epoch in (1, 4):
        left, right = (load_weights(weights_of_epoch(run.folder, epoch)) for run in (one, many))
        for key in left:
            torch.testing.assert_close(left[key], right[key], rtol=1e-5, atol=1e-6)
    losses = [[record["train_loss"] for record in epochs_of(run.folder)] for run in (one, many)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp("whole") for name in RULES}
    for name, folder in folders.items():
        trained(rough(trainer(folder, **RULES[name])))
    return folders


def rough(run: Trainer) -> Trainer:
    """The dev error gets worse in the second epoch, so that the plateau rules have something to do."""
    evaluate = run.task.evaluate

    def worse(model: torch.nn.Module) -> dict[str, float]:
        return {"loss": evaluate(model)["loss"] + 99 * (run.progress.epoch == 2)}

    run.task.evaluate = worse
    return run


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batches", [4, 9, 14])
def test_killed_and_resumed_equals_uninterrupted(
    rule: str, batches: int, tmp_path: Path, uninterrupted: dict[str, Path]
) -> None:
    """Each epoch has five or six batches, so some of these kills fall between two batches of one step."""
    with pytest.raises(Killed):
        trained(rough(trainer(tmp_path, before_batch=kill_at(batches), **RULES[rule])))
    progress = trained(rough(trainer(tmp_path, **RULES[rule])))
    whole = uninterrupted[rule]
    assert epochs_of(tmp_path) == epochs_of(whole)
    name = weights_of_epoch(Path(), progress.best_epoch).name
    assert same(load_weights(tmp_path / name), load_weights(whole / name))
