"""Two processes over gloo: they train as one; frozen is frozen; killed and resumed; crash if they differ."""

import signal
from pathlib import Path

import pytest
import torch
from toy_processes import (
    PLAN,
    drift_apart,
    each_with_its_own,
    layerwise_reference,
    reference,
    say_no_to_a_text,
    stop_in_the_second_epoch,
    together,
    train_layerwise,
    train_noam,
    train_reference,
)
from toy_training import epochs_of, same, speech, trained

from asr_topdown.data.batch import collate
from asr_topdown.train import distributed
from asr_topdown.train.distributed import World
from asr_topdown.train.metrics import read_metrics
from asr_topdown.weights import load_weights, weights_of_epoch


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    trained(reference(folder))
    return folder


def losses_of(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder / "metrics.jsonl") if record["kind"] == "step"]


@pytest.mark.parametrize(("size", "device"), [(2, "cpu"), (3, "cpu"), (2, "cuda")])
def test_several_processes_train_as_one(size: int, device: str, tmp_path: Path, alone: Path) -> None:
    if device == "cuda" and torch.cuda.device_count() < size:
        pytest.skip(f"needs {size} GPUs, to train over NCCL")
    assert together(train_reference, tmp_path, device, size=size, device=device) == [0] * size
    ours, theirs = losses_of(tmp_path), losses_of(alone)
    assert len(ours) == len(theirs) == 4 * len(PLAN)
    assert ours[:5] == pytest.approx(theirs[:5], rel=1e-5)
    assert ours == pytest.approx(theirs, rel=1e-3)
    for epoch in (1, 4):
        left, right = (load_weights(weights_of_epoch(folder, epoch)) for folder in (tmp_path, alone))
        for key in left:
            torch.testing.assert_close(left[key], right[key], rtol=1e-3, atol=1e-4)
            if key.startswith("softmax"):
                assert torch.equal(left[key], right[key])
    assert [record["train_loss"] for record in epochs_of(tmp_path)] == pytest.approx(
        [record["train_loss"] for record in epochs_of(alone)], rel=1e-3
    )


def test_layers_are_held_by_several_processes_as_by_one(tmp_path: Path) -> None:
    whole, folder = tmp_path / "alone", tmp_path / "together"
    trained(layerwise_reference(whole))
    assert together(train_layerwise, folder) == [0, 0]
    assert losses_of(folder) == pytest.approx(losses_of(whole), rel=1e-3)
    for epoch in (1, 2, 4):
        left, right = (load_weights(weights_of_epoch(one, epoch)) for one in (folder, whole))
        for key in left:
            torch.testing.assert_close(left[key], right[key], rtol=1e-3, atol=1e-4)
    first, second = (load_weights(weights_of_epoch(folder, epoch)) for epoch in (1, 2))
    held = {key for key in first if torch.equal(first[key], second[key])}
    assert held == {key for key in first if key.startswith("stages.blstm.0.")}


def test_kill_9_of_either_and_resume_equals_uninterrupted(tmp_path: Path) -> None:
    """With dropout, in the middle of an epoch and of the two batches of a step."""
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    assert together(train_noam, whole) == [0, 0]
    for rank in (1, 0):
        codes = together(train_noam, folder, rank)
        assert codes[rank] == -signal.SIGKILL
        assert codes[1 - rank] not in (0, None)  # its peer is gone
        assert (folder / "last.pt").exists()
    assert together(train_noam, folder) == [0, 0]
    assert epochs_of(folder) == epochs_of(whole)
    best = next(folder.glob("epoch-*")).name
    assert same(load_weights(folder / best), load_weights(whole / best))


def test_one_process_goes_on_where_two_were_stopped(tmp_path: Path, alone: Path) -> None:
    assert together(stop_in_the_second_epoch, tmp_path) == [1, 1]
    progress = trained(reference(tmp_path))
    assert losses_of(tmp_path) == pytest.approx(losses_of(alone), rel=1e-3)
    assert progress.step == 4 * len(PLAN)


def test_weights_that_differ_are_a_crash(tmp_path: Path) -> None:
    assert together(drift_apart, tmp_path) == [0, 0]
    assert not (tmp_path / "epoch-1.safetensors").exists()


def test_what_processes_agree_on(tmp_path: Path) -> None:
    assert together(each_with_its_own, tmp_path) == [0, 0]


def test_a_text_is_for_one_process(tmp_path: Path) -> None:
    assert together(say_no_to_a_text, tmp_path) == [0, 0]


def test_each_utterance_of_a_batch_is_one_ranks() -> None:
    for size in (1, 2, 3, 8):
        for count in range(1, 12):
            shares = [World(rank, size).share(count) for rank in range(size)]
            assert all(rows for rows, _ in shares)
            counted = [row for rows, counting in shares for row in rows[:counting]]
            assert sorted(counted) == list(range(count))


def test_rows_of_a_batch_are_padded_no_further_than_they_need() -> None:
    utterances = speech()
    batch = collate(*zip(*utterances, strict=True))
    which = [1, 4]
    part = batch.rows(which)
    alone = collate(*zip(*[utterances[row] for row in which], strict=True))
    assert part.ids == alone.ids
    assert all(torch.equal(left, right) for left, right in zip(part.inputs, alone.inputs, strict=True))


def test_alone_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with distributed.join("cpu") as world:
        assert (world.alone, world.leads) == (True, True)
        model = torch.nn.Linear(2, 2)
        assert world.wrap(model) is model
    assert distributed.local_device("cuda") == torch.device("cuda")


def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert distributed.local_device("cuda") == torch.device("cuda:3")
    assert distributed.local_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="--device cuda:0: several processes"), distributed.join("cuda:0"):
        pass
