"""`asr-topdown probe` and `cka`: from data and models' folders to tables, JSON, CSV and pictures."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from networks import blstm
from toy_data import write_data

from asr_topdown.bin.main import main
from asr_topdown.decode.model import load_trained
from asr_topdown.probing import cka, layer_outputs

SPEAKERS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of single letters by four speakers, whose second half lies in another dimension, and
    two networks: one that subsamples, one that does not and has a prenorm encoder.
    """
    root = tmp_path_factory.mktemp("probe")
    for part, count in (("train", 40), ("dev", 12)):
        speech = {"dim": 6, "frames": 12, "sounding": 9, "noise": 0.5, "shortest": 1, "longest": 1}
        write_data(root / part, count, len(part), **speech)
        names = [line.split()[0] for line in (root / part / "text").read_text().splitlines()]
        lines = [f"{name} s{place % SPEAKERS}\n" for place, name in enumerate(names)]
        (root / part / "utt2spk").write_text("".join(lines))
    train = {"epochs": 1, "utterances_per_batch": 8, "optimizer": {"lr": 0.02}}
    transformer = {"kind": "transformer", "num_layers": 1, "d_model": 8, "num_heads": 2, "ffn_dim": 8}
    networks = {
        "slow": {"encoder": [blstm(2, 6, subsample=[2])], "ctc": {}},
        "fast": {"encoder": [transformer], "ctc": {}},
    }
    for name, model in networks.items():
        settings = {"features": {"kind": "given", "dim": 6}, "model": model, "train": train}
        (root / f"{name}.yaml").write_text(yaml.safe_dump(settings))
        config = ["--config", str(root / f"{name}.yaml")]
        units = str(root / "tokens.txt")
        assert main(["tokens", *config, "--train", str(root / "train"), "--out", units]) == 0
        where = ["--train", str(root / "train"), "--dev", str(root / "dev"), "--tokens", units]
        exp = ["--exp", str(root / "exp"), "--link", str(root / name)]
        assert main(["train", *config, *where, *exp]) == 0
    return root


def probe(root: Path, *options: str, model: str = "slow", out: str = "probed") -> int:
    data = [str(root / "train"), str(root / "dev")]
    return main(["probe", *data, "--model", str(root / model), "--out", str(root / out), *options])


def test_letters_by_speaker(root, capsys):
    # The ids in both directories are alike: that is said.
    assert probe(root, "--folds", "4") == 1
    assert re.search(r"dev: spk-000 is in two of the data directories$", capsys.readouterr().err.strip())
    folders = ["probe", str(root / "train"), "--model", str(root / "slow"), "--out", str(root / "probed")]
    assert main([*folders, "--folds", "4"]) == 0
    shown = capsys.readouterr().out
    found = json.loads((root / "probed" / "probe.json").read_text())
    sizes = {one["layer"]: one["size"] for one in found["layers"]}
    assert sizes == {"input": 6, "blstm.0": 12, "blstm.1": 12, "softmax": 5}
    assert (found["labels"], found["by"], found["utterances"]) == (["a", "b", "c"], "speaker", 40)
    assert len(found["chance"]) == 4
    accuracy = [fold["accuracy"] for fold in found["layers"][0]["folds"]]
    assert len(accuracy) == 4
    assert sum(accuracy) / 4 > 0.95  # each letter sounds in a dimension of its own
    with (root / "probed" / "probe.csv").open() as rows:
        first = next(csv.DictReader(rows))
    assert first["layer"] == "input"
    assert float(first["accuracy"]) == pytest.approx(100 * sum(accuracy) / 4, rel=1e-4)
    assert [float(first[f"fold{i}"]) for i in range(4)] == pytest.approx(
        [100 * x for x in accuracy], rel=1e-4
    )
    assert "| input | 6 |" in shown
    assert (root / "probed" / "probe.png").read_bytes().startswith(b"\x89PNG")


def test_no_file_of_a_killed_process_is_left_over(
    root: Path, tmp_path: Path, leave_half: Callable[[Path], None]
) -> None:
    data, model = str(root / "train"), str(root / "slow")
    commands = {
        "probed/probe.csv": ["probe", data, "--model", model, "--folds", "4", "--layers", "blstm.0", "--out"],
        "alike/cka.png": ["cka", model, model, data, "--layers", "blstm.0", "--out"],
    }
    for file, command in commands.items():
        leave_half(tmp_path / file)
        assert main([*command, str((tmp_path / file).parent)]) == 0
    leave_half(tmp_path / "tokens.txt")
    out = ["--out", str(tmp_path / "tokens.txt")]
    assert main(["tokens", "--config", str(root / "slow.yaml"), "--train", data, *out]) == 0
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        *("cka.csv", "cka.json", "cka.png", "probe.csv", "probe.json", "probe.png", "tokens.txt"),
    ]


def test_both_compute_on_one_thread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    outputs = layer_outputs.outputs
    for module in (layer_outputs, cka):
        monkeypatch.setattr(
            module, "outputs", lambda *given: used.append(torch.get_num_threads()) or outputs(*given)
        )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        folder, out = str(root / "slow"), ["--out", str(root / "alone")]
        assert main(["probe", str(root / "train"), "--model", folder, "--folds", "4", *out]) == 0
        probing = len(used)
        assert main(["cka", folder, folder, str(root / "dev"), *out]) == 0
        assert 0 < probing < len(used)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(used) == {1}


def test_speakers_are_folded_by_utterance_and_files_are_read(root, capsys):
    assert main(["probe", str(root / "train"), "--model", str(root / "slow"), "--out", str(root / "of"),
                 "--target", "speaker", "--layers", "bottom:1", "--deviations"]) == 0  # fmt: skip
    found = json.loads((root / "of" / "probe.json").read_text())
    assert found["by"] == "utterance"
    assert [(one["layer"], one["size"]) for one in found["layers"]] == [("input", 12), ("blstm.0", 24)]
    table = root / "odd.txt"
    names = [line.split()[0] for line in (root / "train" / "text").read_text().splitlines()]
    table.write_text("".join(f"{name} {place % 2}\n" for place, name in enumerate(names)))
    assert main(["probe", str(root / "train"), "--model", str(root / "fast"), "--out", str(root / "of"),
                 "--target", str(table), "--by", "text", "--folds", "3"]) == 0  # fmt: skip
    found = json.loads((root / "of" / "probe.json").read_text())
    assert found["labels"] == ["0", "1"]
    assert [one["layer"] for one in found["layers"]] == ["input", "enc.0", "softmax"]
    table.write_text("spk-000 1\n")
    assert main(["probe", str(root / "train"), "--model", str(root / "fast"), "--out", str(root / "of"),
                 "--target", str(table)]) == 1  # fmt: skip
    assert "odd.txt: says nothing of spk-001" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds", "5"], "--folds 5: must be at most the number of speakers, 4"),
        (["--folds", "2"], "--folds 2: must be at least 3"),
        (["--layers", "blstm.7"], "--layers: no layer matches 'blstm.7'; the layers are blstm.0, blstm"),
        (["--target", "none.txt"], "--target none.txt: must be text, speaker or a file"),
        (["--target", "speaker", "--by", "speaker", "--folds", "4"],
         "the label 's0' must be in more than one fold, but is only in one (speaker s0)"),
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_one_line(root, tmp_path, capsys, options, message):
    train, model = str(root / "train"), str(root / "slow")
    assert main(["probe", train, "--model", model, "--out", str(tmp_path / "out"), *options]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_copies_at_other_speeds_are_no_groups_of_their_own(root, tmp_path, capsys):
    """A speaker's voice was known from other folds."""
    shutil.copytree(root / "train", tmp_path / "fast")
    (tmp_path / "fast" / "utt2speed").write_text("spk-000 1.1\n")
    command = ["probe", str(tmp_path / "fast"), "--model", str(root / "slow"), "--out", str(tmp_path / "out")]
    for options in ([], ["--by", "utterance"]):
        assert main([*command, "--folds", "4", *options]) == 1
        by = (options or ["", "speaker"])[1]
        said = f"fast: is speed-perturbed (utt2speed), and --by {by} would put copies of one recording into"
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_class_is_one_line(root, tmp_path, capsys):
    copy = tmp_path / "train"
    shutil.copytree(root / "train", copy)
    text = copy / "text"
    text.write_text(re.sub(r"(?m) .*$", " same", text.read_text()))
    assert (
        main(["probe", str(copy), "--model", str(root / "slow"), "--out", str(tmp_path), "--folds", "4"]) == 1
    )
    assert "there must be several labels, but all 40 utterances have 'same'" in capsys.readouterr().err


def test_cka_of_two_networks_of_unequal_rates(root, capsys):
    """Against the Gram matrices of the same frames; pairs of frames of the fast network are averaged."""
    first, second, out = root / "slow", root / "fast", root / "alike"
    assert main(["cka", str(first), str(second), str(root / "dev"), "--out", str(out)]) == 0
    found = json.loads((out / "cka.json").read_text())
    assert (found["rows"], found["columns"]) == (["blstm.0", "blstm.1", "softmax"], ["enc.0", "softmax"])
    frames = []
    for folder, layer, join in ((first, "blstm.1", 1), (second, "enc.0", 2)):
        model = load_trained(folder)
        (data,) = layer_outputs.read(model, [root / "dev"])
        own = []
        with torch.no_grad():
            for index in range(len(data)):
                values = dict(layer_outputs.outputs(model.network, data.batch([index])))[layer].values[0]
                own.append(values.double().unflatten(0, (-1, join)).mean(1))
        frames.append(torch.cat(own) - torch.cat(own).mean(0))
    assert found["frames"] == len(frames[0]) == len(frames[1])
    k, l_ = (one @ one.T for one in frames)
    expected = (k * l_).sum() / (k.norm() * l_.norm())
    assert found["cka"][1][0] == pytest.approx(expected.item(), abs=1e-6)
    shown = capsys.readouterr().out
    assert f"{expected:.3f}" in shown
    assert (out / "cka.png").read_bytes().startswith(b"\x89PNG")
    with (out / "cka.csv").open() as rows:
        assert next(csv.DictReader(rows))["layer"] == "blstm.0"

    same = ["cka", str(first), str(first), str(root / "dev"), "--layers", "blstm.*", "--out", str(out)]
    assert main(same) == 0
    (one, other), (_, last) = json.loads((out / "cka.json").read_text())["cka"]
    assert (one, last) == (pytest.approx(1), pytest.approx(1))
    assert 0 < other < 1
    capsys.readouterr()
    assert main([*same, "--layers", "enc.*"]) == 1
    assert "--layers, " in capsys.readouterr().err
