"""Running nodes for real: a tiny corpus of made-up features, a tiny network, every kind of node."""

import dataclasses
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import networks
import pytest
import torch
from toy_data import write_data

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.config.model import BlstmConfig
from asr_topdown.config.run import RunConfig
from asr_topdown.config.schedule import ScheduleConfig
from asr_topdown.config.train import AverageConfig
from asr_topdown.decode.model import load_trained
from asr_topdown.engines import interruption
from asr_topdown.runs import about
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.initialise import prepare_model
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import retrained
from asr_topdown.text import Vocabulary
from asr_topdown.train.metrics import read_metrics
from asr_topdown.train.speech_task import SpeechTask
from asr_topdown.weights import load_weights, weights_of_epoch


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    root = tmp_path_factory.mktemp("data")
    train, dev = write_data(root / "train", 40, 1), write_data(root / "dev", 12, 2)
    tokens = root / "tokens.txt"
    Vocabulary.build(["abc"], "char").save(tokens)
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": 4}},
            "model": networks.blstm_ctc(2, 8, dropout=0.2),
            "train": {
                "epochs": 5,
                "patience": 3,
                "metric": "loss",
                "utterances_per_batch": 8,
                "optimizer": {"lr": 0.02},
                "tempo_perturb": 0.1,
                "specaugment": {"freq_masks": 0, "time_masks": 1, "time_width": 2},
            },
            "run": {"keep_epochs": "all"},
        }
    )
    return Experiment(config, train, dev, tokens)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("exp"))


@pytest.fixture(scope="module")
def joint(experiment: Experiment, store: Store) -> Outcome:
    return run_node(experiment.joint(1), experiment, store)


def weights(store: Store, outcome: Outcome, epoch: int | None = None) -> dict[str, torch.Tensor]:
    folder = store.node_dir(outcome.node)
    return load_weights(weights_of_epoch(folder, epoch or outcome.best_epoch))


def of_layer(state: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """Of `blstm`, all layers of this kind; `softmax` is the CTC head's output."""
    prefix = "heads.ctc.output." if name == "softmax" else f"stages.{name}."
    found = {key: value for key, value in state.items() if key.startswith(prefix)}
    assert found
    return found


def result(outcome: Outcome) -> Outcome:
    """A training's outcome without its cost."""
    metrics = {name: value for name, value in outcome.metrics.items() if name.startswith("dev_")}
    return dataclasses.replace(outcome, seconds=0, metrics=metrics)


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_joint_training_learns_and_leaves_a_model_folder(
    joint: Outcome, store: Store, experiment: Experiment
) -> None:
    assert joint.metrics["dev_loss"] < 8
    assert joint.error == joint.metrics["dev_cer"] < 1
    model = load_trained(store.node_dir(joint.node))
    assert model.config == experiment.config
    assert model.vocabulary.units == experiment.vocabulary().units
    assert equal(dict(model.network.state_dict()), weights(store, joint))


def test_a_finished_node_answers_from_disk(
    joint: Outcome, store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpeechTask, "load", lambda *args: pytest.fail("trained again"))
    assert run_node(joint.node, experiment, store) == joint


def test_a_kill_just_before_done_json_costs_no_training(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    node = experiment.joint(5)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", lambda *args: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            run_node(node, experiment, store)
    monkeypatch.setattr(SpeechTask, "load", lambda *args: pytest.fail("trained again"))
    outcome = run_node(node, experiment, store)
    assert store.outcome(node) == outcome
    assert not list(store.node_dir(node).glob("*.pt"))


@pytest.mark.parametrize(
    ("how", "raised"), [(signal.SIGTERM, interruption.Interrupted), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_request_to_end_beside_done_json_leaves_nothing_over(
    how: signal.Signals,
    raised: type[BaseException],
    experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, finish = Store(tmp_path), Store.finish
    node = dataclasses.replace(experiment.joint(5), epochs=2)

    def asked(self: Store, outcome: Outcome) -> None:
        finish(self, outcome)
        os.kill(os.getpid(), how)

    monkeypatch.setattr(Store, "finish", asked)
    with interruption.listening(signal.SIGTERM), pytest.raises(raised):
        run_node(node, experiment, store)
    assert store.answer(node) is not None
    assert not list(store.node_dir(node).glob("*.pt"))


def test_a_model_folder_without_done_json_is_trained_again_and_says_so(
    experiment: Experiment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, node = Store(tmp_path), dataclasses.replace(experiment.joint(5), epochs=1)
    once = run_node(node, experiment, store)
    said = f"{store.node_dir(node)}: has weights, but neither done.json nor a checkpoint"
    assert said not in caplog.text
    (store.node_dir(node) / "done.json").unlink()
    assert result(run_node(node, experiment, store)) == result(once)
    assert said in caplog.text


def test_frozen_layers_are_the_parents_and_the_rest_is_not(
    joint: Outcome, store: Store, experiment: Experiment
) -> None:
    node = retrained(joint, init_seed=2, frozen=("softmax", "blstm.1"))
    child = run_node(node, experiment, store)
    parent_state, child_state = weights(store, joint), weights(store, child)
    for name, frozen in (("blstm.0", False), ("blstm.1", True), ("softmax", True)):
        assert equal(of_layer(parent_state, name), of_layer(child_state, name)) == frozen, name


def test_reinit_starts_from_the_weights_of_its_seed(
    joint: Outcome, store: Store, experiment: Experiment
) -> None:
    first = prepare_model(retrained(joint, init_seed=2, frozen=("softmax",)), experiment, store)
    again = prepare_model(retrained(joint, init_seed=2, frozen=("softmax",)), experiment, store)
    other = prepare_model(retrained(joint, init_seed=3, frozen=("softmax",)), experiment, store)
    assert layers.fingerprint(first, ["blstm.0"]) == layers.fingerprint(again, ["blstm.0"])
    assert layers.fingerprint(first, ["blstm.0"]) != layers.fingerprint(other, ["blstm.0"])
    assert layers.fingerprint(first, ["softmax"]) == layers.fingerprint(other, ["softmax"])


def test_keep_and_rewind_start_from_the_parents_weights(
    joint: Outcome, store: Store, experiment: Experiment
) -> None:
    kept = prepare_model(retrained(joint, init_seed=2, start="keep"), experiment, store)
    assert equal(dict(kept.state_dict()), weights(store, joint))
    node = retrained(joint, init_seed=2, frozen=("softmax",), start="rewind:1")
    rewound = dict(prepare_model(node, experiment, store).state_dict())
    assert equal(of_layer(rewound, "blstm"), of_layer(weights(store, joint, 1), "blstm"))
    assert equal(of_layer(rewound, "softmax"), of_layer(weights(store, joint), "softmax"))


def test_same_node_elsewhere_gives_the_same_bits(
    joint: Outcome, store: Store, experiment: Experiment, tmp_path: Path
) -> None:
    elsewhere = Store(tmp_path)
    again = run_node(joint.node, experiment, elsewhere)
    assert (again.error, again.best_epoch) == (joint.error, joint.best_epoch)
    assert equal(weights(elsewhere, again), weights(store, joint))


def test_a_frozen_layer_that_moves_is_a_crash(
    joint: Outcome, experiment: Experiment, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "freeze", lambda *args, **kwargs: None)
    with pytest.raises(AssertionError, match=r"frozen layers .* changed in epoch 1"):
        run_node(retrained(joint, init_seed=9, frozen=("softmax",)), experiment, store)


def test_a_model_with_an_average_decodes_with_it_and_its_children_start_from_the_best_epoch(
    experiment: Experiment, tmp_path: Path
) -> None:
    train = experiment.config.train.model_copy(
        update={"average": AverageConfig(last=3), "precision": "float32"}
    )
    config = experiment.config.model_copy(update={"train": train, "run": RunConfig()})
    here = dataclasses.replace(experiment, config=config)
    store = Store(tmp_path)
    outcome = run_node(here.joint(1), here, store)
    folder = store.node_dir(outcome.node)
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [
        "average.safetensors",
        f"epoch-{outcome.best_epoch}.safetensors",
    ]
    average = load_weights(folder / "average.safetensors")
    assert equal(dict(load_trained(folder).network.state_dict()), average)
    assert store.outcome(outcome.node) == outcome
    child = prepare_model(retrained(outcome, init_seed=2, start="keep"), here, store)
    assert equal(dict(child.state_dict()), weights(store, outcome))
    assert here.id != experiment.id


def test_a_layer_name_that_matches_nothing_is_an_error(
    joint: Outcome, experiment: Experiment, store: Store
) -> None:
    with pytest.raises(ValueError, match=r"frozen: no layer is called blstm; the layers are blstm\.0"):
        run_node(retrained(joint, init_seed=2, frozen=("blstm",)), experiment, store)


def test_a_node_of_another_experiment_is_refused(experiment: Experiment, store: Store) -> None:
    node = dataclasses.replace(experiment.joint(1), experiment="0" * 16)
    with pytest.raises(ValueError, match="belongs to another configuration"):
        run_node(node, experiment, store)


def test_an_utterance_too_short_for_its_transcript_is_named_and_left_out(
    experiment: Experiment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = write_data(tmp_path / "train", 10, 3)
    lines = (train / "text").read_text().splitlines()
    lines[0] = "spk-000 " + "ab" * 40
    lines[1] = "spk-001"
    (train / "text").write_text("\n".join(lines) + "\n")
    here = dataclasses.replace(experiment, train=train)
    with caplog.at_level(logging.WARNING):
        store = Store(tmp_path / "exp")
        outcome = run_node(here.joint(1), here, store)
    known = about.read(store.node_dir(outcome.node))
    assert (known.train.utterances, known.train.left_out, known.dev.left_out) == (10, 2, 0)
    assert "left out of training: spk-000:" in caplog.text
    assert "output frames for a transcript that needs 80" in caplog.text
    assert "left out of training: spk-001: empty transcript" in caplog.text


def test_an_utterance_longer_than_max_frames_is_left_out_of_training_alone(
    experiment: Experiment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = (experiment.train / "utt2num_frames").read_text().split()
    frames = sorted(map(int, table[1::2]))
    most = frames[len(frames) // 2]
    limited = experiment.config.train.model_copy(update={"max_frames": most})
    here = dataclasses.replace(experiment, config=experiment.config.model_copy(update={"train": limited}))
    with caplog.at_level(logging.WARNING):
        run_node(here.joint(1), here, Store(tmp_path / "exp"))
    longer = [count for count in frames if count > most]
    assert 0 < len(longer) < len(frames)
    assert caplog.text.count(f"frames, train.max_frames is {most}") == len(longer)
    assert here.id != experiment.id


def test_identity_follows_content(experiment: Experiment) -> None:
    faster = experiment.config.model_copy(
        update={"run": experiment.config.run.model_copy(update={"log_interval": 7})}
    )
    wider = experiment.config.model_copy(
        update={
            "model": experiment.config.model.model_copy(update={"encoder": (BlstmConfig(hidden_size=9),)})
        }
    )
    assert dataclasses.replace(experiment, config=faster).id == experiment.id
    assert dataclasses.replace(experiment, config=wider).id != experiment.id
    assert isinstance(experiment.joint(1), Node)


def test_pieces_of_words_are_part_of_the_experiment_and_go_with_the_model(
    experiment: Experiment, tmp_path: Path
) -> None:
    texts = [line.split()[1] for line in (experiment.train / "text").read_text().splitlines()]
    tokens = tmp_path / "tokens.txt"
    Vocabulary.build(texts, "bpe", 10).save(tokens)
    settings = configuration.parse(
        {**experiment.config.model_dump(mode="json"), "text": {"unit": "bpe", "vocab_size": 10}}
    )
    pieces = dataclasses.replace(experiment, config=settings, tokens=tokens)
    store = Store(tmp_path / "exp")
    outcome = run_node(dataclasses.replace(pieces.joint(1), epochs=1), pieces, store)
    trained = load_trained(store.node_dir(outcome.node))
    assert trained.vocabulary == pieces.vocabulary()
    assert [trained.vocabulary.decode(trained.vocabulary.encode(text)) for text in texts] == texts
    # The same list of units, another model behind it (protobuf field 1000, empty): another experiment.
    changed = dataclasses.replace(pieces.vocabulary(), model=pieces.vocabulary().model + b"\xc2\x3e\x00")
    changed.save(tmp_path / "other.txt")
    assert (tmp_path / "other.txt").read_bytes() == tokens.read_bytes()
    assert dataclasses.replace(pieces, tokens=tmp_path / "other.txt").id != pieces.id


def test_units_of_another_kind_than_configured_are_an_error(experiment: Experiment) -> None:
    words = configuration.parse({**experiment.config.model_dump(mode="json"), "text": {"unit": "word"}})
    with pytest.raises(ValueError, match=r"tokens.txt: holds 5 char units, the configuration wants word:"):
        dataclasses.replace(experiment, config=words).joint(1)


def halving_config(experiment: Experiment, epochs: int) -> Experiment:
    config = experiment.config
    config = config.model_copy(
        update={
            "schedule": ScheduleConfig(search=("halving",)),
            "train": config.train.model_copy(update={"epochs": epochs, "patience": 0}),
        }
    )
    return dataclasses.replace(experiment, config=config)


@pytest.mark.parametrize("plateau", ["none", "decay_eps"])
def test_a_larger_budget_continues_the_smaller_one_bit_for_bit(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plateau: str
) -> None:
    """Budgets of 2, 3 and 5 epochs in turn equal five at once: weights, log and outcome."""
    optimizer = experiment.config.train.optimizer.model_copy(update={"plateau": plateau})
    train = experiment.config.train.model_copy(update={"optimizer": optimizer})
    config = experiment.config.model_copy(update={"train": train})
    experiment = halving_config(dataclasses.replace(experiment, config=config), 5)
    whole, parts = Store(tmp_path / "whole"), Store(tmp_path / "parts")
    expected = run_node(experiment.joint(3), experiment, whole)
    trained: list[int] = []
    batches_of = SpeechTask.epoch

    def counted(self: SpeechTask, number: int) -> Sequence[Sequence[int]]:
        trained.append(number)
        return batches_of(self, number)

    monkeypatch.setattr(SpeechTask, "epoch", counted)
    for epochs in (2, 3, 5):
        outcome = run_node(dataclasses.replace(experiment.joint(3), epochs=epochs), experiment, parts)
    assert trained == [1, 2, 3, 4, 5]
    assert result(outcome) == result(expected)
    for epoch in range(1, 6):
        assert equal(weights(whole, expected, epoch), weights(parts, outcome, epoch))
    logs = [
        [{**line, "seconds": 0, "frames_per_second": 0} for line in read_metrics(folder / "metrics.jsonl")]
        for folder in (whole.node_dir(expected.node), parts.node_dir(outcome.node))
    ]
    assert logs[0] == logs[1]
    # What has its full budget is never continued, and needs no checkpoint.
    assert not list(parts.node_dir(outcome.node).glob("*.pt"))


def test_a_continuation_that_was_killed_while_it_began_begins_again(
    experiment: Experiment, tmp_path: Path
) -> None:
    experiment = halving_config(experiment, 4)
    store = Store(tmp_path)
    short = dataclasses.replace(experiment.joint(3), epochs=2)
    run_node(short, experiment, store)
    folder = store.start(experiment.joint(3))
    (folder / "metrics.jsonl").write_text("")  # copied before the checkpoint, which is not there yet
    outcome = run_node(experiment.joint(3), experiment, store)
    lines = [line for line in read_metrics(folder / "metrics.jsonl") if line["kind"] == "epoch"]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert outcome.epochs == 4


@pytest.mark.parametrize("start", ["keep", "rewind:1"])
def test_fresh_layers_are_new_where_the_others_are_kept(
    experiment: Experiment, store: Store, joint: Outcome, start: str
) -> None:
    node = retrained(joint, init_seed=9, frozen=("blstm.0",), start=start, fresh=("softmax",))
    state = dict(prepare_model(node, experiment, store).state_dict())
    new = dict(experiment.fresh_model(9).state_dict())
    then = weights(store, joint, 1 if start == "rewind:1" else None)
    assert equal(of_layer(state, "softmax"), of_layer(new, "softmax"))
    assert equal(of_layer(state, "blstm.1"), of_layer(then, "blstm.1"))
    assert equal(of_layer(state, "blstm.0"), of_layer(weights(store, joint), "blstm.0"))


def test_a_random_top_keeps_its_initial_weights(experiment: Experiment, tmp_path: Path) -> None:
    store = Store(tmp_path)
    node = dataclasses.replace(experiment.joint(8), frozen=("softmax",), epochs=2)
    outcome = run_node(node, experiment, store)
    new = dict(experiment.fresh_model(8).state_dict())
    assert equal(of_layer(weights(store, outcome), "softmax"), of_layer(new, "softmax"))
    assert not equal(of_layer(weights(store, outcome), "blstm.0"), of_layer(new, "blstm.0"))


def test_a_layers_penalty_shrinks_it_and_names_another_training(
    experiment: Experiment, joint: Outcome, store: Store, tmp_path: Path
) -> None:
    train = experiment.config.train.model_copy(update={"layer_l2": {"softmax": 1.0}})
    config = experiment.config.model_copy(update={"train": train})
    pulled = dataclasses.replace(experiment, config=config)
    assert pulled.joint(1).id != joint.node.id
    other = Store(tmp_path)
    found = run_node(pulled.joint(1), pulled, other)

    def norm(state: dict[str, torch.Tensor], layer: str) -> float:
        return sum(float(one.norm()) for one in of_layer(state, layer).values())

    before, after = weights(store, joint, 5), weights(other, found, found.epochs)
    assert norm(after, "softmax") < 0.5 * norm(before, "softmax")
    assert norm(after, "blstm.0") > 0.5 * norm(before, "blstm.0")


def test_adapters_are_trained_resumed_and_left_as_a_plain_model(
    experiment: Experiment, store: Store, joint: Outcome
) -> None:
    pytest.importorskip("peft", reason="wants the extra lora")
    node = retrained(joint, init_seed=9, frozen=("blstm.0", "blstm.1"), start="keep", fresh=("softmax",))
    outcome = run_node(dataclasses.replace(node, lora=2), experiment, store)
    model = load_trained(store.node_dir(outcome.node))
    state, parents = dict(model.network.state_dict()), weights(store, joint)
    assert state.keys() == parents.keys()
    (first, second), hidden, inputs = (
        ("stages.blstm.0.lstm_fwd", "stages.blstm.1.lstm_fwd"),
        "_hh_l0",
        "_ih_l0",
    )
    assert not torch.equal(state[f"{first}.weight{hidden}"], parents[f"{first}.weight{hidden}"])
    assert torch.equal(state[f"{first}.bias{hidden}"], parents[f"{first}.bias{hidden}"])
    difference = state[f"{second}.weight{inputs}"] - parents[f"{second}.weight{inputs}"]
    assert torch.linalg.matrix_rank(difference.double(), rtol=1e-4) == 2
    # Adapters are no part of the network that is left.
    sizes = [about.read(store.node_dir(one.node)) for one in (outcome, joint)]
    assert sizes[0] is not None
    assert sizes[1] is not None
    assert sizes[0].layers == sizes[1].layers
    assert all(size.products.startswith(("torch", "oneDNN (")) for size in sizes if size is not None)
