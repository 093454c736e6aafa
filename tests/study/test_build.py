"""Studies from the configuration to the results, with real trainings of a tiny network."""

import dataclasses
import functools
import re
import shutil
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from toy_data import write_data, write_nested

from asr_topdown import config as configuration
from asr_topdown.bin import main
from asr_topdown.config.train import AverageConfig
from asr_topdown.engines.local import InProcess
from asr_topdown.report.page import write_report
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Outcome
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.searches import joint_node, step_name
from asr_topdown.schedule.spec import Only
from asr_topdown.schedule.subset_scan import SubsetScanPoint
from asr_topdown.study.build import check_first, searches_of
from asr_topdown.study.driver import SearchError, drive, submitter
from asr_topdown.study.links import link_models
from asr_topdown.study.sources import models_of, sources_of
from asr_topdown.study.worker import train_node
from asr_topdown.text import Vocabulary
from asr_topdown.train.metrics import read_metrics
from asr_topdown.weights import load_weights, model_weights, weights_hash


def make_experiment(
    root: Path,
    schedule: dict[str, Any],
    *,
    mels: int = 4,
    letters: str = "abc",
    model: dict[str, Any] | None = None,
) -> Experiment:
    if not root.exists():
        write_data(root / "train", 40, 1, letters=letters, dim=mels, longest=4)
        write_data(root / "dev", 8, 2, letters=letters, dim=mels, longest=4)
        Vocabulary.build([letters], "char").save(root / "tokens.txt")
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": mels}},
            "model": model or networks.blstm_ctc(2, 4),
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
    data = [*options.get("joint_data", []), *options.get("parts", [])]
    experiments = [
        experiment,
        *(Experiment(experiment.config, one, experiment.dev, experiment.tokens) for one in data),
    ]
    train = functools.partial(train_node, experiments=experiments, store=store)
    check_first(searches_of(experiment, store, **options), experiment, store)
    return drive(searches_of(experiment, store, **options), submitter(InProcess(), train), store=store)


def names(result: Result) -> list[str]:
    return [step_name(result.search, step) for step in result.steps]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("exp"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "abc"


def test_scans_over_subsets_and_epochs(data: Path, store: Store) -> None:
    whole = make_experiment(data, {"search": "subset_scan", "subset_scan": {"top_blocks": 1, "repeats": 2}})
    parts = write_nested(data, whole.train, percent=[20, 80])
    subsets, unseen = [part.path for part in parts[:-1]], parts[-1].path
    rest = Experiment(whole.config, unseen, whole.dev, whole.tokens)
    (result,) = run_study(rest, store, joint_data=subsets)
    assert [step.point for step in result.steps[:2]] == [
        SubsetScanPoint("train_p20", 8, 20.0),
        SubsetScanPoint("train_p80", 32, 80.0),
    ]
    assert len(result.steps) == 2 * (1 + 2)
    for step in result.steps:
        node = store.node(step.node)
        assert (node.train_set == rest.train_set) == bool(step.point.repeat)
    scan = {"search": "epoch_scan", "epoch_scan": {"top_blocks": 1, "joint_epochs": 3}}
    rest = Experiment(make_experiment(data, scan).config, unseen, whole.dev, whole.tokens)
    (result,) = run_study(rest, store, joint_data=subsets)
    assert [step.point and step.point.epoch for step in result.steps] == [None, 1, 2, 3]
    # Stage 3 of a recipe, `--search joint`, trains what this study begins with, not what `train` says alone.
    (joint,) = run_study(rest, store, joint_data=subsets, names=("joint",))
    assert [step.node for step in joint.steps] == [result.steps[0].node]
    assert [store.node(step.node).epochs for step in result.steps] == [3, 2, 2, 2]
    with pytest.raises(ValueError, match="--joint-data"):
        run_study(make_experiment(data, {"search": "subset_scan", "subset_scan": {"top_blocks": 1}}), store)


def test_depth_sweep_from_another_corpus(data: Path, store: Store, tmp_path: Path) -> None:
    there = make_experiment(data, {"search": "greedy"})
    store.save_results("abc", run_study(there, store))
    sweep = {"search": "depth_sweep", "source": "abc"}
    here = make_experiment(tmp_path / "wxyz", sweep, letters="wxyz")
    other = Store(tmp_path / "exp", [store.root])
    (result,) = run_study(here, other, source_store=store)
    assert names(result) == [
        "joint",
        "lowest block frozen, the rest re-initialised, from abc (joint), softmax new",
        "lowest 2 blocks frozen, the rest re-initialised, from abc (joint), softmax new",
        "lowest block frozen, the rest trained on, from abc (joint), softmax new",
        "lowest 2 blocks frozen, the rest trained on, from abc (joint), softmax new",
        "nothing frozen, all layers trained on, from abc (joint), softmax new",
    ]
    for step in result.steps[1:]:
        assert store.node_dir(other.node(step.node).parent.node).is_dir()
    # What does not fit is refused before anything is trained.
    wide = make_experiment(tmp_path / "wide", sweep, mels=5)
    empty = Store(tmp_path / "nothing", [store.root])
    with pytest.raises(ValueError, match=r"features\.fbank\.num_mels is 4 there and 5 here"):
        run_study(wide, empty, source_store=store)
    big = make_experiment(tmp_path / "big", sweep, model=networks.blstm_ctc(2, 5))
    with pytest.raises(
        ValueError, match=r"layer 'blstm\.0': .* is \(20, 4\) here and \(16, 4\) in the parent"
    ):
        run_study(big, empty, source_store=store)
    same_letters = {**sweep, "depth_sweep": {"fresh": []}}
    with pytest.raises(ValueError, match="the units of its parent"):
        run_study(make_experiment(tmp_path / "wxyz", same_letters), empty, source_store=store)
    assert empty.nodes() == []


def test_a_models_folder_is_a_source(
    data: Path, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same layers as by the study's tag, under another name: that of the weights."""
    there = make_experiment(data, {"search": "greedy"})
    (of_there,) = run_study(there, store)
    store.save_results("abc", [of_there])
    joint = store.node_dir(of_there.steps[0].node)
    sent = tmp_path / "sent" / "joint_seed1"
    shutil.copytree(joint, sent)
    link = tmp_path / "link"
    link.symlink_to(sent)
    by_folder = []
    for folder in (sent, link):
        sweep = {"search": "depth_sweep", "source": str(folder), "seeds": [1, 2]}
        sweep["depth_sweep"] = {"starts": ["keep"]}
        here = make_experiment(tmp_path / "wxyz", sweep, letters="wxyz")
        exp = tmp_path / f"of_{folder.name}"
        own = Store(exp / "e", models=models_of(here.config.schedule, store))
        by_folder.append(run_study(here, own, source_store=store))
        capsys.readouterr()
        assert main.main([*command(here, exp), "--source-exp", str(store.root), "--dry-run"]) == 0
        assert "8 trainings known: 8 finished, 0 to do; 0 more will follow" in capsys.readouterr().out
    nodes = [[step.node for result in results for step in result.steps] for results in by_folder]
    assert nodes[0] == nodes[1]
    first_arm = names(by_folder[0][0])[1]
    assert first_arm == "lowest block frozen, the rest trained on, from joint_seed1, softmax new"
    sweep["source"] = "abc"
    by_tag = Store(tmp_path / "tag", [store.root])
    sweep["seeds"] = [1]
    (tagged,) = run_study(
        make_experiment(tmp_path / "wxyz", sweep, letters="wxyz"), by_tag, source_store=store
    )
    for step, other in zip(by_folder[0][0].steps[1:], tagged.steps[1:], strict=True):
        first, second = own.node(step.node), by_tag.node(other.node)
        assert dataclasses.replace(first, parent=second.parent) == second
        assert first.parent.node == second.parent.node == joint.name
        (best,) = sent.glob(f"epoch-{first.parent.epoch}.safetensors")
        assert (first.parent.weights, second.parent.weights) == (weights_hash(best), None)
        assert step.error == other.error
    # Of each seed the layers are the same model's.
    assert {own.node(step.node).parent for step in by_folder[0][1].steps[1:]} == {first.parent}


def test_depth_by_data_by_arm_in_one_study(data: Path, store: Store, tmp_path: Path) -> None:
    """From a model's folder, on all and part of the data: the rivals' effects, on real trainings."""
    (of_there,) = run_study(make_experiment(data, {"search": "joint"}), store)
    model = store.node_dir(of_there.final)
    sweep = {
        "search": "depth_sweep",
        "source": str(model),
        "depth_sweep": {
            "starts": ["keep"],
            "rivals": [{"layer_decay": 0.5}, {"freeze_steps": 1000}, {"parameters": "norms_and_biases"}],
            "renew_top": True,
        },
    }
    here = make_experiment(tmp_path / "wxyz", sweep, letters="wxyz")
    (part, _) = write_nested(tmp_path / "parts", here.train, percent=[25])
    own = Store(tmp_path / "exp", models=models_of(here.config.schedule, store))
    (result,) = run_study(here, own, parts=[part.path], source_store=store)
    arms = [
        "lowest block frozen, the rest trained on",
        "lowest 2 blocks frozen, the rest trained on",
        "nothing frozen, all layers trained on",
        "nothing frozen, all layers trained on (rates × 0.5 from layer to layer)",
        "nothing frozen, all layers trained on (held for 1000 steps)",
        "nothing frozen, all layers trained on (norms and biases only)",
        "nothing frozen, upper 2 blocks new, the rest trained on",
    ]
    arms = [f"{arm}, from {model.name}, softmax new" for arm in arms]
    on_part = [f"{arm}, on 25 % of the data" for arm in ["from scratch", *arms]]
    assert names(result) == ["joint", *arms, *on_part]
    nodes = [own.node(step.node) for step in result.steps]
    assert {node.train_set for node in nodes[: len(arms) + 1]} == {here.train_set}
    assert here.train_set not in {node.train_set for node in nodes[len(arms) + 1 :]}
    outcomes = [outcome_of(own, step.node) for step in result.steps]
    trained = {
        name: one.metrics["trainable_parameters"] for name, one in zip(names(result), outcomes, strict=True)
    }
    assert trained[arms[0]] < trained[arms[2]] == trained[arms[3]] == trained[arms[4]] == trained["joint"]
    assert trained[arms[5]] < trained[arms[0]]
    before = load_weights(model_weights(model, outcome_of(store, model.name).best_epoch))
    held = load_weights(model_weights(own.node_dir(nodes[5]), outcomes[5].best_epoch))
    assert {key for key in held if not torch.equal(held[key], before[key])} == {
        key for key in held if key.startswith("heads")
    }
    # All is found again, and nothing of it is trained twice.
    assert run_study(here, own, parts=[part.path], source_store=store) == [result]
    assert len(own.nodes()) == len(result.steps)


def outcome_of(store: Store, node: str) -> Outcome:
    outcome = store.outcome(store.node(node))
    assert outcome is not None
    return outcome


def test_parts_that_cannot_be(data: Path, store: Store) -> None:
    sweep = make_experiment(data, {"search": "depth_sweep"})
    with pytest.raises(ValueError, match=r"--parts .*/train: 40 utterances are no part of 40"):
        searches_of(sweep, store, parts=[sweep.train])
    # A recipe's --subset unseen --sweep-parts p25: it was shown as "33.3 % of the data".
    part, unseen = write_nested(data / "parts", sweep.train, percent=[25])
    rest = dataclasses.replace(sweep, train=unseen.path)
    first = min(part.text)
    with pytest.raises(ValueError, match=rf"_p25: no part of .*, which has not 10 of its 10 .*\({first}, "):
        searches_of(rest, store, parts=[part.path])
    with pytest.raises(ValueError, match="--parts is for depth_sweep"):
        searches_of(make_experiment(data, {"search": "greedy"}), store, parts=[sweep.train])


@pytest.mark.parametrize(("search", "option"), [("subset_scan", "joint_data"), ("depth_sweep", "parts")])
def test_data_that_results_cannot_tell_apart_are_refused(
    search: str, option: str, data: Path, tmp_path: Path
) -> None:
    """Of one name, the last one's trainings stood for all; of one share, tables and figures mixed them."""
    own = make_experiment(data, {"search": search})
    paths = [tmp_path / name for name in ("a/p20", "b/p20", "b/p21")]
    for path, seed in zip(paths, (3, 4, 5), strict=True):
        write_data(path, 8, seed)
    for two, what in ((paths[:2], "p20"), (paths[1:], "(20|16.7) % of the data")):
        options: dict[str, Any] = {option: two}
        with pytest.raises(ValueError, match=rf"{two[0]} and {two[1]} are both {what}, by which results"):
            searches_of(own, Store(tmp_path), **options)


def test_a_scan_over_data_that_its_classifiers_have_seen_is_said(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = make_experiment(data, {"search": "subset_scan", "subset_scan": {"top_blocks": 1}})
    part, unseen = write_nested(tmp_path, own.train, percent=[20])
    rest = Experiment(own.config, unseen.path, own.dev, own.tokens)
    for train in (rest, own):
        searches_of(train, Store(tmp_path), joint_data=[part.path])
    (said,) = [line for line in caplog.messages if "joint-data" in line]
    assert said.startswith(f"--joint-data {part.path}: 8 of its utterances are in --train {own.train}, too: ")


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"source": "no/such"}, "no/such: not a finished model"),
        ({"source": "nothing"}, "no results/nothing.json (there are: "),
        ({"source": "{model}", "source_network": "final"}, "is a model: source_network and source_seed"),
        ({"source": "{model}", "source_seed": 2}, "is a model: source_network and source_seed"),
        (
            {"source": "{model}", "depth_sweep": {"starts": ["rewind:1"]}},
            "a model, which is known at its best",
        ),
        ({"source": "abc", "source_seed": "next"}, "next needs at least two seeds"),
        ({"source": "abc", "source_seed": 7}, "results/abc.json has no seed 7 (there are: 1)"),
        (
            {"source": "abc", "search": ["greedy", "epoch_scan"]},
            "schedule.source: abc is for transplant and depth_sweep, no search of this study",
        ),
    ],
)
def test_sources_that_cannot_be(
    schedule: dict[str, Any], message: str, data: Path, store: Store, tmp_path: Path
) -> None:
    (of_there,) = run_study(make_experiment(data, {"search": "joint"}), store)
    store.save_results("abc", [of_there])
    schedule["source"] = schedule["source"].format(model=store.node_dir(of_there.final))
    here = make_experiment(data, {"search": "depth_sweep", **schedule})

    def first() -> None:
        own = Store(tmp_path, models=models_of(here.config.schedule, store))
        check_first(searches_of(here, own, source_store=store), here, own)

    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        first()


def test_layers_of_another_seed(data: Path, store: Store) -> None:
    """The same study's networks, exchanged among the seeds: is one's own classifier better than any?"""
    own = run_study(make_experiment(data, {"search": "joint", "seeds": [1, 2, 3]}), store)
    store.save_results("own", own)
    joints = {result.seed: result.final for result in own}
    wanted = {"next": {1: 2, 2: 3, 3: 1}, 2: {1: 2, 2: 2, 3: 2}, "same": {1: 1, 2: 2, 3: 3}}
    for source_seed, pairs in wanted.items():
        schedule = {"search": "transplant", "source": "own", "source_seed": source_seed, "seeds": [1, 2, 3]}
        results = run_study(make_experiment(data, schedule), store)
        taken = {result.seed: store.node(result.final).parent.node for result in results}
        assert taken == {seed: joints[other] for seed, other in pairs.items()}
        (name,) = {names(result)[1] for result in results}
        whose = {"next": ", of another seed", 2: ", of seed 2", "same": ""}[source_seed]
        assert name == f"classifier frozen from own (joint{whose}), the rest trained"
        for result in results:
            first, second = (
                load_weights(model_weights(store.node_dir(node), store.outcome(store.node(node)).best_epoch))
                for node in (result.final, taken[result.seed])
            )
            assert all(torch.equal(first[key], second[key]) for key in first if key.startswith("heads"))


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


def test_going_on_after_a_worse_step_trains_what_stopping_does_not(data: Path, store: Store) -> None:
    """On real trainings: what was tried before is the same; after a worse step one search ends."""
    chosen = {"search": "greedy", "seeds": [1, 2, 3, 4], "criterion": "loss"}
    stopping = run_study(make_experiment(data, chosen), store)
    going_on = run_study(make_experiment(data, {**chosen, "greedy": {"stop_when_worse": False}}), store)
    ended_early = 0
    for short, long in zip(stopping, going_on, strict=True):
        assert len(long.steps) == 3
        assert long.steps[: len(short.steps)] == short.steps
        if short.steps[1].error > short.steps[0].error:
            ended_early += 1
            assert (len(short.steps), short.steps[1].accepted) == (2, False)
            assert store.node(long.steps[2].node).parent.node == long.steps[0].node
    assert ended_early, "no step was worse: the test shows nothing"


def test_the_classifier_may_come_from_the_epoch_of_the_lowest_loss(data: Path, store: Store) -> None:
    """On real trainings: what is frozen is of that epoch, by their records."""
    chosen = {"search": "greedy", "seeds": [7], "greedy": {"classifier_epoch": "lowest_loss"}}
    experiment = make_experiment(data, chosen)
    (result,) = run_study(experiment, store)
    for step in result.steps[1:]:
        node = store.node(step.node)
        assert node.parent is not None
        epochs = read_metrics(store.node_dir(node.parent.node) / "metrics.jsonl", "epoch")
        assert node.parent.epoch == min(epochs, key=lambda one: one["dev_loss"])["epoch"]


def test_dropout_in_frozen_layers_makes_a_difference(data: Path, store: Store) -> None:
    """Nothing but `frozen_dropout` differs, and only in what has frozen layers."""
    model = networks.blstm_ctc(2, 4, dropout=0.5)
    results = []
    for frozen_dropout in ("keep", "off"):
        chosen = {"search": "depth_sweep", "frozen_dropout": frozen_dropout, "criterion": "loss"}
        (result,) = run_study(make_experiment(data, chosen, model=model), store)
        results.append(result)
    kept, off = (dict(zip(names(one), one.steps, strict=True)) for one in results)
    free = {"joint", "nothing frozen, all layers trained on"}
    assert {name for name in kept if kept[name].node == off[name].node} == free
    # The output layer has no dropout.
    without = {name for name in kept if name.startswith("topmost block ")} | free
    assert {name for name in kept if kept[name].error == off[name].error} == without


def command(experiment: Experiment, folder: Path, *options: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "conf.yaml").write_text(configuration.dump(experiment.config))
    data = ["--train", experiment.train, "--dev", experiment.dev, "--tokens", experiment.tokens]
    words = ["topdown", "--config", folder / "conf.yaml", *data, "--exp", folder / "e", "--workers", "1"]
    return [*map(str, words), *options]


@pytest.mark.parametrize(
    ("options", "time"),
    [
        ([], "6.0 min on 9 workers"),  # three trainings follow each other
        (["--workers", "0"], "8.0 min on 1 worker"),
        (["--ddp", "2"], "8.0 min on 1 worker"),  # all processes train one network
        (["--engine", "slurm"], "6.0 min with no limit on workers"),
        (["--engine", "ray", "--workers", "1"], "8.0 min on 1 worker"),
    ],
)
def test_a_dry_run_counts_the_networks_that_are_trained_at_a_time(
    options: list[str],
    time: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(9)))
    study = command(make_experiment(data, {"search": "exhaustive"}), tmp_path)
    study = study[: study.index("--workers")]
    assert main.main([*study, *options, "--dry-run", "--seconds-per-epoch", "60"]) == 0
    assert f"time: {time}, at 60.00 s an epoch" in capsys.readouterr().out


def test_how_many_trainings_halving_makes_is_told_as_an_estimate(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_experiment(data, {"search": "halving", "halving": {"budget": 1, "epoch_stride": 2}})
    assert main.main([*command(made, tmp_path), "--dry-run"]) == 0
    assert re.search(r"1 to do; about \d+( to \d+)? more will follow\n", capsys.readouterr().out)


def test_the_command_tells_and_trains(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = command(make_experiment(data, {"search": "exhaustive"}), tmp_path)
    assert main.main([*train, "--dry-run", "--seconds-per-epoch", "60"]) == 0
    told = capsys.readouterr().out
    assert "1 trainings known: 0 finished, 1 to do; 3 more will follow" in told
    assert "time: 8.0 min on 1 worker, at 60.00 s an epoch" in told
    assert main.main([*train, "--dry-run", "--seconds-per-epoch", "60", "--workers", "9"]) == 0
    assert "time: 6.0 min on 9 workers" in capsys.readouterr().out  # three trainings follow each other
    for value in ("nan", "-1", "inf"):
        with pytest.raises(SystemExit):
            main.main([*train, "--dry-run", "--seconds-per-epoch", value])
        assert f"must be a positive number, got {value}" in capsys.readouterr().err
    assert main.main(train) == 0
    capsys.readouterr()
    assert main.main([*train, "--dry-run"]) == 0
    assert "4 trainings known: 4 finished, 0 to do; 0 more will follow" in capsys.readouterr().out
    (result,) = Store(tmp_path / "e").load_results("study")
    # What the report says of data and model comes from the trainings' folders.
    text = write_report(tmp_path / "e").read_text()
    words = len((data / "train" / "text").read_text().split()) - 40
    assert f"Trained on `train` (40 utterances, {words} words, 0.00 hours)" in text
    layers = {name: f"{size:,}" for name, size in sizes_of(data).items()}
    assert ", ".join(f"{name} {size}" for name, size in layers.items()) in text
    for name, node in (("joint", result.steps[0].node), ("final", result.final)):
        link = tmp_path / "e" / "models" / f"{name}_seed1"
        assert link.is_symlink()
        assert link.resolve() == Store(tmp_path / "e").node_dir(node).resolve()


def sizes_of(data: Path) -> dict[str, int]:
    model = make_experiment(data, {}).fresh_model(1)
    return {
        layer.name: sum(parameter.numel() for module in layer.modules for parameter in module.parameters())
        for layer in model.layers()
    }


def test_joint_alone_trains_all_seeds_and_is_no_study(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = command(make_experiment(data, {"search": "greedy", "seeds": [1, 2]}), tmp_path)
    assert main.main([*train, "--search", "joint"]) == 0
    store = Store(tmp_path / "e")
    assert store.tags() == []
    assert [node.is_joint for node in store.nodes()] == [True, True]
    links = sorted((tmp_path / "e" / "models").iterdir())
    assert [path.name for path in links] == ["joint_seed1", "joint_seed2"]
    assert main.main([*train, "--dry-run"]) == 0
    assert "4 trainings known: 2 finished, 2 to do" in capsys.readouterr().out


@pytest.mark.parametrize("first", ["subset_scan", "greedy"])
def test_the_joint_training_of_a_study_is_its_own_not_a_scans(first: str, tmp_path: Path) -> None:
    """A scan that was listed first had its link, and was the source of other studies' layers."""
    store, point = Store(tmp_path), SubsetScanPoint("p20", 8, 20.0)
    results = [
        Result("subset_scan", 1, (Step("scanned", 0.5, True, point),), "scanned"),
        Result("greedy", 1, (Step("own", 0.4, True), Step("below", 0.3, True)), "below"),
    ]
    results.sort(key=lambda result: result.search != first)
    links = {path.name: path.resolve().name for path in link_models(store, "study", results)}
    assert links == {"joint_seed1": "own", "final_seed1": results[0].final}
    (scan,) = [result for result in results if result.search == "subset_scan"]
    assert joint_node([scan]) is None


def test_where_a_control_ended_is_not_where_the_search_did(tmp_path: Path) -> None:
    """Of joint training and controls, or where the search failed for a seed, `keep` was the final network."""
    store = Store(tmp_path)
    both = (Step("own", 0.4, True), Step("kept", 0.3, True, Only()))
    results = [Result("joint", 1, (Step("own", 0.4, True),), "own"), Result("keep", 1, both, "kept")]
    assert [path.name for path in link_models(store, "study", results)] == ["joint_seed1"]
    store.save_results("study", results[1:])
    with pytest.raises(ValueError, match=r"of seed 1, results/study\.json has controls alone"):
        sources_of(store, "study", "final", [1])


def test_a_study_of_subsets_alone_has_no_joint_training_for_links_and_other_studies(tmp_path: Path) -> None:
    """`joint_seed1` led to the network of the smallest subset, even where it had led to another study's."""
    store = Store(tmp_path)
    link_models(store, "study", [Result("joint", 1, (Step("own", 0.4, True),), "own")])
    steps = [Step(f"p{share}", 0.5, True, SubsetScanPoint(f"p{share}", share, share)) for share in (20, 80)]
    scan = Result("subset_scan", 1, (*steps, Step("on", 0.3, True, SubsetScanPoint("p20", 20, 20, 1))), "on")
    store.save_results("study", [scan])
    assert [path.name for path in link_models(store, "study", [scan])] == ["final_seed1"]
    assert (tmp_path / "models" / "joint_seed1").resolve().name == "own"
    with pytest.raises(ValueError, match=r"study\.json has joint trainings on subsets of the data only"):
        sources_of(store, "study", "joint", [1])


def test_links_to_networks_of_other_settings_go_when_others_get_their_names(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a changed setting `final_seed1` and `joint_seed2` led to networks of the old one."""
    train = command(make_experiment(data, {"search": "greedy", "controls": [], "seeds": [1, 2]}), tmp_path)
    models = tmp_path / "e" / "models"

    def named() -> list[str]:
        return sorted(path.name for path in models.iterdir())

    assert main.main(train) == 0
    everything = ["final_seed1", "final_seed2", "joint_seed1", "joint_seed2"]
    assert named() == everything
    fewer = ["--search", "joint", "--set", "schedule.seeds=[1]"]
    assert main.main([*train, *fewer]) == 0
    assert named() == everything  # of the same study
    (models / "mine").symlink_to("joint_seed2")
    old = (models / "final_seed2").readlink().name
    capsys.readouterr()
    assert main.main([*train, *fewer, "--set", "train.epochs=1"]) == 0
    assert named() == ["joint_seed1", "mine"]
    said = capsys.readouterr().err
    assert f"{models}/final_seed2: removed, a link to {old}, of other settings or data" in said
    assert said.count("removed, a link to") == 3
    assert (tmp_path / "e" / "nodes" / old / "done.json").exists()


def test_a_bad_tag_is_refused_before_anything_is_trained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = command(make_experiment(data, {"search": "greedy"}), tmp_path)
    assert main.main([*train, "--results", "../up"]) == 1
    assert "tag '../up': use letters" in capsys.readouterr().err
    # In models/ these are links to networks' folders, in which the study's links would then be.
    assert main.main([*train, "--results", "final_seed12"]) == 1
    assert "models/final_seed12 is for a link to a network: choose another name" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()
    (tmp_path / "e/models").mkdir(parents=True)
    (tmp_path / "e/models/mine").symlink_to(tmp_path)
    assert main.main([*train, "--results", "mine"]) == 1
    assert "models/mine is for a link to a network" in capsys.readouterr().err


def test_a_search_on_the_command_line_has_what_it_needs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs that were not kept were missed after the joint training; each rung of a halving began anew."""
    train = command(make_experiment(data, {"search": "greedy"}), tmp_path)
    assert main.main([*train, "--search", "epoch_scan", "--set", "run.keep_epochs=best"]) == 1
    (line,) = [one for one in capsys.readouterr().err.splitlines() if " error: " in one]
    assert line.endswith("schedule: epoch_scan reads earlier epochs: set run.keep_epochs to all")
    assert not (tmp_path / "e").exists()
    halving = ["--search", "halving", "--set", "schedule.halving={budget: 1, max_retrainings: 1}"]
    assert main.main([*train, *halving]) == 0
    said = capsys.readouterr().err
    assert said.count("epoch 1/2: ") == 1  # of the joint training; the second rung goes on with the first
    assert said.count("epoch 2/2: ") == 3
    (result,) = Store(tmp_path / "e").load_results("study")
    assert (result.search, len(result.steps)) == ("halving", 1 + 4 + 2)


def test_options_that_nothing_reads_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = command(make_experiment(data, {"search": "epoch_scan"}), tmp_path)
    for options, message in (
        (["--source-exp", "no/such"], "--source-exp no/such: there is no schedule.source"),
        (["--search", "greedy", "--joint-data", str(data / "train")], "--joint-data is for epoch_scan and"),
        (["--search", "joint", "--parts", str(data / "train")], "--parts is for depth_sweep, no search"),
    ):
        assert main.main([*train, *options]) == 1
        assert message in capsys.readouterr().err
    assert main.main([*train, "--search", "joint", "--joint-data", str(data / "train"), "--dry-run"]) == 0


def test_a_penalty_on_a_layer_that_is_not_there_is_refused_before_anything_is_trained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = command(make_experiment(data, {"search": "greedy"}), tmp_path)
    wrong, twice = "{sofmax: 0.1}", "{softmax: 0.1, 'top:1': 0.2}"
    for penalty, options, message in (
        (wrong, ["--dry-run"], "train.layer_l2: no layer matches 'sofmax'; the layers are blstm.0, "),
        (twice, ["--dry-run"], "train.layer_l2: 'softmax' and 'top:1' both match softmax: name it once"),
        (wrong, [], "train.layer_l2: no layer matches 'sofmax'"),
    ):
        assert main.main([*train, f"--set=train.layer_l2={penalty}", *options]) == 1
        (line,) = [one for one in capsys.readouterr().err.splitlines() if " error: " in one]
        assert line.startswith(f"asr-topdown topdown: error: {message}")
    assert not (tmp_path / "e").exists()


def test_a_dry_run_checks_the_units(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_experiment(tmp_path / "wxyz", {"search": "greedy"}, letters="wxyz")
    mixed = dataclasses.replace(make_experiment(data, {"search": "greedy"}), tokens=other.tokens)
    assert main.main([*command(mixed, tmp_path), "--dry-run"]) == 1
    assert f"are not in {other.tokens}: are these the units of another" in capsys.readouterr().err


def test_adapters_that_cannot_be_trained_are_refused_before_the_joint_training(data: Path) -> None:
    pytest.importorskip("peft", reason="wants the extra lora")
    sweep = {"search": "depth_sweep", "depth_sweep": {"lora": 2}}
    plain = make_experiment(data, sweep)
    train = plain.config.train.model_copy(update={"average": AverageConfig(last=2)})
    averaging = dataclasses.replace(plain, config=plain.config.model_copy(update={"train": train}))
    with pytest.raises(ValueError, match=r"LoRA and train\.average do not go together"):
        searches_of(averaging, Store(data / "exp"))
    attention = make_experiment(
        data,
        {**sweep, "depth_sweep": {"lora": 2, "fresh": ["blstm.0", "softmax"]}},
        model={"encoder": [networks.blstm(1, 4)], "attention": networks.LSTM},
    )
    with pytest.raises(ValueError, match="LoRA: decoder: no linear or LSTM matrix"):
        searches_of(attention, Store(data / "exp"))


def test_epochs_that_were_not_kept_are_asked_for_in_vain(tmp_path: Path) -> None:
    every = make_experiment(tmp_path / "data", {"search": "epoch_scan", "epoch_scan": {"top_blocks": 1}})
    best = make_experiment(tmp_path / "data", {})
    run = best.config.run.model_copy(update={"keep_epochs": "best"})
    best = dataclasses.replace(best, config=best.config.model_copy(update={"run": run}))
    own = Store(tmp_path / "exp")
    joint = train_node(every.joint(1), experiments=[best], store=own)
    assert len(list(own.node_dir(joint.node).glob("epoch-*.safetensors"))) == 1
    with pytest.raises(
        SearchError,
        match=r"no such weights: it was trained with run\.keep_epochs: best; delete .*/nodes/\w+ to",
    ):
        run_study(every, own)


def test_an_epoch_after_the_end_of_a_sources_training_is_said(tmp_path: Path) -> None:
    own, sweep = Store(tmp_path / "exp"), {"search": "depth_sweep", "depth_sweep": {"starts": ["rewind:3"]}}
    own.save_results("two", run_study(make_experiment(tmp_path / "data", {"search": "joint"}), own))
    with pytest.raises(ValueError, match=r"epoch-3.*: no such weights: the training ended after epoch 2$"):
        run_study(make_experiment(tmp_path / "data", {**sweep, "source": "two"}), own)


def test_a_source_with_other_settings_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two heads and four have the same shapes and compute other things."""

    def transformer(heads: int, **schedule: Any) -> Experiment:
        encoder = [{**networks.BLOCKS, "kind": "transformer", "d_model": 8, "num_heads": heads}]
        model = {"encoder": encoder, "ctc": {}}
        return make_experiment(tmp_path / "data", {"search": "depth_sweep", **schedule}, model=model)

    store = Store(tmp_path / "exp")
    there = transformer(2, seeds=[1, 2])
    store.save_results("two", run_study(there, store, names=("joint",)))
    sweep = {"depth_sweep": {"fresh": ["softmax"]}}
    upper = {"search": "transplant", "groups": {"top": ["enc.1", "softmax"]}}
    for heads, schedule, said in (
        (4, sweep, 1),
        (2, sweep, 0),
        (4, upper, 1),
        (4, {"search": "transplant"}, 0),
    ):
        here = transformer(heads, seeds=[1, 2], source="two", **schedule)
        own = Store(tmp_path / "own", [store.root])
        check_first(searches_of(here, own, source_store=store), here, own)
        warned = "its network has other settings: model.encoder.0.num_heads is 2 there and 4 here"
        assert capsys.readouterr().err.count(warned) == said
