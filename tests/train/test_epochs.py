"""The best epoch, the epochs whose weights are kept, and their average."""

from pathlib import Path

import pytest
import torch
from torch import nn
from toy_training import EPOCHS, Killed, kill_at, same, trained, trainer

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.config.train import AverageConfig
from asr_topdown.train.epochs import averaged_epochs
from asr_topdown.train.plateau import DevScore
from asr_topdown.train.progress import Progress
from asr_topdown.train.trainer import Trainer
from asr_topdown.weights import AVERAGE, average_weights, load_weights, save_state, weights_of_epoch

ERRORS = [5.0, 3.0, 4.0, 3.5]


def with_errors(run: Trainer) -> Trainer:
    """The same training with invented dev errors."""
    run.task.evaluate = lambda model: {"loss": [*ERRORS, 9.0][len(run.progress.scores)]}
    return run


def scores(*errors: float) -> list[DevScore]:
    return [DevScore(error) for error in errors]


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("epoch-")) for path in folder.glob("epoch-*"))


# --- the average --------------------------------------------------------------------------------------


def test_equal_weights_average_to_themselves(tmp_path: Path) -> None:
    state = {
        "weight": torch.randn(40, 3) * torch.logspace(-30, 30, 40)[:, None],
        "half": torch.randn(9).to(torch.bfloat16),
        "counter": torch.tensor(2**40 + 1),
    }
    for count in (1, 3, 7):
        paths = [tmp_path / f"{count}-{index}" for index in range(count)]
        for path in paths:
            save_state(state, path)
        assert same(average_weights(paths), state)


def test_the_mean_is_right_whatever_the_number(tmp_path: Path) -> None:
    paths = [tmp_path / str(index) for index in range(5)]
    for index, path in enumerate(paths):
        save_state({"weight": torch.full((2,), 2.0**index), "counter": torch.tensor(index)}, path)
    for count in range(1, 6):
        average = average_weights(paths[:count])
        assert average["weight"].tolist() == pytest.approx([(2**count - 1) / count] * 2)
        assert average["counter"] == count - 1  # a counter is not averaged
    # A second average of the same files: ESPnet's first one changed what it read.
    assert average_weights(paths[:2])["weight"].tolist() == [1.5, 1.5]


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save_state({"weight": torch.zeros(2)}, tmp_path / "a")
    save_state({"weight": torch.zeros(3)}, tmp_path / "b")
    with pytest.raises(ValueError, match=r"b: has other tensors than .*a"):
        average_weights([tmp_path / "a", tmp_path / "b"])


def test_which_epochs() -> None:
    assert averaged_epochs(scores(3.0, 1.0, 2.0), AverageConfig(last=2)) == [2, 3]
    assert averaged_epochs(scores(3.0, 1.0, 4.0, 2.0), AverageConfig(best=2)) == [2, 4]
    # fewer than wanted: the divisor is what there is
    assert averaged_epochs(scores(3.0, 1.0), AverageConfig(last=10)) == [1, 2]
    assert averaged_epochs(scores(3.0, 1.0), AverageConfig(best=10)) == [1, 2]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that kept the weights of all its epochs."""
    folder = tmp_path_factory.mktemp("all")
    trained(with_errors(trainer(folder, keep_epochs="all")))
    assert kept(folder) == [1, 2, 3, 4]
    return folder


@pytest.mark.parametrize(
    ("average", "epochs", "kept_at_the_end"),
    [
        (AverageConfig(last=2), [3, 4], [2, 3, 4]),
        (AverageConfig(best=2), [2, 4], [2, 3, 4]),  # 3 was among the two best before the last epoch
        (AverageConfig(last=10), [1, 2, 3, 4], [1, 2, 3, 4]),
    ],
)
def test_a_run_averages_what_it_should_and_keeps_no_more(
    average: AverageConfig, epochs: list[int], kept_at_the_end: list[int], everything: Path, tmp_path: Path
) -> None:
    run = with_errors(trainer(tmp_path, average=average))
    progress = trained(run)
    expected = average_weights([weights_of_epoch(everything, epoch) for epoch in epochs])
    assert same(load_weights(tmp_path / AVERAGE), expected)
    assert same(dict(run.model.state_dict()), expected)
    assert progress.best_metrics == {"loss": 3.0, "average_loss": 9.0}
    assert (progress.best_epoch, progress.best_score.error) == (2, 3.0)  # what retrainings start from
    assert kept(tmp_path) == kept_at_the_end
    run.weights.finish(progress.best_epoch)
    assert kept(tmp_path) == [2]


@pytest.mark.parametrize("batches", [0, 12, 19])
def test_killed_and_resumed_gives_the_same_average(batches: int, everything: Path, tmp_path: Path) -> None:
    settings = {"average": AverageConfig(best=2)}
    (tmp_path / AVERAGE).write_bytes(b"left by a run that was deleted")
    with pytest.raises(Killed):
        trained(with_errors(trainer(tmp_path, before_batch=kill_at(batches), **settings)))
    trained(with_errors(trainer(tmp_path, **settings)))
    expected = average_weights([weights_of_epoch(everything, epoch) for epoch in (2, 4)])
    assert same(load_weights(tmp_path / AVERAGE), expected)
    # Killed again between the average and done.json: nothing is trained, nothing is lost.
    again = trained(with_errors(trainer(tmp_path, before_batch=kill_at(0), **settings)))
    assert again.best_metrics == {"loss": 3.0, "average_loss": 9.0}


def test_frozen_layers_come_out_of_the_average_as_they_were(tmp_path: Path) -> None:
    run = trainer(tmp_path, freeze=["softmax"], average=AverageConfig(last=3))
    before = layers.fingerprint(run.model, ["softmax"])
    trained(run)
    assert layers.fingerprint(run.model, ["softmax"]) == before


# --- what chooses -------------------------------------------------------------------------------------


def test_the_most_accurate_epoch_is_the_best(tmp_path: Path) -> None:
    run = trainer(tmp_path, metric="accuracy")
    values = iter([0.2, 0.7, 0.7, 0.5])

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"loss": 1.0, "accuracy": next(values)}

    run.task.evaluate = evaluate
    progress: Progress = trained(run)
    assert (progress.best_epoch, progress.best_score.error) == (2, pytest.approx(0.3))
    assert progress.best_metrics["accuracy"] == 0.7
    assert len(progress.scores) == EPOCHS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"train": {"metric": "accuracy"}},
            "accuracy is an attention decoder's, and model.attention is none",
        ),
        ({"train": {"average": {}}}, r"train\.average: .*either last or best"),
        ({"train": {"average": {"last": 2, "best": 2}}}, r"train\.average: .*either last or best"),
        (
            {"model": {"kind": "awd_lstm"}, "train": {"metric": "loss", "grad_accumulation": 2}},
            "a language model takes a step with every batch",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configuration.parse(settings)


def test_an_attention_model_may_be_chosen_by_its_accuracy() -> None:
    config = configuration.parse(
        {"model": {"attention": {"kind": "transformer"}}, "train": {"metric": "accuracy"}}
    )
    assert config.train.metric == "accuracy"
