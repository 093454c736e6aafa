"""Several processes, started by torchrun, that jointly train the nodes of a study, one after another."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.study.driver import Run, Submit
from asr_topdown.train.distributed import World


@contextlib.contextmanager
def run_rank0(run: Run, world: World) -> Iterator[Submit]:
    """In rank 0: the `submit` of `driver.drive`. Each node is trained by all ranks when it is submitted.

    An error ends this process and, through torchrun, the others, which would otherwise wait for ever.
    """

    def submit(node: Node) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        future.set_result(run(world.from_leader(lambda: node)))
        return future

    yield submit
    world.from_leader(lambda: None)


def run_worker(run: Run, world: World) -> None:
    """In the other ranks: take part in every training that rank 0 starts, until there are no more."""
    while True:
        node: Node | None = world.from_leader(lambda: None)
        if node is None:
            return
        run(node)
