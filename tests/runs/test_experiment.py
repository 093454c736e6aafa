"""The names of an experiment's trainings: golden values, and what they are made of."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr_topdown import config as configuration
from asr_topdown.features import ark
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.runs.experiment import Experiment
from asr_topdown.text import Vocabulary

# Of version 2 (`config.identity.IDENTITY`): they change when it is raised, and at no other time.
ID, TRAIN_SET, JOINT = "a6d5a0f98e37f0d2", "469b33e3acbdfaaf", "0a6de2b4093c19f0"


def write_data(folder: Path, utterances: int) -> Path:
    folder.mkdir(parents=True)
    names = [f"ann-{number}" for number in range(utterances)]
    feats = {name: np.arange(8, dtype=np.float32).reshape(2, 4) + i for i, name in enumerate(names)}
    with open(folder / "feats.ark", "wb") as file:
        places = {
            name: f"{folder}/feats.ark:{ark.save(file, name, values)}" for name, values in feats.items()
        }
    tables = {"feats.scp": places, "utt2num_frames": dict.fromkeys(names, 2)}
    tables |= {"text": dict.fromkeys(names, "ab"), "utt2spk": dict.fromkeys(names, "ann")}
    for name, table in tables.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    Cmvn.of(feats.values()).save(folder / "cmvn.ark")
    return folder


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    train, dev = write_data(tmp_path / "train", 3), write_data(tmp_path / "dev", 2)
    Vocabulary.build(["ab"], "char").save(tmp_path / "tokens.txt")
    config = configuration.parse({"features": {"fbank": {"num_mels": 4}}, "train": {"epochs": 7}})
    return Experiment(config, train, dev, tmp_path / "tokens.txt")


def test_golden_names(experiment: Experiment) -> None:
    assert (experiment.id, experiment.train_set, experiment.joint(1).id) == (ID, TRAIN_SET, JOINT)


def test_neither_paths_nor_what_only_runs_are_in_a_name(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = {
        name: getattr(experiment, name).rename(tmp_path / "elsewhere" / f"{name}_too")
        for name in ("train", "dev", "tokens")
    }
    for scp in (tmp_path / "elsewhere").glob("*/feats.scp"):
        lines = (line.split()[0] for line in scp.read_text().splitlines())
        places = (line.rpartition(":")[2] for line in scp.read_text().splitlines())
        pairs = zip(lines, places, strict=True)
        scp.write_text("".join(f"{name} {scp.parent}/feats.ark:{place}\n" for name, place in pairs))
    config = configuration.parse(
        experiment.config.model_dump(mode="json"), ["run.threads=4", "decode.beam=3", "schedule.seeds=[5]"]
    )
    there = replace(experiment, config=config, device="cuda", **moved)
    assert (there.id, there.train_set, there.joint(1).id) == (ID, TRAIN_SET, JOINT)


@pytest.mark.parametrize(
    "what", ["setting", "train", "dev", "transcript", "units", "statistics", "seed", "epochs"]
)
def test_whatever_decides_is_in_a_name(what: str, experiment: Experiment, tmp_path: Path) -> None:
    node = experiment.joint(2 if what == "seed" else 1)
    if what in ("setting", "epochs"):
        setting = {"setting": "train.optimizer.lr=0.5", "epochs": "train.epochs=8"}[what]
        config = configuration.parse(experiment.config.model_dump(mode="json"), [setting])
        node = replace(experiment, config=config).joint(1)
    elif what in ("train", "dev"):
        archive = tmp_path / what / "feats.ark"
        archive.write_bytes(archive.read_bytes()[:-4] + np.float32(99).tobytes())
        node = replace(experiment).joint(1)
    elif what == "transcript":
        (tmp_path / "train" / "text").write_text("ann-0 ab\nann-1 ba\nann-2 ab\n")
        node = replace(experiment).joint(1)
    elif what == "units":
        Vocabulary.build(["abc"], "char").save(tmp_path / "tokens.txt")
        node = replace(experiment).joint(1)
    elif what == "statistics":
        Cmvn.of([np.ones((3, 4), np.float32)]).save(tmp_path / "train" / "cmvn.ark")
        node = replace(experiment).joint(1)
    assert node.id != JOINT


def test_missing_statistics_are_said_to_come_from_features(experiment: Experiment, tmp_path: Path) -> None:
    """As in what `data subset` makes."""
    (tmp_path / "train" / "cmvn.ark").unlink()
    file = tmp_path / "train" / "cmvn.ark"
    with pytest.raises(
        FileNotFoundError, match=f"^{file}: no such file; run `asr-topdown features {tmp_path}"
    ):
        _ = experiment.id
    given = configuration.parse({"features": {"kind": "given", "dim": 4}})
    with pytest.raises(FileNotFoundError, match="train --config FILE --out DIR`, which writes"):
        _ = replace(experiment, config=given).id
    with pytest.raises(FileNotFoundError, match=r"model/cmvn\.ark: no such file$"):
        replace(experiment, cmvn_source=tmp_path / "model").cmvn()


def test_transcripts_are_checked_as_they_are_trained_on(experiment: Experiment) -> None:
    """Letters in two parts were unknown, and Korean, of which all are, "the units of another language"."""
    said = "\ud55c\uad6d \uc5b4"
    Vocabulary.build([said], "char").save(experiment.tokens)
    for folder, form in ((experiment.train, "NFD"), (experiment.dev, "NFC")):
        text = unicodedata.normalize(form, (folder / "text").read_text().replace("ab", said))
        (folder / "text").write_text(text, encoding="utf-8")
    (told,) = experiment.check()
    assert told.startswith(f"{experiment.dev}: 2 of 2 utterances are in {experiment.train}, too")
