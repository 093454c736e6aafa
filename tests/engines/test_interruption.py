"""When a request to end acts: at once, between the steps of a loop, never in the middle of an import."""

import importlib
import os
import signal
import time
from collections.abc import Iterator
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


def wait() -> None:
    time.sleep(5)
    raise AssertionError("nothing came")


def test_a_request_acts_at_once(listening: None) -> None:
    with pytest.raises(interruption.Interrupted, match="asked to end by SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
        wait()


def test_a_request_in_an_import_acts_after_it(listening: None, asking: str) -> None:
    module = None
    with pytest.raises(interruption.Interrupted):
        module = importlib.import_module(asking)
        wait()
    assert module is not None
    assert module.whole


def test_a_request_in_an_import_inside_a_loop_waits_for_the_loops_check(listening: None, asking: str) -> None:
    with pytest.raises(interruption.Interrupted), interruption.deferred():
        assert importlib.import_module(asking).whole
        time.sleep(0.2)
        assert interruption.requested()
        interruption.check()


def test_a_loop_that_begins_before_the_import_is_over_is_not_broken(
    listening: None, asking: str, tmp_path: Path
) -> None:
    """The request comes outside of a loop, and its import ends inside of one."""
    with (tmp_path / f"{asking}.py").open("a") as module:
        module.write("from asr_topdown.engines import interruption\nloop = interruption.deferred()\n")
        module.write("loop.__enter__()\n")
    with pytest.raises(interruption.Interrupted):
        module = importlib.import_module(asking)
        try:
            time.sleep(0.2)
            interruption.check()
        finally:
            module.loop.__exit__(None, None, None)
