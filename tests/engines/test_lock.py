"""The lock: one holder at a time, with or without flock, and none left by a crash."""

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from asr_topdown.engines import lock
from asr_topdown.engines.lock import held


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(lock, "STALE_SECONDS", 0.6)
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.2)
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.02)


@pytest.fixture
def no_flock(monkeypatch):
    """A network disk without flock."""

    def refuse(handle, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def write_lease(folder, boot):
    folder.mkdir(parents=True, exist_ok=True)
    lease = {"host": "elsewhere", "pid": 7, "boot": boot, "token": "t"}
    (folder / "lease").write_text(json.dumps(lease))


def take(folder, times):
    begun = time.monotonic()
    with held(folder, "it"):
        times.append(time.monotonic() - begun)


def test_it_leaves_no_lease(tmp_path):
    with held(tmp_path / "node", "it"):
        lease = json.loads((tmp_path / "node" / "lease").read_text())
        assert lease["pid"] == os.getpid()
    assert [path.name for path in (tmp_path / "node").iterdir()] == ["lock"]


def test_a_dead_lease_of_this_machine_is_nothing(tmp_path, quick):
    write_lease(tmp_path, lock.boot_id())
    times = []
    take(tmp_path, times)
    assert times[0] < 0.5  # of settling, not of waiting


def test_a_dead_lease_of_another_machine_is_taken_over_in_time(tmp_path, quick, capsys):
    write_lease(tmp_path, "another-boot")
    times = []
    take(tmp_path, times)
    assert times[0] > 0.6
    said = capsys.readouterr().err
    assert "it: another machine has it, waiting" in said
    assert "elsewhere" in said
    assert "taking over" in said


def test_an_empty_lease_says_how_long_it_is_waited_for(tmp_path, quick, capsys):
    """A machine without power leaves one."""
    (tmp_path / "lease").touch()
    take(tmp_path, [])
    said = capsys.readouterr().err
    assert f"waiting ({tmp_path / 'lease'} names none: if nobody has it, this ends in 1 s)" in said


def test_a_living_lease_of_another_machine_is_waited_for(tmp_path, quick):
    write_lease(tmp_path, "another-boot")
    times = []
    waiter = threading.Thread(target=take, args=(tmp_path, times))
    waiter.start()
    for _ in range(40):  # renewed for much longer than STALE_SECONDS
        time.sleep(0.05)
        os.utime(tmp_path / "lease")
    assert not times
    (tmp_path / "lease").unlink()
    waiter.join(10)
    assert times[0] >= 2.0


@pytest.mark.parametrize("dead", [False, True])
def test_without_flock_one_is_in_at_a_time(tmp_path, quick, no_flock, dead):
    if dead:
        write_lease(tmp_path, "another-boot")
    inside, most, guard = 0, 0, threading.Lock()

    def work():
        nonlocal inside, most
        with held(tmp_path, "it"):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.03)
            with guard:
                inside -= 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert (inside, most) == (0, 1)


def test_one_that_was_stopped_too_long_ends_when_it_goes_on(tmp_path):
    code = (
        "import pathlib, sys, time\n"
        "from asr_topdown.engines import lock\n"
        "lock.RENEW_SECONDS = 0.05\n"
        "with lock.held(pathlib.Path(sys.argv[1]), 'node 7'):\n"
        "    print('in', flush=True)\n"
        "    time.sleep(60)\n"
    )
    pipe = subprocess.PIPE
    program = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=pipe, stderr=pipe, text=True)
    assert program.stdout.readline() == "in\n"
    write_lease(tmp_path, "another-boot")
    assert program.wait(20) == 75
    assert "node 7: another process took over while this one was stopped" in program.stderr.read()
    assert "elsewhere" in (tmp_path / "lease").read_text()


def test_a_lease_that_cannot_be_written_is_not_left(tmp_path):
    """On a full disk it would be empty, and keep others waiting for two minutes."""
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with (
            pytest.raises(OSError, match=f"cannot write {tmp_path}/lease: File too large"),
            held(tmp_path, "x"),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert not lock.is_held(tmp_path)
