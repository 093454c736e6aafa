"""A copy of the recipes, so that the checkout stays clean."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def copy(tmp_path: Path, repository: Path) -> Path:
    """Copies of egs, utils and conf as they are in the checkout, and an `asr-topdown` that is this one."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("data", "exp", "downloads", ".venv")
    for name in ("egs", "utils", "conf"):
        shutil.copytree(repository / name, root / name, ignore=ignored)
    command = root / "bin" / "asr-topdown"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asr_topdown.bin.main "$@"\n')
    command.chmod(0o755)
    return root


def work_done(exp: Path) -> dict[Path, int]:
    """Every training, decoding and ark of features of a recipe, with the time it was finished."""
    data = exp.parents[1] / "data"
    found = [*exp.glob("nodes/*/done.json"), *exp.glob("decode/*/*/result.json"), *data.rglob("*.ark")]
    return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture
def done_work() -> Callable[[Path], dict[Path, int]]:
    """`work_done`: what a second run of a recipe must not change."""
    return work_done


@pytest.fixture
def run_recipe(copy: Path, repository: Path) -> Run:
    """Run `egs/<recipe>/run.sh`, or another script, of the copy; stdout and stderr come back together."""

    def run(
        recipe: str, *options: str, cwd: Path | None = None, script: str = "run.sh"
    ) -> "subprocess.CompletedProcess[str]":
        environment = {
            **os.environ,
            "PATH": f"{copy / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(repository),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [str(copy / "egs" / recipe / script), *options],
            cwd=cwd or copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run
