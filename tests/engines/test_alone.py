import errno
import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asr_topdown.engines.alone import alone_in


def test_one_is_alone_in_a_folder_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with alone_in(tmp_path / "new"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert most == [1, 1, 1, 1]
    assert list((tmp_path / "new").iterdir()) == []


def test_where_there_are_no_locks_one_is_not_alone_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", fail)
    with alone_in(tmp_path / "new"), alone_in(tmp_path / "new"):
        pass
    (tmp_path / "file").touch()
    with alone_in(tmp_path / "file" / "below"):
        pass
