"""Studies from the configuration to the results, with real trainings of a tiny network."""

import functools
import random
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest

from asr_topdown import config as configuration
from asr_topdown.bin import main
from asr_topdown.corpora import nested
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store
from asr_topdown.schedule.search import Result
from asr_topdown.study import driver as dispatch
from asr_topdown.study.build import run_one_of, searches_of
from asr_topdown.text import Vocabulary


def write_data(folder: Path, count: int, seed: int, letters: str) -> Path:
    """Utterances over some letters, each of which is four frames of its own dimension."""
    generator, noise = random.Random(seed), np.random.default_rng(seed)
    folder.mkdir(parents=True)
    text, feats, frames = {}, {}, {}
    for index in range(count):
        name = f"spk-{index:03}"
        said = [generator.choice(letters) for _ in range(generator.randrange(2, 5))]
        matrix = noise.normal(0, 0.3, (4 * len(said), 4)).astype(np.float32)
        for position, letter in enumerate(said):
            matrix[4 * position : 4 * position + 3, letters.index(letter)] += 2
        text[name], feats[name], frames[name] = "".join(said), matrix, len(matrix)
    kaldiio.save_ark(str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"))
    speakers = dict.fromkeys(text, "spk")
    wavs = {name: f"{folder / name}.wav" for name in text}
    tables = {"text": text, "utt2num_frames": frames, "utt2spk": speakers, "wav.scp": wavs}
    for name, table in {**tables, "spk2utt": {"spk": " ".join(sorted(text))}}.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in sorted(table.items())))
    Cmvn.of(feats.values()).save(folder / "cmvn.ark")
    return folder


def make_experiment(
    root: Path, schedule: dict[str, Any], *, mels: int = 4, letters: str = "abc"
) -> Experiment:
    if not root.exists():
        write_data(root / "train", 40, 1, letters)
        write_data(root / "dev", 8, 2, letters)
        Vocabulary.build([letters], "char").save(root / "tokens.txt")
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": mels}},
            "model": {"layers": 2, "cells": 4},
            "train": {
                "epochs": 2,
                "patience": 0,
                "metric": "loss",
                "optimizer": {"lr": 0.02},
            },
            "run": {"keep_epochs": "all"},
            "schedule": {"controls": [], **schedule},
        }
    )
    return Experiment(config, root / "train", root / "dev", root / "tokens.txt")


def run_study(experiment: Experiment, store: Store, **options: Any) -> list[Result]:
    data = options.get("joint_data", [])
    experiments = [
        experiment,
        *(Experiment(experiment.config, one, experiment.dev, experiment.tokens) for one in data),
    ]
    train = functools.partial(run_one_of, experiments=experiments, store=store)
    with dispatch.local(train, 1) as submit:
        return dispatch.drive(searches_of(experiment, store, **options), submit, store=store)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("exp"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "abc"


def test_scans_over_subsets_and_epochs(data: Path, store: Store) -> None:
    whole = make_experiment(data, {"search": "subset_scan", "subset_scan": {"classifier": 1, "repeats": 2}})
    parts = nested.prepare(data, source=whole.train, percent=[20, 80])
    subsets, unseen = [part.path for part in parts[:-1]], parts[-1].path
    rest = Experiment(whole.config, unseen, whole.dev, whole.tokens)
    (result,) = run_study(rest, store, joint_data=subsets)
    assert [step.point for step in result.steps[:2]] == [
        {"subset": "train_p20", "utterances": 8, "percent": 20.0},
        {"subset": "train_p80", "utterances": 32, "percent": 80.0},
    ]
    assert len(result.steps) == 2 * (1 + 2)
    for step in result.steps:
        node = store.node(step.node)
        assert (node.train_set == rest.train_set) == ("repeat" in step.point)
    scan = {"search": "epoch_scan", "epoch_scan": {"classifier": 1, "joint_epochs": 3}}
    rest = Experiment(make_experiment(data, scan).config, unseen, whole.dev, whole.tokens)
    (result,) = run_study(rest, store, joint_data=subsets)
    assert [step.point.get("p") for step in result.steps] == [None, 1, 2, 3]
    assert [store.node(step.node).epochs for step in result.steps] == [3, 2, 2, 2]
    with pytest.raises(ValueError, match="--joint-data"):
        run_study(make_experiment(data, {"search": "subset_scan", "subset_scan": {"classifier": 1}}), store)


def test_depth_sweep_from_another_corpus(data: Path, store: Store, tmp_path: Path) -> None:
    there = make_experiment(data, {"search": "greedy"})
    store.save_results("abc", run_study(there, store))
    sweep = {"search": "depth_sweep", "source": "abc"}
    here = make_experiment(tmp_path / "wxyz", sweep, letters="wxyz")
    other = Store(tmp_path / "exp", [store.root])
    (result,) = run_study(here, other, source_store=store)
    roles = [step.role for step in result.steps]
    assert roles == [
        "joint",
        "bottom 1 reinit",
        "bottom 2 reinit",
        "bottom 1 keep",
        "bottom 2 keep",
        "none 0 keep",
    ]
    for step in result.steps[1:]:
        assert store.node_dir(other.node(step.node).parent.node).is_dir()
    wide = make_experiment(tmp_path / "wide", sweep, mels=5)
    with pytest.raises(ValueError, match=r"features\.fbank\.num_mels is 4 there and 5 here"):
        searches_of(wide, other, source_store=store)


def test_halving_and_the_exhaustive_search_share_a_study(data: Path, store: Store) -> None:
    chosen = {
        "search": ["exhaustive", "halving"],
        "halving": {"budget": 1},
        "controls": ["scratch", "random_top"],
    }
    results = run_study(make_experiment(data, chosen), store)
    assert [result.search for result in results] == ["exhaustive", "halving", "scratch", "random_top"]
    assert len(results[0].steps) == 4
    assert len(results[2].steps) == 4


def test_the_command_tells_and_trains(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make_experiment(data, {"search": "exhaustive"})
    (tmp_path / "conf.yaml").write_text(configuration.dump(experiment.config))
    command = ["topdown", "--config", str(tmp_path / "conf.yaml"), "--train", str(experiment.train)]
    command += [
        "--dev",
        str(experiment.dev),
        "--tokens",
        str(experiment.tokens),
        "--exp",
        str(tmp_path / "e"),
    ]
    command += ["--workers", "1"]
    assert main.main([*command, "--dry-run", "--seconds-per-epoch", "60"]) == 0
    told = capsys.readouterr().out
    assert "1 trainings known: 0 finished, 1 to do; 3 more will follow" in told
    assert "time: 8.0 min on 1 workers, at 60.00 s an epoch" in told
    assert main.main(command) == 0
    capsys.readouterr()
    assert main.main([*command, "--dry-run"]) == 0
    assert "4 trainings known: 4 finished, 0 to do; 0 more will follow" in capsys.readouterr().out
