"""Batches loaded ahead are the same, in the same order; so is the training, also when killed."""

import threading
from pathlib import Path

import pytest
import torch
from toy_training import Killed, epochs_of, kill_at, same, trained, trainer

from asr_topdown.train import read_ahead as module
from asr_topdown.train.read_ahead import read_ahead, usual_workers
from asr_topdown.weights import load_weights, weights_of_epoch


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_everything_comes_once_in_order(workers: int, count: int) -> None:
    assert list(read_ahead(lambda item: item * 2, range(count), workers=workers)) == [*range(0, 2 * count, 2)]


def test_two_for_each_worker_are_ahead_and_no_more() -> None:
    begun: list[int] = []
    guard = threading.Lock()

    def load(item: int) -> int:
        with guard:
            begun.append(item)
        return item

    loaded = read_ahead(load, range(100), workers=2)
    for item in range(20):
        assert next(loaded) == item
        assert max(begun) <= item + 4
    loaded.close()
    assert len(begun) <= 24


def test_an_error_is_raised_when_its_item_is_due() -> None:
    def load(item: int) -> int:
        if item == 3:
            raise ValueError("utt3: no features")
        return item

    loaded = read_ahead(load, range(10), workers=2)
    assert [next(loaded) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="utt3: no features"):
        next(loaded)


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    loaded = read_ahead(lambda item: item, range(1000), workers=3)
    next(loaded)
    loaded.close()
    assert threading.active_count() == before


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-by-one")
    trained(trainer(folder, num_workers=0))
    return folder


def check_same(folder: Path, other: Path) -> None:
    assert epochs_of(folder) == epochs_of(other)
    name = next(other.glob("epoch-*")).name
    assert same(load_weights(folder / name), load_weights(other / name))


@pytest.mark.parametrize("workers", [1, 4])
def test_a_training_is_the_same_with_any_number_of_workers(
    workers: int, one_by_one: Path, tmp_path: Path
) -> None:
    trained(trainer(tmp_path, num_workers=workers))
    check_same(tmp_path, one_by_one)


@pytest.mark.parametrize("batches", [1, 7, 13])
def test_killed_and_resumed_with_other_workers_it_is_the_same(
    batches: int, one_by_one: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        trained(trainer(tmp_path, num_workers=3, before_batch=kill_at(batches)))
    progress = trained(trainer(tmp_path, num_workers=1))
    check_same(tmp_path, one_by_one)
    assert weights_of_epoch(tmp_path, progress.best_epoch).exists()


@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "workers"),
    [(2, 1, "cuda", 1), (16, 1, "cuda", 4), (16, 8, "cuda", 1), (1, 1, "cuda", 1), (16, 0, "cpu", 0)],
)
def test_as_many_workers_as_there_are_cpus_for_each_gpu(
    cpus: int, gpus: int, device: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: set(range(cpus)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert usual_workers(torch.device(device)) == workers
