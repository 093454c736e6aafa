"""Files on disk are reused only if made from the same sound, settings, units, weights and language model."""

import json
import os
import pickle
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown import files
from asr_topdown.bin.main import main
from asr_topdown.data.unknown_units import unknown_units
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.text import Vocabulary

CONFIG = """
features: {fbank: {sample_rate: 8000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 8, stack: 2}], ctc: {}}
train: {epochs: 1, patience: 0, metric: loss, utterances_per_batch: 8, optimizer: {lr: 0.02}}
schedule: {controls: []}
"""


class Toy:
    """A folder with data, features, units and a trained network."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.config = root / "c.yaml"

    def command(self, *words: str | Path, config: bool = True) -> list[str]:
        return [*map(str, words), *(["--config", str(self.config)] if config else [])]

    def features(self, *sets: str, settings: tuple[str, ...] = ()) -> int:
        more = [word for setting in settings for word in ("--set", setting)]
        folders = [self.data / name for name in sets]
        return main([*self.command("features", *folders), "--nj", "1", *more])

    def training(self, command: str, *more: str | Path) -> list[str]:
        data = {"train": "train", "dev": "dev", "tokens": "tokens.txt"}
        paths = [word for name, file in data.items() for word in (f"--{name}", str(self.data / file))]
        return [*self.command(command), *paths, "--exp", str(self.root / "exp"), *map(str, more)]

    def decode(self, *more: str | Path) -> list[str]:
        model = ["--model", self.root / "m", "--out", self.root / "out"]
        return [str(word) for word in ("decode", self.data / "dev", *more, *model)]


def write_corpus(root: Path, write_tones: Callable[..., Path]) -> None:
    generator = random.Random(1)
    for part, count in (("train", 16), ("dev", 4)):
        tables: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
        for index in range(count):
            name, letters = f"toy-{part}{index:02}", "".join(generator.choices("abc", k=3))
            wav = write_tones(root / "sound" / f"{name}.wav", letters)
            for table, value in (("wav.scp", wav), ("text", letters), ("utt2spk", "toy")):
                tables[table].append(f"{name} {value}\n")
        (root / "data" / part).mkdir(parents=True)
        for table, lines in tables.items():
            (root / "data" / part / table).write_text("".join(lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_tones: Callable[..., Path]) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("made") / "toy")
    write_corpus(toy.root, write_tones)
    toy.config.write_text(CONFIG)
    assert toy.features("train", "dev") == 0
    tokens = ["--train", str(toy.data / "train"), "--out", str(toy.data / "tokens.txt")]
    assert main([*toy.command("tokens"), *tokens]) == 0
    assert main(toy.training("train", "--link", toy.root / "m")) == 0
    return toy


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    """A copy, sound included, to be changed."""
    root = tmp_path / "toy"
    shutil.copytree(made.root, root, symlinks=True)
    for path in (root / "data").glob("*/wav.scp"):
        path.write_text(path.read_text().replace(str(made.root), str(root)))
    return Toy(root)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1, lines
    return lines[0]


def done_already(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> bool:
    capsys.readouterr()
    assert main(arguments) == 0
    return "done already" in capsys.readouterr().out


def replace_sound(toy: Toy, name: str) -> None:
    """Noise of the same length, size and time of writing."""
    path = toy.root / "sound" / f"{name}.wav"
    before = path.stat()
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, soundfile.info(path).frames)
    soundfile.write(path, noise, 8000, subtype="PCM_16")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


# --- decodings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_decoding_that_a_crash_has_cut_is_made_anew(
    toy: Toy, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not done_already(toy.decode(), capsys)
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = toy.root / "out" / "dev" / f".nbest.{files._owner(dead.pid)}.abc.tmp"
    left.write_text("half")
    for name in ("text", "result.json"):
        file = toy.root / "out" / "dev" / name
        before = file.read_bytes()
        file.write_bytes(before[: int(share * len(before))])
        assert not done_already(toy.decode(), capsys)
        assert len(file.read_bytes().splitlines()) == len(before.splitlines())
    assert done_already(toy.decode(), capsys)
    assert not left.exists()


def test_a_decoding_answers_as_long_as_nothing_changes(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    assert not done_already(toy.decode(), capsys)
    assert done_already(toy.decode(), capsys)
    # Neither the path of the model nor that of the data is part of its name.
    node = (toy.root / "m").resolve()
    shutil.copytree(node, toy.root / "copy")
    (toy.root / "m").unlink()
    (toy.root / "copy").rename(toy.root / "m")
    assert done_already(toy.decode(), capsys)
    shutil.copytree(toy.data / "dev", toy.root / "moved" / "dev")
    moved = [
        str(toy.root / "moved" / "dev") if word == str(toy.data / "dev") else word for word in toy.decode()
    ]
    assert done_already(moved, capsys)
    result = json.loads((toy.root / "out" / "dev" / "result.json").read_text())
    assert result["reference"] == str(toy.root / "moved" / "dev" / "text")
    assert not done_already(toy.decode("--config", toy.config, "--set", "decode.method=prefix_beam"), capsys)


@pytest.mark.parametrize("what", ["sound", "transcript", "channel", "foreign features"])
def test_other_data_under_the_same_path_are_decoded(
    what: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = toy.data / "dev"
    if what == "channel":  # the first of two, which is the second one's from now on
        for name in ("toy-dev00", "toy-dev01"):
            path = toy.root / "sound" / f"{name}.wav"
            mono, rate = soundfile.read(path)
            soundfile.write(path, np.stack([mono, mono[::-1]], 1), rate, subtype="PCM_16")
        sides = "".join(f"{name} {name} A\n" for name in ("toy-dev00", "toy-dev01"))
        (dev / "reco2file_and_channel").write_text(sides)
        assert toy.features("dev") == 0
    main(toy.decode())
    assert done_already(toy.decode(), capsys)
    if what == "sound":
        replace_sound(toy, "toy-dev00")
        assert toy.features("dev") == 0
    elif what == "transcript":
        lines = (dev / "text").read_text().splitlines()
        (dev / "text").write_text("\n".join([f"{lines[0].split()[0]} cab", *lines[1:]]) + "\n")
    elif what == "channel":
        table = dev / "reco2file_and_channel"
        table.write_text(table.read_text().replace(" A", " B"))
        assert toy.features("dev") == 0
    else:
        (archive,) = (dev / "feats").glob("*.ark")
        content = archive.read_bytes()
        shutil.copy(archive, toy.root / "kaldi.ark")
        scp = (dev / "feats.scp").read_text()
        (dev / "feats.scp").write_text(re.sub(r" \S+:", f" {toy.root}/kaldi.ark:", scp))
        main(toy.decode())
        assert done_already(toy.decode(), capsys)
        (toy.root / "kaldi.ark").write_bytes(content[:-4] + np.float32(3).tobytes())
    assert not done_already(toy.decode(), capsys)
    assert done_already(toy.decode(), capsys)


@pytest.mark.parametrize("what", ["seed", "epochs", "weights", "normalisation"])
def test_another_network_behind_the_same_link_decodes(
    what: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    main(toy.decode())
    assert done_already(toy.decode(), capsys)
    model = (toy.root / "m").resolve()
    if what == "seed":
        assert main(toy.training("train", "--link", toy.root / "m", "--seed", "2")) == 0
    elif what == "epochs":
        more = ["--set", "train.epochs=2"]
        assert main(toy.training("train", "--link", toy.root / "m", *more)) == 0
    elif what == "weights":
        (weights,) = model.glob("epoch-*.safetensors")
        content = bytearray(weights.read_bytes())
        content[-2] ^= 1
        weights.write_bytes(content)
    else:
        content = bytearray((model / "cmvn.ark").read_bytes())
        content[-90] ^= 1
        (model / "cmvn.ark").write_bytes(content)
    assert not done_already(toy.decode(), capsys)
    assert done_already(toy.decode(), capsys)


def test_another_language_model_behind_the_same_link(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    (toy.root / "lm.yaml").write_text(
        "model: {kind: awd_lstm, num_layers: 2, hidden_size: 6, embedding_size: 5}\n"
        "language_model: {batch: 2, dev_batch: 1, bptt: 5}\n"
        "train: {epochs: 1, metric: loss, optimizer: {lr: 0.01}}\n"
    )
    text = ["--train", str(toy.data / "train"), "--dev", str(toy.data / "dev"), "--out", str(toy.root / "lm")]
    assert main(["prepare", "lm-text", "--tokens", str(toy.data / "tokens.txt"), *text]) == 0
    words, lines = toy.root / "lm" / "units.txt", toy.root / "lm" / "train.txt"

    def train(seed: int) -> None:
        options = {"train": lines, "dev": lines, "tokens": words, "exp": toy.root / "lm_exp"}
        arguments = [word for name, path in options.items() for word in (f"--{name}", str(path))]
        more = ["--config", str(toy.root / "lm.yaml"), "--seed", str(seed), "--link", str(toy.root / "lm_m")]
        assert main(["train", *arguments, *more]) == 0

    def decode(weight: float) -> list[str]:
        settings = ["method=joint_beam", "ctc_weight=1.0", f"lm={toy.root / 'lm_m'}", f"lm_weight={weight}"]
        more = [word for setting in settings for word in ("--set", f"decode.{setting}")]
        return toy.decode("--config", toy.config, *more)

    train(1)
    assert not done_already(decode(0.5), capsys)
    assert done_already(decode(0.5), capsys)
    train(2)
    assert not done_already(decode(0.5), capsys)
    assert done_already(decode(0.5), capsys)
    # Without a weight nothing asks it.
    assert not done_already(decode(0.0), capsys)
    train(1)
    assert done_already(decode(0.0), capsys)


def test_two_sets_with_one_name_and_a_data_directory_as_target(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(toy.data / "dev", toy.root / "other" / "dev")
    before = (toy.data / "dev" / "text").read_text()
    for more in (toy.root / "other" / "dev", f"{toy.data}/dev/", f"{toy.data}/train/../dev"):
        message = error_of(toy.decode(more), capsys)
        assert "the transcripts of both would go to dev" in message
    assert not (toy.root / "out").exists()
    over = ["decode", str(toy.data / "dev"), "--model", str(toy.root / "m"), "--out", str(toy.data)]
    assert "a data directory, whose transcripts would be overwritten" in error_of(over, capsys)
    assert (toy.data / "dev" / "text").read_text() == before


# --- settings of the features ------------------------------------------------------------------------

OTHERS = [
    ("features.fbank.low_freq=300", "features.fbank.low_freq 20.0 on disk, 300.0 in the configuration"),
    ("features.fbank.preemphasis=0.5", "features.fbank.preemphasis 0.97 on disk, 0.5 in the configuration"),
    (
        "features.fbank.sample_rate=16000",
        "features.fbank.sample_rate 8000 on disk, 16000 in the configuration",
    ),
    ("features.fbank.num_mels=30", "features.fbank.num_mels 20 on disk, 30 in the configuration"),
    ("features.deltas=1", "features.deltas 0 on disk, 1 in the configuration"),
]


@pytest.mark.parametrize(("setting", "message"), OTHERS)
@pytest.mark.parametrize("command", ["train", "topdown"])
def test_a_configuration_with_other_features_trains_nothing(
    command: str, setting: str, message: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((toy.root / "exp" / "nodes").iterdir())
    error = error_of(toy.training(command, "--set", setting), capsys)
    assert message in error
    assert f"{toy.data}/" in error
    assert sorted((toy.root / "exp" / "nodes").iterdir()) == before


@pytest.mark.parametrize("part", ["train", "dev"])
def test_one_set_with_other_features_is_enough(
    part: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy.features(part, settings=("features.fbank.low_freq=300",)) == 0
    error = error_of(toy.training("train"), capsys)
    assert f"{toy.data / part}: features.fbank.low_freq 300.0 on disk, 20.0 in the configuration" in error
    toy.features(part)
    assert main(toy.training("train")) == 0
    assert len(list((toy.root / "exp" / "nodes").iterdir())) == 1  # the sound is the same


def test_features_of_joint_data_are_compared(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(toy.data / "train", toy.data / "part")
    assert toy.features("part", settings=("features.fbank.window=hamming",)) == 0
    more = ["--set", "schedule.search=subset_scan", "--joint-data", str(toy.data / "part")]
    error = error_of(toy.training("topdown", *more), capsys)
    assert f"{toy.data / 'part'}: features.fbank.window hamming on disk, povey in the configuration" in error


@pytest.mark.parametrize(("setting", "message"), OTHERS)
def test_decode_compares_with_the_models_configuration(
    setting: str, message: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    if "sample_rate" in setting:
        for wav in (toy.root / "sound").glob("*dev*.wav"):
            sound, _ = soundfile.read(wav)
            soundfile.write(wav, np.repeat(sound, 2), 16000, subtype="PCM_16")
    assert toy.features("dev", settings=(setting,)) == 0
    error = error_of(toy.decode(), capsys)
    name, ours, _, theirs = re.match(r"(\S+) (\S+) on disk, ()(\S+) in", message).groups()  # type: ignore[union-attr]
    assert f"{name} {theirs} on disk, {ours} in the configuration" in error
    assert str(toy.root / "m" / "config.yaml") in error


# --- sound, and a study that runs meanwhile --------------------------------------------------------------


@pytest.mark.parametrize("part", ["train", "dev"])
def test_other_sound_is_another_training(part: str, toy: Toy) -> None:
    replace_sound(toy, f"toy-{part}00")
    assert toy.features("train", "dev") == 0
    assert main(toy.training("train")) == 0
    assert len(list((toy.root / "exp" / "nodes").iterdir())) == 2


@pytest.mark.parametrize("what", ["features", "transcripts", "units", "statistics"])
@pytest.mark.parametrize("pickled", [True, False])
def test_data_that_change_under_a_study_are_refused(what: str, pickled: bool, toy: Toy) -> None:
    from asr_topdown import config as configuration

    tokens = toy.data / "tokens.txt"
    loaded = configuration.load(toy.config)
    experiment = Experiment(loaded, toy.data / "train", toy.data / "dev", tokens)
    node = experiment.joint(7)
    job = pickle.dumps(experiment)
    if what == "features":
        replace_sound(toy, "toy-train00")
        assert toy.features("train", "dev") == 0
    elif what == "transcripts":
        text = toy.data / "train" / "text"
        text.write_text(text.read_text().replace(" a", " b", 1))
    elif what == "units":
        Vocabulary.build(["abcd"], "char").save(tokens)
    else:
        (toy.data / "train" / "cmvn.ark").write_bytes((toy.root / "m" / "cmvn.ark").read_bytes()[::-1])
    later = pickle.loads(job) if pickled else experiment
    store = Store(toy.root / "exp")
    with pytest.raises(ValueError, match="belongs to another configuration or to other data than these"):
        run_node(node, later, store)
    assert store.outcome(node) is None


# --- units -----------------------------------------------------------------------------------------------


def test_the_units_of_another_language_are_refused(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    Vocabulary.build(["где моя тетрадь"], "char").save(toy.data / "tokens.txt")
    for command in ("train", "topdown"):
        error = error_of(toy.training(command, *(["--seed", "5"] if command == "train" else [])), capsys)
        assert f"{toy.data}/train/text: 100 % of its characters are not in {toy.data}/tokens.txt" in error
        assert "are these the units of another language? Unknown: " in error
        assert re.search(r"a \(\d+\)", error)


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_what_becomes_unknown_is_said(
    kind: str, toy: Toy, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    text = toy.data / "dev" / "text"
    lines = text.read_text().splitlines()
    text.write_text("\n".join([f"{lines[0].split()[0]} abé", *lines[1:]]) + "\n")
    known = [line.split()[1] for line in [*lines, *(toy.data / "train" / "text").read_text().splitlines()]]
    Vocabulary.build(known, kind, 12).save(toy.data / "tokens.txt")  # type: ignore[arg-type]
    units = ["--set", f"text.unit={kind}", "--set", "text.vocab_size=12"]
    assert main(toy.training("train", *units)) == 0
    said = caplog.text + capsys.readouterr().err
    unit = {"char": "é (1)", "word": "abé (1)", "bpe": "é (1)"}[kind]
    assert re.search(rf"{text}: [\d.]+ % of its \w+ are not in .* and become <unk>: {re.escape(unit)}", said)
    assert f"{toy.data}/train/text" not in said


def test_what_counts_as_unknown() -> None:
    char = Vocabulary.build(["ab <NOISE>"], "char")
    assert unknown_units(["aé b", "<NOISE> <unk>", "éü <LAUGH>"], char) == ({"é": 2, "ü": 1, "<LAUGH>": 1}, 7)
    word = Vocabulary.build(["ab"], "word")
    assert unknown_units(["ab abc abc"], word) == ({"abc": 2}, 3)
    bpe = Vocabulary.build(["abab abba <NOISE>"] * 4, "bpe", 8)
    assert unknown_units(["abé é <NOISE>", "baba"], bpe) == ({"é": 2}, 9)


@pytest.mark.parametrize("tag", ["my study", "../other", "", ".hidden", "a/b"])
def test_a_name_that_cannot_be_a_file_is_refused_first(
    tag: str, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((toy.root / "exp" / "nodes").iterdir())
    assert f"tag {tag!r}: use letters" in error_of(toy.training("topdown", "--results", tag), capsys)
    assert sorted((toy.root / "exp" / "nodes").iterdir()) == before


def test_a_folder_of_models_names_them(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    wav = str(toy.root / "sound" / "toy-dev00.wav")
    (node,) = (toy.root / "exp" / "nodes").iterdir()
    for folder in (toy.root, toy.root / "exp"):
        error = error_of(["transcribe", str(folder), wav], capsys)
        assert f"{folder}: not a finished model (no done.json); below it are {node}" in error
    links = toy.root / "exp" / "models"
    links.mkdir()
    for seed in range(8):
        (links / f"final_seed{seed}").symlink_to(node)
    error = error_of(["transcribe", str(toy.root / "exp"), wav], capsys)
    assert f"below it are {links}/final_seed0, {links}/final_seed1, " in error
    assert error.endswith("final_seed4, ...")
    assert "below it" not in error_of(["transcribe", str(toy.data), wav], capsys)


def test_a_copied_link_is_told_from_a_folder_that_is_no_model(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cp -r exp/a/models/joint_seed1 sent` copies the link, which is relative: it leads nowhere."""
    (node,) = (toy.root / "exp" / "nodes").iterdir()
    sent = toy.root / "sent"
    sent.symlink_to(f"../nodes/{node.name}")
    said = f"error: {sent}: a link to ../nodes/{node.name}, which is not there (`cp -rL` copies a network"
    assert said in error_of(["transcribe", str(sent), "a.wav"], capsys)
    assert said in error_of(toy.training("train", "--init", sent), capsys)


def test_decoding_networks_of_no_study_names_what_can_be_decoded(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(["decode", str(toy.data / "dev"), "--exp", str(toy.root / "exp")], capsys)
    assert error.endswith(
        "/exp: no results; run `asr-topdown topdown` first, or decode one network with --model"
    )


def test_a_link_that_cannot_be_made_is_refused_first(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((toy.root / "exp" / "nodes").iterdir())
    error = error_of(toy.training("train", "--seed", "9", "--link", toy.data), capsys)
    assert f"{toy.data}: there, and not a symbolic link" in error
    assert sorted((toy.root / "exp" / "nodes").iterdir()) == before


def test_a_models_own_settings_may_be_changed_one_by_one(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not done_already(toy.decode(), capsys)
    beam = ["--set", "decode.method=prefix_beam", "--set", "decode.beam=3"]
    assert not done_already(toy.decode(*beam), capsys)
    recorded = json.loads((toy.root / "out" / "dev" / "result.json").read_text())["decode"]
    assert (recorded["method"], recorded["beam"]) == ("prefix_beam", 3)
    assert done_already(toy.decode(*beam), capsys)
    error = error_of(toy.decode("--set", "train.epochs=3"), capsys)
    assert "--set train.epochs=3: without --config only decode.KEY=VALUE" in error
