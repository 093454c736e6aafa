"""The output of frozen lowest layers is computed once, and nothing else changes."""

import dataclasses
import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import blstm, blstm_ctc
from toy_data import SLOW, write_data

from asr_topdown import config as configuration
from asr_topdown import datadir
from asr_topdown.data.computed import RowsOnDisk
from asr_topdown.features import ark
from asr_topdown.nn.blstm import BlstmLayer
from asr_topdown.nn.conv2d import Conv2dSubsampling
from asr_topdown.nn.vgg import Vgg
from asr_topdown.runs import frozen_prefix
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import retrained
from asr_topdown.text import Vocabulary
from asr_topdown.weights import load_weights, weights_of_epoch

LSTM = {
    "kind": "lstm", "embedding_size": 8, "hidden_size": 8, "attention_size": 8, "location_filters": 2,
    "location_width": 4,
}  # fmt: skip
BLOCKS = {"num_layers": 2, "d_model": 8, "num_heads": 2, "ffn_dim": 12, "dropout": 0.0}
CONV2D = {"kind": "conv2d", "channels": 8, "output_size": 8}
HEADS = {
    "ctc": {"weight": 0.3},
    "attention": {"kind": "transformer", "num_layers": 1, "num_heads": 2, "ffn_dim": 12},
}
MODELS = {
    "blstm_ctc": blstm_ctc(3, 6, stack=2, subsample=(1, 2)),
    "blstm_ctc_attention": {
        "encoder": [blstm(3, 6, projection_size=6)], "ctc": {"weight": 0.3}, "attention": LSTM,
    },
    "vgg_ctc": {"encoder": [{"kind": "vgg"}, blstm(2, 6, projection_size=6)], "ctc": {}},
    "transformer_ctc_attention": {"encoder": [CONV2D, {"kind": "transformer", **BLOCKS}], **HEADS},
    "transformer_attention": {
        "encoder": [CONV2D, {"kind": "transformer", **BLOCKS}], "attention": HEADS["attention"],
    },
    "conformer_transducer": {
        "encoder": [CONV2D, {"kind": "conformer", "kernel_size": 3, **BLOCKS}],
        "transducer": {"predictor": {"embedding_size": 8, "hidden_size": 8}, "joiner_size": 8},
    },
}  # fmt: skip
# What the lowest layers of a model are.
LOWEST = {"blstm": BlstmLayer, "vgg": Vgg, "transformer": Conv2dSubsampling, "conformer": Conv2dSubsampling}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root / "train", 24, 1, **SLOW)
    write_data(root / "dev", 6, 2, **SLOW)
    Vocabulary.build(["abcd"], "char").save(root / "tokens.txt")
    return root


def make(
    data: Path, model: str, *, cache_frozen: float = 4.0, disk: float = 1.0, **train: object
) -> Experiment:
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": 8}},
            "model": MODELS[model],
            "train": {"epochs": 2, "patience": 0, "metric": "loss", "utterances_per_batch": 8, **train},
            "run": {"cache_frozen": cache_frozen, "cache_frozen_disk": disk},
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
    # Adam would make as much of a slope that is nothing but rounding as of any other.
    plain = {"name": "sgd", "lr": 0.1}
    counting = LOWEST[model.partition("_")[0]]
    original = counting.forward
    for cached in (True, False):
        experiment = make(data, model, cache_frozen=4.0 * cached, optimizer=plain)
        store = Store(tmp_path / str(cached))

        def counted(self, *args, cached=cached):
            calls[cached] += 1
            return original(self, *args)

        joint = run_node(experiment.joint(1), experiment, store)
        frozen = experiment.layer_names()[:count]
        monkeypatch.setattr(counting, "forward", counted)
        outcome = run_node(retrained(joint, init_seed=2, frozen=frozen), experiment, store)
        monkeypatch.setattr(counting, "forward", original)
        states[cached] = load_weights(weights_of_epoch(store.node_dir(outcome.node), outcome.best_epoch))
        errors[cached] = outcome.error
    assert errors[True] == pytest.approx(errors[False], rel=1e-5)
    for key, tensor in states[False].items():
        assert torch.allclose(states[True][key], tensor, atol=1e-5), key
    assert calls[True] < calls[False]


@pytest.mark.parametrize(
    ("model", "alone"),
    [("conformer_transducer", True), ("transformer_attention", True), ("transformer_attention", False)],
)
def test_so_are_those_of_a_dev_set_with_an_utterance_too_short_for_the_network(
    tmp_path: Path, model: str, alone: bool
) -> None:
    """The stages give it one frame all the same, which was not kept: alone in a batch, it was a traceback."""
    write_data(tmp_path / "train", 8, 1, **SLOW)
    dev = write_data(tmp_path / "dev", 4, 2, **SLOW)
    Vocabulary.build(["abcd"], "char").save(tmp_path / "tokens.txt")
    with (dev / "short.ark").open("wb") as archive:
        place = ark.save(archive, "spk-short", np.ones((5, 8), np.float32))
    added = {"text": "a", "utt2num_frames": 5, "utt2spk": "spk", "feats.scp": f"{archive.name}:{place}"}
    for name, value in added.items():
        datadir.write_table(dev / name, {**datadir.read_table(dev / name), "spk-short": value})
    losses = []
    for cached in (True, False):
        budget = {"frames_per_batch": 20} if alone else {}
        experiment = make(tmp_path, model, cache_frozen=4.0 * cached, **budget)
        store = Store(tmp_path / str(cached))
        joint = run_node(experiment.joint(1), experiment, store)
        outcome = run_node(retrained(joint, init_seed=2, frozen=("subsample",)), experiment, store)
        losses.append(outcome.metrics["dev_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("reason", ["dropout", "augmentation", "top", "memory"])
def test_what_changes_is_computed_every_time(data: Path, tmp_path: Path, reason: str, caplog) -> None:
    augmented = {"specaugment": {"freq_masks": 1, "freq_width": 2, "time_masks": 0}}
    settings = {"augmentation": augmented, "memory": {"cache_frozen": 1e-6, "disk": 0.0}}
    experiment = make(data, "blstm_ctc", **settings.get(reason, {}))
    if reason == "dropout":
        encoder = tuple(one.model_copy(update={"dropout": 0.2}) for one in experiment.config.model.encoder)
        model = experiment.config.model.model_copy(update={"encoder": encoder})
        changed = experiment.config.model_copy(update={"model": model})
        experiment = dataclasses.replace(experiment, config=changed)
    store = Store(tmp_path)
    joint = run_node(experiment.joint(1), experiment, store)
    frozen = ("softmax",) if reason == "top" else ("blstm.0",)
    with caplog.at_level("INFO"):
        run_node(retrained(joint, init_seed=2, frozen=frozen), experiment, store)
    assert "computed once" not in caplog.text
    assert ("is not kept (run.cache_frozen)" in caplog.text) == (reason == "memory")


def test_what_is_on_disk_or_in_float16_gives_the_same_or_nearly(data: Path, tmp_path: Path, caplog) -> None:
    states, folders = {}, {}
    for name, settings in {
        "memory": {},
        "disk": {"cache_frozen": 1e-6},
        "half": {"frozen_precision": "float16"},
        "half_disk": {"frozen_precision": "float16", "cache_frozen": 1e-6},
    }.items():
        experiment, store = make(data, "blstm_ctc", **settings), Store(tmp_path / name)
        joint = run_node(experiment.joint(1), experiment, store)
        caplog.clear()
        with caplog.at_level("INFO"):
            outcome = run_node(
                retrained(joint, init_seed=2, frozen=("blstm.0", "blstm.1")), experiment, store
            )
        assert "their output is computed once" in caplog.text
        assert ("is kept on disk" in caplog.text) == ("disk" in name)
        folders[name] = store.node_dir(outcome.node)
        states[name] = load_weights(weights_of_epoch(folders[name], 2))
    # Rounding is part of a training's name, and where the output is kept is not.
    assert folders["memory"].name == folders["disk"].name != folders["half"].name == folders["half_disk"].name
    for key, tensor in states["memory"].items():
        assert torch.equal(states["disk"][key], tensor)
        assert torch.equal(states["half_disk"][key], states["half"][key])
        assert torch.allclose(states["half"][key], tensor, atol=1e-2)
    assert any(not torch.equal(states["half"][key], tensor) for key, tensor in states["memory"].items())
    assert not [path for path in folders["disk"].iterdir() if "tmp" in path.name]


def test_no_result_depends_on_the_room_there_is(data: Path, tmp_path: Path) -> None:
    """Without room for what would have been rounded there is no result."""
    experiment = make(data, "blstm_ctc", frozen_precision="float16", cache_frozen=1e-6, disk=0.0)
    store = Store(tmp_path)
    joint = run_node(experiment.joint(1), experiment, store)
    with pytest.raises(ValueError, match=r"float16 wants the frozen layers' output to be kept"):
        run_node(retrained(joint, init_seed=2, frozen=("blstm.0",)), experiment, store)


def test_rows_on_disk_come_back_as_they_were(tmp_path: Path) -> None:
    rows = RowsOnDisk(tmp_path)
    kept = {
        place: torch.randn(place + 1, 3).to(dtype)
        for place, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16))
    }
    for place in (2, 0, 1):
        rows.put(place, kept[place])
    for place, one in kept.items():
        assert torch.equal(rows[place], one)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_by_the_name_of_the_folder(tmp_path: Path) -> None:
    """Only "No space left on device" was said of the file, which has no name, and at times later on."""
    rows = RowsOnDisk(tmp_path)
    rows._file = Path("/dev/full").open("wb")  # noqa: SIM115
    said = f"cannot write {tmp_path}/the frozen layers' output: No space left on device"
    with pytest.raises(OSError, match=said) as caught:
        rows.put(0, torch.zeros(1, 3))
    assert caught.value.errno == errno.ENOSPC


def test_numbers_too_large_for_float16_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"u1: the frozen layers give 70000, too large for float16"):
        frozen_prefix._halved(torch.tensor([[1.0, -70000.0]]), "u1")
