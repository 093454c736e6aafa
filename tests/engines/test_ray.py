"""A local Ray; skipped if Ray is not installed."""

import functools
import operator
import os
import signal
import sys
import time

import pytest

from asr_topdown.engines import interruption
from asr_topdown.engines.engine_config import EngineConfig, open_engine
from asr_topdown.engines.job import Job, JobError


@pytest.mark.slow
def test_ray_runs_jobs_and_tries_the_lost_again(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="no Ray: pip install 'asr_topdown[ray]'")
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    import ray_runs

    with open_engine(EngineConfig(engine="ray", workers=2, retries=1)) as engine:
        jobs = [
            Job(f"job {index}", functools.partial(operator.truediv, index, 2), tmp_path / str(index))
            for index in range(4)
        ]
        futures = [engine.submit(job) for job in jobs]
        killed = engine.submit(
            Job("killed", functools.partial(ray_runs.die_once, tmp_path / "mark"), tmp_path / "k")
        )
        failing = engine.submit(Job("failing", functools.partial(open, "/nowhere/text"), tmp_path / "f"))
        assert [future.result(timeout=300) for future in futures] == [0.0, 0.5, 1.0, 1.5]
        assert killed.result(timeout=300) == "1"
        error = failing.exception(timeout=300)
    assert isinstance(error, JobError)
    assert not error.lost
    assert str(error).startswith("failing: /nowhere/text: No such file or directory")
    assert (tmp_path / "k" / "worker.log").read_text() == "said\n"


@pytest.mark.slow
def test_ray_leaves_requests_to_end_to_the_program_and_does_not_start_again(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="no Ray: pip install 'asr_topdown[ray]'")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    waiting = []

    def ask_to_end():
        ours = signal.getsignal(signal.SIGTERM)
        with open_engine(EngineConfig(engine="ray", workers=1)) as engine:
            assert signal.getsignal(signal.SIGTERM) is ours
            for number in range(3):
                job = Job(f"job {number}", functools.partial(time.sleep, 60), tmp_path / str(number))
                waiting.append(engine.submit(job))
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    with interruption.listening(signal.SIGTERM), pytest.raises(interruption.Interrupted):
        ask_to_end()
    errors = [job.exception(timeout=60) for job in waiting]
    assert [isinstance(error, JobError) and not error.lost for error in errors] == [True, True, True]
    assert not ray.is_initialized()


def test_without_ray_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ValueError, match=r"pip install 'asr_topdown\[ray\]'"),
        open_engine(EngineConfig(engine="ray")),
    ):
        pass
