"""Learning rates, start epochs and penalties by layer: values, which tensors change when, and resuming."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from networks import CONFORMER, CONV2D, blstm, blstm_ctc, make
from torch import Tensor
from toy_training import Killed, ToyTask, epochs_of, kill_at, same, trained, trainer

from asr_topdown import layers
from asr_topdown.config.train import OptimizerConfig
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import lora
from asr_topdown.train.layerwise import Layerwise
from asr_topdown.train.trainer import Trainer
from asr_topdown.weights import load_weights

BATCHES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
SGD = OptimizerConfig(name="sgd", lr=0.5)
NAMES = ("blstm.0", "blstm.1", "softmax")
EVERYTHING = Layerwise(
    rates={"blstm.0": 0.25, "blstm.1": 0.5},
    from_epoch={"blstm.0": 3},
    from_step={"blstm.1": 6},
    towards_start={"blstm.0": 0.1, "blstm.1": 0.1},
    towards_zero={"softmax": 0.05},
)


def plain(folder: Path, layerwise: Layerwise, **settings: object) -> Trainer:
    """Trained by SGD without anything else that changes the gradient."""
    settings = {"optimizer": SGD, "dropout": 0.0, "plan": BATCHES, "grad_clip": float("inf"), **settings}
    return trainer(folder, layerwise=layerwise, **settings)  # type: ignore[arg-type]


def state(model: torch.nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def moved(model: torch.nn.Module, before: Mapping[str, Tensor]) -> set[str]:
    """The layers with a changed tensor."""
    return {
        name
        for name, tensors in layers.tensors_by_layer(model).items()
        if any(not torch.equal(tensor, before[key]) for key, tensor in tensors.items())
    }


def gradients(model: Recognizer, indices: list[int]) -> dict[str, Tensor]:
    """Of the mean loss of some utterances, by a network of its own."""
    model = copy.deepcopy(model).train()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        parameter.grad = None
    model.forward_with_loss(ToyTask().load(indices, 1)).loss.backward()
    return {key: one.grad for key, one in model.named_parameters() if one.grad is not None}


def test_each_layer_has_its_rate(tmp_path: Path) -> None:
    run = plain(tmp_path, Layerwise(rates={"blstm.0": 0.25, "blstm.1": 0.5}), plan=[[0, 1, 2]], epochs=1)
    assert [group["lr"] for group in run.optimizer.param_groups] == [0.5, 0.25, 0.125]
    assert run.updates.lr(1) == 0.5
    before, slopes = state(run.model), gradients(run.model, [0, 1, 2])
    trained(run)
    rates = {"softmax": 0.5, "blstm.1": 0.25, "blstm.0": 0.125}
    for name, tensors in layers.tensors_by_layer(run.model).items():
        for key, tensor in tensors.items():
            torch.testing.assert_close(tensor, before[key] - rates[name] * slopes[key], rtol=1e-5, atol=1e-7)


def test_equal_rates_are_one_rate(tmp_path: Path) -> None:
    """Groups of parameters change nothing: the same steps as with one group, bit for bit."""
    adam = OptimizerConfig(lr=0.01)
    one = plain(tmp_path / "one", Layerwise(), optimizer=adam)
    groups = plain(tmp_path / "groups", Layerwise(rates={"blstm.0": 1.0}), optimizer=adam)
    assert (len(one.optimizer.param_groups), len(groups.optimizer.param_groups)) == (1, 3)
    trained(one), trained(groups)
    assert same(state(one.model), state(groups.model))


def test_a_plateau_lowers_all_rates(tmp_path: Path) -> None:
    careful = OptimizerConfig(name="sgd", lr=1e-20, plateau="decay_lr", plateau_factor=0.5)
    run = plain(tmp_path, Layerwise(rates={"blstm.0": 0.25}), optimizer=careful, epochs=2)
    trained(run)  # such a step changes nothing, so the second epoch is no better
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([5e-21, 5e-21, 1.25e-21])


def test_one_layer_more_in_each_epoch(tmp_path: Path) -> None:
    run = plain(tmp_path, Layerwise(from_epoch={"blstm.1": 2, "blstm.0": 4}), epochs=5)
    before, seen = state(run.model), []
    for _ in run.epochs():
        seen.append(moved(run.model, before))
        before = state(run.model)
    assert seen == [{"softmax"}, {"softmax", "blstm.1"}, {"softmax", "blstm.1"}, {*NAMES}, {*NAMES}]


def test_layers_are_held_for_so_many_steps(tmp_path: Path) -> None:
    """The step is found in the middle of an epoch, and the layer's own optimiser state begins there."""
    run = plain(tmp_path, Layerwise(from_step={"blstm.1": 7}), optimizer=OptimizerConfig(lr=0.01), epochs=3)
    before, seen, step = state(run.model), [], run.updates.step

    def watched(*args: object, **settings: object) -> None:
        step(*args, **settings)  # type: ignore[arg-type]
        seen.append("blstm.1" in moved(run.model, before))

    run.updates.step = watched  # type: ignore[method-assign]
    trained(run)
    assert seen == [False] * 6 + [True] * 6
    steps = {
        name: {int(run.optimizer.state[one]["step"]) for one in tensors.values()}
        for name, tensors in layers.tensors_by_layer(run.model).items()
    }
    assert steps == {"blstm.0": {12}, "blstm.1": {6}, "softmax": {12}}


def test_nothing_is_computed_for_layers_that_are_held(tmp_path: Path) -> None:
    run = plain(tmp_path, Layerwise(from_epoch={"blstm.0": 2}))
    required = []
    for _ in run.epochs():
        lowest = layers.tensors_by_layer(run.model)["blstm.0"].values()
        required.append([one.requires_grad for one in lowest])
    assert required[0] == [False] * len(required[0])
    assert all(one == [True] * len(one) for one in required[1:])


def test_statistics_of_a_held_layer_stay(tmp_path: Path) -> None:
    """A batch normalisation's running mean moves without any gradient."""
    conformer = {**CONFORMER, "conv_norm": "batch", "num_layers": 2}
    model = make({"encoder": [blstm(1, 4), conformer], "ctc": {}}, features=4, vocab_size=4)
    names = layers.layer_names(model)
    held = dict.fromkeys(names[:-1], 2)
    run = plain(
        tmp_path, Layerwise(from_epoch=held), model=model, epochs=2, optimizer=OptimizerConfig(lr=0.01)
    )
    means = [key for key in model.state_dict() if "running_mean" in key]
    assert len(means) == 2
    before, seen = state(model), []
    for _ in run.epochs():
        seen.append(
            (
                moved(model, before),
                {key for key in means if not torch.equal(model.state_dict()[key], before[key])},
            )
        )
        before = state(model)
    assert seen[0] == ({"softmax"}, set())
    assert seen[1][1] == set(means)


def test_l2_sp_is_the_gradient_of_its_penalty(tmp_path: Path) -> None:
    """Li et al. 2018: alpha / 2 |w - w0|^2 on what is taken over, beta / 2 |w|^2 on what is new."""
    alpha, beta = 0.3, 0.7
    plan = Layerwise(towards_start={"blstm.0": alpha, "blstm.1": alpha}, towards_zero={"softmax": beta})
    run = plain(tmp_path, plan, plan=[[0, 1, 2], [3, 4, 5]], epochs=1)
    start, by_hand = state(run.model), copy.deepcopy(run.model)
    for batch in ([0, 1, 2], [3, 4, 5]):
        slopes, weights = gradients(by_hand, batch), state(by_hand)
        groups = layers.tensors_by_layer(by_hand)
        with torch.no_grad():
            for name, tensors in groups.items():
                for key, tensor in tensors.items():
                    pull = beta * weights[key] if name == "softmax" else alpha * (weights[key] - start[key])
                    tensor.sub_(0.5 * (slopes[key] + pull))
    trained(run)
    for key, tensor in run.model.state_dict().items():
        torch.testing.assert_close(tensor, by_hand.state_dict()[key], rtol=1e-5, atol=1e-6)
    unpulled = plain(tmp_path / "unpulled", Layerwise(), plan=[[0, 1, 2], [3, 4, 5]], epochs=1)
    trained(unpulled)
    assert not same(state(unpulled.model), state(run.model))


def test_a_strong_pull_keeps_the_source(tmp_path: Path) -> None:
    def distance(alpha: float) -> float:
        plan = Layerwise(towards_start={"blstm.0": alpha})
        run = plain(tmp_path / str(alpha), plan, epochs=6, optimizer=OptimizerConfig(name="sgd", lr=0.1))
        start = state(run.model)
        trained(run)
        lowest = layers.tensors_by_layer(run.model)["blstm.0"]
        return sum(float((tensor.detach() - start[key]).square().sum()) for key, tensor in lowest.items())

    free, weak, strong = (distance(alpha) for alpha in (0.0, 1.0, 8.0))
    assert 0 < strong < 0.5 * weak < weak < free


@pytest.mark.parametrize("step", [2, 5, 7, 9, 12])
def test_killed_and_resumed_equals_uninterrupted(step: int, tmp_path: Path) -> None:
    """Before and after each layer's time, in an epoch and at its ends; dropout, Adam."""
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    settings = {"plan": BATCHES, "layerwise": EVERYTHING, "keep_epochs": "all"}
    trained(trainer(whole, **settings))  # type: ignore[arg-type]
    with pytest.raises(Killed):
        trained(trainer(folder, before_batch=kill_at(step), **settings))  # type: ignore[arg-type]
    trained(trainer(folder, **settings))  # type: ignore[arg-type]
    assert epochs_of(folder) == epochs_of(whole)
    for path in whole.glob("*.safetensors"):
        assert same(load_weights(folder / path.name), load_weights(path))


def norms_and_biases(model: Recognizer) -> None:
    layers.freeze_all_but_norms_and_biases(model, ["blstm.0", "blstm.1"])


def adapters(model: Recognizer) -> None:
    pytest.importorskip("peft", reason="wants the extra lora")
    layers.freeze(model, ["blstm.0", "blstm.1"], dropout=True)
    lora.adapt(model, ["blstm.0", "blstm.1"], rank=2, seed=3)


@pytest.mark.parametrize("prepare", [norms_and_biases, adapters])
def test_what_is_trained_in_part_is_exact_as_well(
    prepare: Callable[[Recognizer], None], tmp_path: Path
) -> None:
    """Killed and resumed is uninterrupted, bit for bit, adapters and all."""

    def run(folder: Path, **settings: object) -> Trainer:
        model = make(blstm_ctc(2, 6, dropout=0.3), features=4, vocab_size=4, seed=1)
        prepare(model)
        plan = Layerwise(rates={"blstm.0": 0.5, "blstm.1": 0.7})
        return trainer(folder, model=model, layerwise=plan, plan=BATCHES, keep_epochs="all", **settings)  # type: ignore[arg-type]

    whole, folder = tmp_path / "whole", tmp_path / "killed"
    trained(run(whole))
    with pytest.raises(Killed):
        trained(run(folder, before_batch=kill_at(6)))
    trained(run(folder))
    assert epochs_of(folder) == epochs_of(whole)
    names = [path.name for path in sorted(whole.glob("*.safetensors"))]
    assert len(names) == 4
    assert all(same(load_weights(folder / name), load_weights(whole / name)) for name in names)
    first, last = (load_weights(whole / name) for name in (names[0], names[-1]))
    assert not same(first, last)


def test_norms_and_biases_alone() -> None:
    """Which parameters these are, in networks with every kind of normalisation."""
    model = make(blstm_ctc(1, 4, projection_size=3, norm=True), features=5)
    still = layers.freeze_all_but_norms_and_biases(model, ["blstm.0"])
    free = {key for key, one in layers.tensors_by_layer(model)["blstm.0"].items() if one.requires_grad}
    assert free == {key for key in free if "norm." in key or "bias" in key}
    assert any("norm.weight" in key for key in free)
    assert any("bias_hh" in key for key in free)
    assert still == {key for key, one in model.named_parameters() if not one.requires_grad}
    assert not any("bias" in key or "norm" in key for key in still)
    assert not any(key.startswith("heads") for key in still)
    for kind in ("layer", "batch"):
        model = make({"encoder": [CONV2D, {**CONFORMER, "conv_norm": kind}], "ctc": {}})
        names = layers.layer_names(model)[:-1]
        still = layers.freeze_all_but_norms_and_biases(model, names)
        shapes = {key: one.dim() for key, one in model.named_parameters() if key in still}
        assert all(dims >= 2 for dims in shapes.values()), shapes
        vectors = {key for key, one in model.named_parameters() if one.dim() == 1}
        assert not vectors & still


def test_with_norms_and_biases_alone_the_matrices_stay(tmp_path: Path) -> None:
    model = make(blstm_ctc(2, 6, norm=True), features=4, vocab_size=4, seed=1)
    still = layers.freeze_all_but_norms_and_biases(model, ["blstm.0", "blstm.1"])
    before = state(model)
    trained(plain(tmp_path, Layerwise(), model=model, epochs=1))
    assert {key for key in before if torch.equal(model.state_dict()[key], before[key])} == still
