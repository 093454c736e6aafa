"""`train --init`: frozen, kept and new layers, by name; from a model's folder at any path."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from networks import LSTM, blstm, blstm_ctc
from toy_data import write_data

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.bin.main import main
from asr_topdown.config import Config
from asr_topdown.decode.model import load_trained
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.files import read_json
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.fine_tuning import fine_tuning, source_of
from asr_topdown.runs.store import Store
from asr_topdown.schedule.tuning import PLAIN
from asr_topdown.study.worker import train_node
from asr_topdown.text import Vocabulary
from asr_topdown.weights import load_weights, save_state

SETTINGS: dict[str, Any] = {
    "features": {"fbank": {"num_mels": 4}},
    "model": blstm_ctc(3, 6, dropout=0.2),
    "train": {"epochs": 2, "patience": 0, "metric": "loss", "optimizer": {"lr": 0.02}},
}
STILL = {"optimizer": {"name": "sgd", "lr": 1e-30}}  # a training that leaves its weights as they were
NAMES = ("blstm.0", "blstm.1", "blstm.2", "softmax")


class Corpus:
    """Data, units and a configuration in a folder, and `train` on them."""

    def __init__(self, root: Path, seed: int, letters: str = "abc", **settings: Any) -> None:
        self.root = root
        write_data(root / "train", 16, seed, letters=letters, longest=4)
        write_data(root / "dev", 4, seed + 1, letters=letters, longest=4)
        Vocabulary.build([letters], "char").save(root / "tokens.txt")
        self.settings(**settings)

    def settings(self, **changed: Any) -> None:
        """Write the configuration: `SETTINGS`, of each section what is given here instead."""
        values = {**SETTINGS, **{key: value for key, value in changed.items() if key != "train"}}
        values["train"] = {**SETTINGS["train"], **changed.get("train", {})}
        (self.root / "c.yaml").write_text(yaml.safe_dump(values))

    def command(self, *options: str | Path) -> list[str]:
        where = [f"--{name}={self.root / name}" for name in ("train", "dev", "exp")]
        files = [f"--config={self.root / 'c.yaml'}", f"--tokens={self.root / 'tokens.txt'}"]
        return ["train", *where, *files, *map(str, options)]

    @property
    def experiment(self) -> tuple[Config, Path, Path, Path]:
        """The first arguments of an `Experiment`."""
        train, dev, tokens = (self.root / name for name in ("train", "dev", "tokens.txt"))
        return configuration.load(self.root / "c.yaml"), train, dev, tokens

    def train(self, *options: str | Path) -> Path:
        """Train, and return the model's folder."""
        link = self.root / "link"
        assert main(self.command(*options, "--link", link)) == 0
        return link.resolve()

    def error(self, capsys: pytest.CaptureFixture[str], *options: str | Path) -> str:
        """Return the command's only line of output; no training was started."""
        nodes = self.root / "exp" / "nodes"
        before = sorted(nodes.iterdir()) if nodes.exists() else []
        capsys.readouterr()
        assert main(self.command(*options)) == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
        assert (sorted(nodes.iterdir()) if nodes.exists() else []) == before
        return line


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The model's training data."""
    return Corpus(tmp_path_factory.mktemp("source") / "abc", 1)


@pytest.fixture(scope="module")
def source(home: Corpus) -> Path:
    """A model's folder."""
    return home.train()


@pytest.fixture
def here(tmp_path: Path) -> Corpus:
    """Other data of the same language."""
    return Corpus(tmp_path / "here", 11)


def by_layer(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return layers.tensors_by_layer(load_trained(folder).network)


def same(one: Path, other: Path) -> set[str]:
    """The layers whose tensors are the same in two models, bit for bit."""
    first, second = by_layer(one), by_layer(other)
    return {
        name for name in first if all(torch.equal(first[name][key], second[name][key]) for key in first[name])
    }


def test_frozen_layers_are_the_models_and_the_others_are_trained(here: Corpus, source: Path) -> None:
    tuned = here.train("--init", source, "--freeze", "blstm.0-1")
    assert same(tuned, source) == {"blstm.0", "blstm.1"}
    node = read_json(tuned / "node.json")
    assert node["frozen"] == ["blstm.0", "blstm.1"]
    assert node["start"] == "keep"
    assert node["parent"]["node"] == source.name
    assert node["parent"]["epoch"] == read_json(source / "done.json")["best_epoch"]


def test_what_is_not_new_starts_from_the_models_weights(here: Corpus, source: Path) -> None:
    here.settings(train=STILL)
    assert same(here.train("--init", source), source) == set(NAMES)
    tuned = here.train("--init", source, "--freeze", "bottom:1", "--fresh", "blstm.1", "top:1")
    assert same(tuned, source) == {"blstm.0", "blstm.2"}
    scratch = here.train()
    assert same(tuned, scratch) == {"blstm.1", "softmax"}  # new weights are those of the seed


def test_every_choice_has_a_name_of_its_own(here: Corpus, source: Path) -> None:
    here.settings(train={"epochs": 1})
    choices: list[list[str]] = [
        [],
        ["--freeze", "blstm.0"],
        ["--fresh", "blstm.0"],
        ["--freeze", "blstm.*"],
        ["--seed", "2"],
        ["--keep-cmvn"],
    ]
    names = [here.train("--init", source, *choice).name for choice in choices]
    assert len({*names, here.train().name}) == len(choices) + 1
    assert here.train("--init", source, "--freeze", "blstm.1,blstm.0", "blstm.2").name == names[3]


@pytest.mark.parametrize("letters", ["abcd", "abd"], ids=["more units", "as many units"])
def test_other_units_make_the_output_new(
    letters: str, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Corpus(tmp_path / letters, 21, letters, train=STILL)
    tuned = there.train("--init", source, "--freeze", "blstm.0")
    assert same(tuned, source) == {"blstm.0", "blstm.1", "blstm.2"}
    assert read_json(tuned / "node.json")["fresh"] == ["softmax"]
    line = f"{there.root}/tokens.txt has other units than {source}/tokens.txt: new weights for softmax\n"
    assert capsys.readouterr().err.count(line) == 1


def test_an_embedding_of_labels_is_new_as_well(tmp_path: Path) -> None:
    model = {"encoder": [blstm(1, 4)], "ctc": {"weight": 0.5}, "attention": LSTM}
    old = Corpus(tmp_path / "old", 1, model=model, train={"epochs": 1}).train()
    new = Corpus(tmp_path / "new", 5, "abd", model=model, train={"epochs": 1})  # shapes would fit
    assert read_json(new.train("--init", old) / "node.json")["fresh"] == ["decoder", "softmax"]


def test_a_copied_folder_is_the_same_source_and_other_weights_are_not(
    here: Corpus, source: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "sent" / "by mail"
    shutil.copytree(source, copied)
    link = tmp_path / "exp" / "models" / "joint_seed1"
    link.parent.mkdir(parents=True)
    link.symlink_to(copied)
    names = {here.train("--init", folder, "--freeze", "top:1") for folder in (source, copied, link)}
    assert len(names) == 1
    (weights,) = copied.glob("epoch-*.safetensors")
    save_state({key: tensor * 2 for key, tensor in load_weights(weights).items()}, weights)
    other = here.train("--init", copied, "--freeze", "top:1")
    assert other not in names
    assert same(other, copied) == {"softmax"}


def test_a_model_of_the_same_experiment_folder_can_be_tuned_again(here: Corpus, source: Path) -> None:
    first = here.train("--init", source, "--freeze", "blstm.0")
    second = here.train("--init", first, "--freeze", "blstm.0-1")
    assert first.parent == second.parent
    assert first != second
    assert same(second, first) == {"blstm.0", "blstm.1"}


def test_the_models_normalisation_can_be_kept(here: Corpus, source: Path) -> None:
    new = here.train("--init", source)
    kept = here.train("--init", source, "--keep-cmvn")
    assert new.name != kept.name
    theirs, ours = Cmvn.load(source / "cmvn.ark"), Cmvn.load(here.root / "train" / "cmvn.ark")
    assert (theirs.stats != ours.stats).any()
    assert (Cmvn.load(kept / "cmvn.ark").stats == theirs.stats).all()
    assert (Cmvn.load(new / "cmvn.ark").stats == ours.stats).all()
    losses = [read_json(folder / "done.json")["metrics"]["dev_loss"] for folder in (new, kept)]
    assert losses[0] != losses[1]
    assert here.train("--init", source, "--keep-cmvn") == kept


def test_with_the_models_data_the_choice_of_normalisation_is_none(
    home: Corpus, source: Path, tmp_path: Path
) -> None:
    options = ["--init", source, "--freeze", "top:1", "--exp", tmp_path]
    assert home.train(*options, "--keep-cmvn") == home.train(*options)


def test_killed_it_goes_on_to_the_same_bits(here: Corpus, source: Path, tmp_path: Path) -> None:
    here.settings(train={"epochs": 4, "frames_per_batch": 120}, run={"checkpoint_minutes": 1e-9})
    options = ["--init", str(source), "--freeze", "blstm.0", "--keep-cmvn"]
    tuning = {"layer_decay": 0.5, "unfreeze_every": 1, "l2_sp": 0.1}
    options += [f"--set=train.tuning.{name}={value}" for name, value in tuning.items()]
    whole = here.train(*options)
    shutil.move(here.root / "exp", tmp_path / "whole")
    process = subprocess.Popen(
        [sys.executable, "-m", "asr_topdown.bin.main", *here.command(*options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    begun = here.root / "exp" / "nodes" / whole.name
    while not list(begun.glob("epoch-*.safetensors")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (begun / "done.json").exists()
    assert here.train(*options) == begun
    there = tmp_path / "whole" / "nodes" / whole.name
    names = sorted(path.name for path in there.glob("*.safetensors"))
    assert names == sorted(path.name for path in begun.glob("*.safetensors"))
    assert all((begun / name).read_bytes() == (there / name).read_bytes() for name in names)


def test_a_worker_elsewhere_finds_the_model(here: Corpus, source: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    experiment = Experiment(*here.experiment, cmvn_source=copied)
    store = Store(tmp_path / "exp", models=source_of(copied))
    node = fine_tuning(experiment, copied, store, seed=1, freeze=["bottom:2"])
    node, experiment, store = pickle.loads(pickle.dumps((node, experiment, store)))
    train_node(node, experiments=[experiment], store=store)
    assert same(store.node_dir(node), source) == {"blstm.0", "blstm.1"}
    assert node.id == here.train("--init", source, "--freeze", "bottom:2", "--keep-cmvn").name


def test_weights_that_change_before_the_training_begins_are_refused(
    here: Corpus, source: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    experiment, store = Experiment(*here.experiment), Store(tmp_path / "exp", models=source_of(copied))
    node = fine_tuning(experiment, copied, store, seed=1)
    (weights,) = copied.glob("epoch-*.safetensors")
    save_state({key: tensor * 2 for key, tensor in load_weights(weights).items()}, weights)
    with pytest.raises(ValueError, match="not the weights that the training was begun with"):
        train_node(node, experiments=[experiment], store=store)


def test_weights_that_are_no_numbers_are_refused_where_they_are_taken(
    here: Corpus, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    (weights,) = copied.glob("epoch-*.safetensors")
    state = load_weights(weights)
    state["heads.ctc.output.bias"][1] = torch.nan
    save_state(state, weights)
    said = f"{weights.resolve()}: heads.ctc.output.bias holds NaN"
    assert main(here.command("--init", copied)) == 1
    assert said in capsys.readouterr().err
    here.train("--init", copied, "--fresh", "softmax")


@pytest.mark.parametrize("seed", ["-1", "18446744073709551616"])
def test_seeds_have_limits(seed: str, here: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        here.error(capsys, "--seed", seed)
    assert f"argument --seed: must be from 0 to 2147483647, got {seed}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--freeze", "lstm.0"], "--freeze: no layer matches 'lstm.0'; the layers are blstm.0, blstm.1, "),
        (["--fresh", "blstm.1-3"], "--fresh: blstm.1-3: no layer is called blstm.3; the layers are blstm.0"),
        (["--freeze", "top:2", "--fresh", "softmax"], "--freeze and --fresh: softmax cannot be both"),
        (["--freeze", "*"], "--freeze: these are all layers: nothing would be trained"),
        (["--fresh", "*"], "--fresh: these are all layers: nothing would be left of "),
    ],
)
def test_layers_that_cannot_be(
    options: list[str], message: str, here: Corpus, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in here.error(capsys, "--init", source, *options)


def test_the_yaml_says_what_the_options_say(here: Corpus, source: Path) -> None:
    here.settings(train={"epochs": 1})
    wanted = here.train("--init", source, "--freeze", "blstm.0", "--fresh", "blstm.2", "--keep-cmvn")
    init = {"model": str(source), "freeze": "blstm.0", "fresh": ["blstm.2"], "keep_cmvn": True}
    here.settings(train={"epochs": 1, "init": init})
    assert here.train() == wanted
    # What a copy of the folder is made of does not say where the model lay.
    assert configuration.load(wanted / "config.yaml").train.init is None
    # Options come first.
    other = here.train("--freeze", "blstm.0-1")
    assert read_json(other / "node.json")["frozen"] == ["blstm.0", "blstm.1"]
    assert read_json(other / "node.json")["fresh"] == ["blstm.2"]
    assert here.train("--set", "train.init.keep_cmvn=false") != wanted
    here.settings(train={"epochs": 1, "init": {**init, "model": "nowhere"}})
    assert here.train("--init", source) == wanted


TUNINGS: dict[str, dict[str, Any]] = {
    "rates": {"layer_decay": 0.5},
    "unfreezing": {"unfreeze_every": 1},
    "steps": {"freeze_steps": 100},
    "pull": {"l2_sp": 0.5},
    "norms": {"parameters": "norms_and_biases"},
}


def test_the_rivals_of_freezing(here: Corpus, source: Path) -> None:
    """Each setting is a different training, and changes the layers that it should."""
    folders = {"plain": here.train("--init", source)}
    for name, tuning in TUNINGS.items():
        here.settings(train={"tuning": tuning}, run={"keep_epochs": "all"})
        folders[name] = here.train("--init", source)
        assert read_json(folders[name] / "node.json")["tuning"] == tuning
        assert configuration.load(folders[name] / "config.yaml").train.tuning == PLAIN
    assert len(set(folders.values())) == len(folders)
    # Of four layers in two epochs: the topmost, and one more.
    seen = [set(NAMES) - unmoved(folders["unfreezing"], source, epoch) for epoch in (1, 2)]
    assert seen == [{"softmax"}, {"softmax", "blstm.2"}]
    assert set(NAMES) - unmoved(folders["steps"], source, 2) == {"softmax"}
    ours, theirs = tensors(folders["norms"]), tensors(source)
    moved = {key for key in ours if not torch.equal(ours[key], theirs[key])}
    assert moved == {key for key in ours if "bias" in key}


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {key: tensor for own in by_layer(folder).values() for key, tensor in own.items()}


def unmoved(folder: Path, source: Path, epoch: int) -> set[str]:
    """The layers that equal the source's after an epoch."""
    now = load_weights(folder / f"epoch-{epoch}.safetensors")
    return {
        name
        for name, own in by_layer(source).items()
        if all(torch.equal(now[key], tensor) for key, tensor in own.items())
    }


def test_adapters_in_frozen_layers(here: Corpus, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("peft", reason="wants the extra lora")
    here.settings(train={"init": {"lora": 2}, "epochs": 1})
    error = here.error(capsys, "--init", source)
    assert "train.init.lora: adapters are trained in frozen layers: --freeze says which" in error
    adapted = here.train("--init", source, "--freeze", "*")
    node = read_json(adapted / "node.json")
    assert (node["lora"], node["frozen"]) == (2, sorted(NAMES))
    ours, theirs = tensors(adapted), tensors(source)
    differences = {key: ours[key] - theirs[key] for key in ours if not torch.equal(ours[key], theirs[key])}
    assert differences.keys() == {key for key in ours if ours[key].dim() == 2}
    # The matrices differ by no more than the adapters' rank.
    assert max(int(torch.linalg.matrix_rank(one, rtol=1e-4)) for one in differences.values()) == 2


@pytest.mark.parametrize(
    ("tuning", "options", "message"),
    [
        ({"l2_sp": 0.1}, [], "train.tuning needs --init MODEL, or train.init.model"),
        ({"l2_ps": 0.1}, [], "unknown key train.tuning.l2_ps; did you mean train.tuning.l2_sp?"),
        ({"layer_decay": 2}, [], "train.tuning.layer_decay: must be less than or equal to 1"),
        ({"unfreeze_every": 1, "freeze_steps": 2}, [], "train.tuning: unfreeze_every and freeze_steps: one"),
        ({"l2_sp": 1}, ["--fresh", "top:2", "--freeze", "bottom:2"], "train.tuning (L2-SP 1): no layer of "),
    ],
)
def test_tunings_that_cannot_be(
    tuning: dict[str, Any],
    options: list[str],
    message: str,
    here: Corpus,
    source: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here.settings(train={"tuning": tuning})
    assert message in here.error(capsys, *options, *([f"--init={source}"] if options else []))


def test_the_yaml_is_checked_as_the_options_are(
    here: Corpus, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.settings(train={"init": {"freeze": ["blstm.0"]}})
    assert "train.init needs --init MODEL, or train.init.model" in here.error(capsys)
    here.settings(train={"init": {"model": str(source), "freeze": ["lstm.0"]}})
    assert "--freeze: no layer matches 'lstm.0'; the layers are blstm.0, blstm.1, " in here.error(capsys)
    here.settings(train={"init": {"model": str(source.parent), "freeze": ["blstm.0"]}})
    assert f"{source.parent}: not a finished model" in here.error(capsys)
    here.settings(train={"init": {"modle": str(source)}})
    assert "unknown key train.init.modle; did you mean train.init.model?" in here.error(capsys)


def test_a_study_does_not_start_from_a_model(
    here: Corpus, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.settings(train={"init": {"model": str(source)}})
    assert main(["topdown", *here.command()[1:], "--dry-run"]) == 1
    assert "train.init: a study's joint trainings start from scratch" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--freeze", "top:1"], ["--fresh", "top:1"], ["--keep-cmvn"]])
def test_options_without_a_model(option: list[str], here: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{option[0]} needs --init MODEL" in here.error(capsys, *option)


def test_init_names_a_folder_that_holds_no_finished_model(
    here: Corpus, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = source.parents[1]
    error = here.error(capsys, "--init", exp)
    assert f"{exp}: not a finished model (no done.json); below it are {source}" in error
    assert f"{tmp_path}/none: not a finished model" in here.error(capsys, "--init", tmp_path / "none")
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    (weights,) = copied.glob("epoch-*.safetensors")
    weights.unlink()
    assert f"{weights}: no such weights" in here.error(capsys, "--init", copied)


def test_what_does_not_fit_is_said_from_the_configurations(
    here: Corpus, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.settings(model=blstm_ctc(3, 5))
    error = here.error(capsys, "--init", source)
    assert "layer 'blstm.0': " in error
    assert "model.encoder.0.hidden_size is 6 there and 5 here" in error
    here.settings(model=blstm_ctc(4, 6))
    error = here.error(capsys, "--init", source)
    assert "layer 'blstm.3': the parent has no tensor " in error
    assert "model.encoder.0.num_layers is 3 there and 4 here" in error
    deeper = here.train("--init", source, "--fresh", "blstm.3", "--freeze", "blstm.0")
    assert read_json(deeper / "node.json")["fresh"] == ["blstm.3"]
    here.settings(features={"fbank": {"num_mels": 4, "low_freq": 100}})
    path = f"{source}/config.yaml: its features are not this configuration's: "
    for more in ([], ["--keep-cmvn", "--fresh", "blstm.0"]):
        difference = "features.fbank.low_freq is 20.0 there and 100.0 here"
        assert f"{path}{difference}" in here.error(capsys, "--init", source, *more)
    here.settings(features={"fbank": {"num_mels": 4}, "cmvn": "none"})
    assert "--keep-cmvn: this configuration normalises nothing" in here.error(
        capsys, "--init", source, "--keep-cmvn"
    )
    other = Corpus(tmp_path / "abd", 31, "abd")
    error = other.error(capsys, "--init", source, "--freeze", "top:1")
    units = f"the units of {other.root}/tokens.txt are not those of {source}/tokens.txt"
    assert f"--freeze: softmax cannot be frozen: {units}" in error


def test_settings_that_no_shape_shows_are_said(
    here: Corpus, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.settings(model=blstm_ctc(3, 6, dropout=0.1), train={"epochs": 1})
    here.train("--init", source)
    said = f"{source}: its network has other settings: model.encoder.0.dropout is 0.2 there and 0.1 here\n"
    assert said in capsys.readouterr().err


def test_a_language_model_is_no_start_for_a_recogniser(
    here: Corpus, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(source, copied)
    (copied / "config.yaml").write_text("model: {kind: awd_lstm}\ntrain: {metric: loss}\nrun: {}\n")
    assert "config.yaml: a language model, and this configuration is of a recogniser" in here.error(
        capsys, "--init", copied
    )
