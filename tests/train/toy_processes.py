"""Programs for several processes that train together, and how the tests start them."""

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from networks import blstm_ctc, make
from toy_training import Killed, kill_at, trained, trainer

from asr_topdown import layers
from asr_topdown.config.train import LrScheduleConfig, OptimizerConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.language_model import LanguageModelBatch
from asr_topdown.train import distributed
from asr_topdown.train.distributed import World
from asr_topdown.train.layerwise import Layerwise
from asr_topdown.train.trainer import Trainer

# Of one utterance, so that the second process has none; of three, so that their parts differ.
PLAN = [[0, 1, 2], [3], [4, 5, 6, 7], [8, 9, 10], [11]]
SGD = OptimizerConfig(name="sgd", lr=0.1, momentum=0.9)  # Adam would hide a wrong scale
NOAM = {
    "optimizer": OptimizerConfig(lr=0.5, betas=(0.9, 0.98), eps=1e-9),
    "lr_schedule": LrScheduleConfig(name="noam", warmup_steps=4, dim=16),
    "grad_accumulation": 2,
    "log_interval": 1,
}

# A server that has imported everything once, and forks: starting two processes takes no time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["toy_processes", "torch.utils.tensorboard", "torch._dynamo"])


def member(
    work: Callable[..., None], port: int, rank: int, size: int, device: str, arguments: Sequence[object]
) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    with distributed.join(device) as world:
        work(world, *arguments)


def together(
    work: Callable[..., None], *arguments: object, size: int = 2, device: str = "cpu"
) -> list[int | None]:
    """Run `work(world, *arguments)` in `size` processes that know each other; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        PROCESSES.Process(target=member, args=(work, port, rank, size, device, arguments))
        for rank in range(size)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(100)
        process.kill()  # no test leaves one behind
    return [process.exitcode for process in started]


def reference(folder: Path, device: str = "cpu") -> Trainer:
    return trainer(
        folder,
        plan=PLAN,
        dropout=0.0,
        freeze=["softmax"],
        optimizer=SGD,
        log_interval=1,
        keep_epochs="all",
        device=device,
    )


def train_reference(world: World, folder: Path, device: str = "cpu") -> None:
    run = reference(folder, device)
    if not world.leads:  # what is written is written by one
        for writer, name in ((run.checkpoints, "save"), (run.weights, "save"), (run.weights, "prune")):
            setattr(writer, name, lambda *args: pytest.fail("wrote"))
    before = layers.fingerprint(run.model, ["softmax"])
    trained(run)
    assert layers.fingerprint(run.model, ["softmax"]) == before


def train_noam(world: World, folder: Path, kill_rank: int | None = None) -> None:
    left = [9]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0 and world.rank == kill_rank:
            os.kill(os.getpid(), signal.SIGKILL)

    trained(trainer(folder, before_batch=count, **NOAM))


def train_layerwise(world: World, folder: Path) -> None:
    trained(layerwise_reference(folder))


def layerwise_reference(folder: Path) -> Trainer:
    """What is not the same for all layers, and layers that are held for some steps or epochs."""
    plan = Layerwise(
        rates={"blstm.0": 0.25, "blstm.1": 0.5},
        from_epoch={"blstm.0": 3},
        from_step={"blstm.1": 4},
        towards_start={"blstm.0": 0.3, "blstm.1": 0.3},
        towards_zero={"softmax": 0.1},
    )
    return trainer(
        folder, plan=PLAN, dropout=0.0, optimizer=SGD, log_interval=1, keep_epochs="all", layerwise=plan
    )


def stop_in_the_second_epoch(world: World, folder: Path) -> None:
    run = reference(folder)
    load, count = run.task.load, kill_at(7)

    def stopping(indices: Sequence[int], epoch: int) -> SpeechBatch:
        count()
        return load(indices, epoch)

    run.task.load = stopping
    try:
        trained(run)
    except Killed:
        raise SystemExit(1) from None


def drift_apart(world: World, folder: Path) -> None:
    run = reference(folder)
    with torch.no_grad():
        next(run.model.parameters()).add_(1e-3 * world.rank)
    with pytest.raises(AssertionError, match="the weights of the 2 processes differ"):
        trained(run)


def each_with_its_own(world: World, folder: Path) -> None:
    """Processes that build different networks all go on from rank 0's."""
    model = make(blstm_ctc(1, 3), features=4, vocab_size=4, seed=world.rank)
    wrapped = world.wrap(model)
    assert len(set(world.gather(layers.fingerprint(model, ["blstm.0", "softmax"])))) == 1
    assert wrapped is not model
    assert world.gather(world.rank) == [0, 1]
    assert world.from_leader(lambda: f"rank {world.rank}") == "rank 0"


def say_no_to_a_text(world: World, folder: Path) -> None:
    run = reference(folder)
    words = torch.zeros(3, 2, dtype=torch.long)
    run.task.load = lambda indices, epoch: LanguageModelBatch(("0-3",), words, words)
    with pytest.raises(ValueError, match="a language model is trained by one process"):
        trained(run)
