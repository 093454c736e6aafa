"""Processes that run one job after another: reuse, death and shutdown."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr_topdown.engines.job import Job, JobError
from asr_topdown.engines.local import LocalPool

HERE = Path(__file__).parent
SECONDS = 60  # nothing here takes long; a test that waits for it fails


@pytest.fixture
def jobs(monkeypatch):
    """The functions of the jobs; on sys.path, so that worker processes find them too."""
    monkeypatch.syspath_prepend(str(HERE))
    import pool_jobs

    return pool_jobs


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    pool = LocalPool(2)
    yield pool
    pool.close()


def run(pool: LocalPool, work, *arguments, folder: Path | None = None, **options):
    job = Job("job", functools.partial(work, *arguments), folder)
    return pool.submit(job, **options).result(SECONDS)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_one_process_does_one_job_after_the_other(jobs, pool):
    assert len({run(pool, jobs.process_id) for _ in range(4)}) == 1


def test_as_many_jobs_run_at_a_time_as_there_are_workers(jobs, pool, tmp_path):
    futures = [pool.submit(Job("job", functools.partial(jobs.meet, tmp_path, 2))) for _ in range(2)]
    first, second = (future.result(SECONDS) for future in futures)
    assert first != second


def test_a_job_that_kills_its_process_takes_no_other_with_it_and_the_next_one_finds_a_new_process(jobs, pool):
    before = run(pool, jobs.process_id)
    with pytest.raises(
        JobError, match=r"job: its process was killed by SIGKILL \(out of memory\?\)"
    ) as caught:
        run(pool, jobs.die, signal.SIGKILL)
    assert caught.value.lost
    assert run(pool, jobs.process_id) != before


def test_a_process_that_was_killed_while_it_had_nothing_to_do_costs_no_job(jobs, pool):
    before = run(pool, jobs.process_id)
    os.kill(before, signal.SIGKILL)
    assert run(pool, jobs.process_id) != before


def test_what_ran_out_of_memory_is_lost_in_one_line_and_gets_a_new_process(jobs, pool, capfd):
    before = run(pool, jobs.process_id)
    with pytest.raises(
        JobError, match=r"job: not enough memory for this network.*allocate 9 bytes"
    ) as caught:
        run(pool, jobs.no_memory)
    assert caught.value.lost
    assert run(pool, jobs.process_id) != before
    assert "Traceback" not in capfd.readouterr().err


def test_each_job_writes_to_its_own_log_or_to_the_terminal(jobs, pool, tmp_path, capfd):
    for word in ("one", "two"):
        run(pool, jobs.say, word, folder=tmp_path / word)
    run(pool, jobs.say, "three")
    assert [(tmp_path / word / "worker.log").read_text() for word in ("one", "two")] == ["one\n", "two\n"]
    assert capfd.readouterr().out == "three\n"


def test_progress_is_told_item_by_item(jobs, pool):
    ticks = []
    run(pool, jobs.count_to, 7, on_progress=lambda: ticks.append(1))
    assert len(ticks) == 7


@pytest.mark.parametrize("work", ["save_when_asked", "tidy_up"])
def test_who_closes_the_pool_lets_what_runs_save_or_tidy_up(jobs, tmp_path, work):
    pool = LocalPool(1)
    future = pool.submit(Job("job", functools.partial(getattr(jobs, work), tmp_path)))
    queued = pool.submit(Job("next", functools.partial(jobs.say, "never")))
    wait_for(tmp_path / "began")
    pool.close()
    with pytest.raises(JobError, match="exit status 143") as caught:
        future.result(SECONDS)
    assert not caught.value.lost
    assert queued.cancelled()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == ({"began", "saved"} if work == "save_when_asked" else {"began"})


@pytest.mark.parametrize("work", ["save_when_asked", "tidy_up"])
def test_when_the_parent_is_killed_what_runs_saves_or_tidies_up(tmp_path, work):
    program = (
        f"import functools, pathlib, sys\nsys.path.insert(0, {str(HERE)!r})\nimport pool_jobs\n"
        "from asr_topdown.engines.job import Job\nfrom asr_topdown.engines.local import LocalPool\n"
        f"work = functools.partial(pool_jobs.{work}, pathlib.Path({str(tmp_path)!r}))\n"
        "LocalPool(1).submit(Job('job', work)).result()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        wait_for(tmp_path / "began")
        parent.kill()
    if work == "save_when_asked":
        wait_for(tmp_path / "saved")
    else:
        deadline = time.monotonic() + SECONDS
        while (tmp_path / "aside").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_log_that_cannot_be_opened_is_the_jobs_one_line(pool: LocalPool, jobs, tmp_path: Path) -> None:
    """As on a read-only disk; the process lives."""
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=rf"^job: {tmp_path}/file/job: Not a directory; nothing in") as caught:
        run(pool, jobs.say, "a", folder=tmp_path / "file" / "job")
    assert not caught.value.lost
    assert run(pool, jobs.process_id)
