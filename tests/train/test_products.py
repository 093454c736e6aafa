"""The library of a training's matrix products: pinned, measured, in its checkpoint, one for all ranks."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import blstm_ctc, make
from toy_training import Killed, kill_at, same, trained, trainer

from asr_topdown.config.run import RunConfig
from asr_topdown.nn import matrix_product
from asr_topdown.train import products
from asr_topdown.train.distributed import World
from asr_topdown.train.trainer import Trainer
from asr_topdown.weights import load_weights, weights_of_epoch

CPU = torch.device("cpu")
KIND = "forward 64"

pytestmark = pytest.mark.skipif(
    "onednn" not in matrix_product.libraries(), reason="needs a PyTorch with oneDNN"
)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the products that oneDNN has computed."""
    rows: list[int] = []
    linear = matrix_product._linear

    def counted(x: torch.Tensor, *others: Any) -> torch.Tensor:
        rows.append(len(x))
        return linear(x, *others)

    monkeypatch.setattr(matrix_product, "_linear", counted)
    return rows


def measures(monkeypatch: pytest.MonkeyPatch, choices: matrix_product.Choices) -> None:
    monkeypatch.setattr(matrix_product, "_measured", lambda threads, convolutions: choices)


def training(folder: Path, before_batch: Callable[[], None] = lambda: None, **settings: object) -> Trainer:
    """A layer of 64 numbers, and batches of more than 64 rows."""
    model = make(blstm_ctc(1, 32, projection_size=64, dropout=0.2), features=4, vocab_size=4, seed=1)
    plan = [[*range(12)], [*range(6)], [*range(6, 12)]]
    return trainer(folder, model=model, plan=plan, before_batch=before_batch, epochs=2, **settings)


def weights(run: Trainer) -> dict[str, torch.Tensor]:
    return load_weights(weights_of_epoch(run.folder, run.progress.best_epoch))


def test_a_killed_training_goes_on_with_the_products_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    measures(monkeypatch, {KIND: 1})
    whole = training(tmp_path / "whole")
    trained(whole)
    assert whole.products == {KIND: 1}
    assert computed
    assert min(computed) >= 64
    assert (
        "float32 matrix products: oneDNN (forward 64 from 1 multiplications), otherwise torch" in caplog.text
    )
    with pytest.raises(Killed):
        trained(training(tmp_path / "killed", kill_at(4)))
    measures(monkeypatch, {})  # another moment, other noise
    computed.clear()
    resumed = training(tmp_path / "killed")
    trained(resumed)
    assert resumed.products == {KIND: 1}
    assert computed
    assert same(weights(resumed), weights(whole))


def test_pinned_to_torch_it_is_bit_for_bit_what_it_is_without_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[int]
) -> None:
    measures(monkeypatch, {KIND: 1})
    pinned = training(tmp_path / "pinned", matrix_product="torch")
    trained(pinned)
    assert pinned.products == {}
    assert not computed
    with monkeypatch.context() as patch:
        patch.setattr(matrix_product, "installed", lambda choices: contextlib.nullcontext())
        without = training(tmp_path / "without")
        trained(without)
    assert same(weights(pinned), weights(without))
    for name, choices, rows in (("nothing measured", {}, 0), ("measured", {KIND: 1}, 1)):
        measures(monkeypatch, choices)
        auto = training(tmp_path / name)
        trained(auto)
        assert bool(computed) == bool(rows)
        for key, ours in weights(auto).items():
            torch.testing.assert_close(ours, weights(pinned)[key], rtol=1e-3, atol=1e-4)
            assert rows or torch.equal(ours, weights(pinned)[key])


def test_what_is_asked_for_wins_over_the_checkpoint_and_the_checkpoint_over_a_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measures(monkeypatch, {KIND: 7})

    def chosen(library: str, kept: matrix_product.Choices | None, **others: Any) -> matrix_product.Choices:
        run = RunConfig.model_validate({"matrix_product": library})
        settings = {"precision": "float32", "device": CPU, "world": World(), **others}
        return products.chosen(torch.nn.Identity(), run, kept=kept, **settings)

    assert chosen("auto", None) == {KIND: 7}
    assert chosen("auto", {KIND: 5}) == {KIND: 5}
    assert chosen("auto", {}) == {}
    assert chosen("torch", {KIND: 5}) == {}
    assert chosen("onednn", {})[KIND] == 1
    assert chosen("auto", None, precision="bfloat16") == {}
    assert chosen("onednn", {KIND: 5}, device=torch.device("meta")) == {}
    monkeypatch.setattr(matrix_product, "libraries", lambda: ["torch"])  # resumed on another machine
    assert chosen("auto", {KIND: 5}) == {}
    with pytest.raises(ValueError, match="no oneDNN"):
        chosen("onednn", None)


def test_all_processes_take_what_rank_0_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_product, "choose", lambda *_: pytest.fail("another rank measured"))
    monkeypatch.setattr(World, "from_leader", lambda self, make: {KIND: 3})
    for rank in (0, 1):
        assert products.chosen(torch.nn.Identity(), RunConfig(), "float32", CPU, World(rank, 2), None) == {
            KIND: 3
        }
