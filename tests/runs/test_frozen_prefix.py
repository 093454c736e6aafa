"""What frozen lowest layers give is computed once, and nothing else changes."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from asr_topdown import config as configuration
from asr_topdown.nn.blstm import BlstmLayer
from asr_topdown.nn.subsampling import ConvSubsampling
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import retrained
from asr_topdown.text import Vocabulary
from asr_topdown.weights import load_weights, weights_of_epoch

HERE = Path(__file__).parent
LSTM = {"embedding": 8, "cells": 8, "attention": 8, "filters": 2, "width": 4}
MODELS = {
    "blstm_ctc": {"kind": "blstm_ctc", "layers": 3, "cells": 6, "stack": 2, "subsample": (1, 2)},
    "blstm_ctc_attention": {
        "kind": "blstm_ctc_attention",
        "encoder": {"layers": 3, "cells": 6, "projection": 6},
        "decoder": LSTM,
    },
    "vgg_ctc_attention": {
        "kind": "vgg_ctc_attention",
        "encoder": {"layers": 2, "cells": 6, "projection": 6},
        "decoder": LSTM,
    },
    "transformer_ctc_attention": {
        "kind": "transformer_ctc_attention",
        "encoder": {"blocks": 2, "dim": 8, "heads": 2, "hidden": 12, "dropout": 0.0},
        "decoder": {"blocks": 1, "heads": 2, "hidden": 12},
    },
    "conformer_ctc_attention": {
        "kind": "transformer_ctc_attention",
        "encoder": {
            "block": "conformer",
            "blocks": 2,
            "dim": 8,
            "heads": 2,
            "hidden": 12,
            "kernel": 3,
            "dropout": 0.0,
        },
        "decoder": {"blocks": 1, "heads": 2, "hidden": 12},
    },
}


def write_data(folder: Path, count: int, seed: int) -> Path:
    spec = importlib.util.spec_from_file_location("test_families_data", HERE / "test_families.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_data(folder, count, seed)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root / "train", 24, 1)
    write_data(root / "dev", 6, 2)
    Vocabulary.build(["abcd"], "char").save(root / "tokens.txt")
    return root


def make(data: Path, model: str, *, cache_frozen: float = 4.0, **train: object) -> Experiment:
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": 8}},
            "model": MODELS[model],
            "train": {"epochs": 2, "patience": 0, "metric": "loss", "utterances_per_batch": 8, **train},
            "run": {"cache_frozen": cache_frozen},
        }
    )
    return Experiment(config, data / "train", data / "dev", data / "tokens.txt")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [1, 2])
def test_the_results_are_those_of_computing_every_time(
    data: Path, tmp_path: Path, model: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {True: 0, False: 0}
    states, errors = {}, {}
    counting = BlstmLayer if model.startswith(("blstm", "vgg")) else ConvSubsampling
    original = counting.forward
    for cached in (True, False):
        experiment, store = make(data, model, cache_frozen=4.0 * cached), Store(tmp_path / str(cached))

        def counted(self, *args, cached=cached):
            calls[cached] += 1
            return original(self, *args)

        joint = run_node(experiment.joint(1), experiment, store)
        frozen = experiment.layer_names()[:count]
        monkeypatch.setattr(counting, "forward", counted)
        outcome = run_node(retrained(joint, init_seed=2, frozen=frozen), experiment, store)
        monkeypatch.setattr(counting, "forward", original)
        states[cached] = load_weights(weights_of_epoch(store.node_dir(outcome.node), 2))
        errors[cached] = outcome.error
    assert errors[True] == pytest.approx(errors[False], rel=1e-5)
    for key, tensor in states[False].items():
        assert torch.allclose(states[True][key], tensor, atol=1e-5), key
    if (model, count) != ("vgg_ctc_attention", 1):  # of which only the convolutions are frozen
        assert calls[True] < calls[False]


@pytest.mark.parametrize("reason", ["dropout", "augmentation", "top", "memory"])
def test_what_changes_is_computed_every_time(data: Path, tmp_path: Path, reason: str, caplog) -> None:
    augmented = {"specaugment": {"freq_masks": 1, "freq_width": 2, "time_masks": 0}}
    settings = {"augmentation": augmented, "memory": {"cache_frozen": 1e-6}}
    experiment = make(data, "blstm_ctc", **settings.get(reason, {}))
    if reason == "dropout":
        model = experiment.config.model.model_copy(update={"dropout": 0.2})
        changed = experiment.config.model_copy(update={"model": model})
        experiment = dataclasses.replace(experiment, config=changed)
    store = Store(tmp_path)
    joint = run_node(experiment.joint(1), experiment, store)
    frozen = ("softmax",) if reason == "top" else ("blstm.0",)
    with caplog.at_level("INFO"):
        run_node(retrained(joint, init_seed=2, frozen=frozen), experiment, store)
    assert "computed once" not in caplog.text
    assert ("is not kept (run.cache_frozen)" in caplog.text) == (reason == "memory")
