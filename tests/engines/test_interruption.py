"""When a request to stop takes effect: at once, between a loop's steps, never during an import."""

import importlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asr_topdown.engines import interruption

ASKING = """
import os, signal, time
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.2)
whole = True
"""


@pytest.fixture
def listening() -> Iterator[None]:
    with interruption.listening(signal.SIGTERM):
        yield


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in whose import the process is asked to end."""
    name = f"asking_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(ASKING)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def is_interrupted(work: Callable[[], object]) -> bool:
    """Whether a request ended `work`."""
    try:
        work()
    except interruption.Interrupted as asked:
        return asked.signal == signal.SIGTERM
    return False


def test_a_request_acts_at_once(listening: None) -> None:
    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    assert is_interrupted(work)


def test_a_request_in_an_import_acts_after_it(listening: None, asking: str) -> None:
    imported = []

    def work() -> None:
        imported.append(importlib.import_module(asking))
        time.sleep(5)

    assert is_interrupted(work)
    assert imported[0].whole


def test_a_request_in_an_import_inside_a_loop_waits_for_the_loops_check(listening: None, asking: str) -> None:
    def work() -> None:
        with interruption.deferred():
            assert importlib.import_module(asking).whole
            time.sleep(0.2)
            assert interruption.requested()
            steps.append(1)
            interruption.check()

    steps: list[int] = []
    assert is_interrupted(work)
    assert steps == [1]


def test_a_loop_that_has_begun_when_the_import_is_over_is_not_broken(
    listening: None, asking: str, tmp_path: Path
) -> None:
    with (tmp_path / f"{asking}.py").open("a") as module:
        module.write("from asr_topdown.engines import interruption\nloop = interruption.deferred()\n")
        module.write("loop.__enter__()\n")

    def work() -> None:
        loop = importlib.import_module(asking).loop
        try:
            time.sleep(0.2)
            steps.append(1)
            interruption.check()
        finally:
            loop.__exit__(None, None, None)

    steps: list[int] = []
    assert is_interrupted(work)
    assert steps == [1]


def test_a_request_is_over_with_the_block_that_it_ended() -> None:
    def work() -> None:
        with interruption.listening(signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGTERM)

    assert is_interrupted(work)
    assert not interruption.requested()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    interruption.check()  # a later loop of the same process is not ended


@pytest.mark.parametrize(("times", "reached"), [(1, ["the end"]), (2, [])])
def test_ctrl_c_waits_for_the_end_of_what_belongs_together_but_once(times: int, reached: list[str]) -> None:
    found = []

    def work() -> None:
        with interruption.unbroken():
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
            found.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert found == reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_librarys_own_handler_of_ctrl_c_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: None)  # as of one that was not set by Python
    with interruption.unbroken():
        pass
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
