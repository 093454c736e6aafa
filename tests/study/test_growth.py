"""Twice as many finished trainings cost a study twice as much to replay, counted, not timed."""

from concurrent.futures import Future

import pytest

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Request, Search, advance
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.study.driver import drive

JOINT = Node(experiment="e", train_set="t", init_seed=1, epochs=9, patience=5)


class FinishedStore:
    """Has an outcome for any node."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, node: Node) -> Outcome:
        self.asked += 1
        error = int(node.id[:6], 16) / 0xFFFFFF
        return Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=1.0, metrics={})


def told(search: Search, count: list[int]) -> Search:
    """Counts the answers that a search gets."""
    said = advance(search)
    while isinstance(said, Request):
        answers = yield said
        count[0] += len(answers)
        said = advance(search, answers)
    return said


def refuse(node: Node) -> "Future[Outcome]":
    raise AssertionError(f"{node.id} is finished")


@pytest.mark.parametrize("copies", [1, 2])
def test_a_replay_is_linear(copies: int) -> None:
    costs = []
    for count in (6, 7, 8):
        blocks = [(f"layer.{number}",) for number in range(count)]
        heard, store = [0], FinishedStore()
        searches = [
            told(one, heard)
            for _ in range(copies)
            for one in of_studies([Study(JOINT, blocks)], searches=["exhaustive"])
        ]
        results = drive(searches, refuse, store=store)  # type: ignore[arg-type]
        assert {len(result.steps) for result in results} == {2 ** (count - 1)}
        assert store.asked == 2 ** (count - 1)
        assert heard[0] == len(results) * store.asked  # each answer is told each search once
        costs.append(heard[0])
    assert costs[2] == 2 * costs[1] == 4 * costs[0]
