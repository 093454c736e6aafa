"""Runs `elsewhere_cases.py`: a device must be there before a process computes its first gradient."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_family_and_every_decoder_on_another_device() -> None:
    cases = Path(__file__).with_name("elsewhere_cases.py")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(cases)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cases.parents[1], check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
