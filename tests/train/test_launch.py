"""Processes that train together, started by torchrun: what a user sees of those that fail."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from asr_topdown.train import launch


def test_an_error_of_ours_is_all_that_is_shown(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, sys\nsys.exit('error: no luck' if os.environ['RANK'] == '1' else 0)\n")
    command = [sys.executable, "-m", "asr_topdown.train.launch", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*command, str(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: no luck\n"


def failed(exit_code: int) -> ChildFailedError:
    return ChildFailedError("main", {1: ProcessFailure(1, os.getpid(), exit_code, "none")})


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (failed(3), 3, ""),
        (
            failed(-9),
            137,
            "asr-topdown: error: process 1 of the training was killed by SIGKILL (out of memory?)\n",
        ),
        (SignalException("asked", signal.SIGTERM), 143, ""),
        (SignalException("asked", signal.SIGINT), 130, ""),
    ],
)
def test_the_exit_code_is_that_of_the_process_that_failed(
    problem: Exception,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(argv: list[str]) -> None:
        raise problem

    monkeypatch.setattr(launch.run, "main", fail)
    monkeypatch.setattr(logging, "disable", lambda level: None)  # for the tests that follow
    assert launch.main(["x"]) == code
    assert capsys.readouterr().err == said
