"""Continuous integration's list of tests that may skip (.ci/allowed_skips.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = {
    "test_some.py": """
        import pytest

        def test_gpu():
            pytest.skip("no CUDA device")

        @pytest.mark.skipif(True, reason="no sox here")
        def test_sox():
            pass

        @pytest.mark.xfail
        def test_known_fault():
            raise AssertionError
        """,
    "test_module.py": 'import pytest\npytest.importorskip("no_such_package", reason="no such package")\n',
}


def closing_lines(folder: Path, repository: Path, patterns: str, *options: str) -> tuple[int, list[str]]:
    for name, text in TESTS.items():
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    (folder / "allowed.txt").write_text(patterns)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "allowed_skips"]
    done = subprocess.run(
        [*command, "--allowed-skips", "allowed.txt", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository / ".ci"), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_a_skip_that_is_not_listed_fails_the_run(options, tmp_path, repository):
    code, shown = closing_lines(tmp_path, repository, "# a comment\ntest_some.py: no CUDA*\n", *options)
    assert code == 1
    assert "test_some.py: no sox here" in shown
    assert "test_module.py: no such package" in shown
    assert "test_some.py: no CUDA device" not in shown
    assert "3 skipped, 1 xfailed" in shown[-1]  # pytest's own closing line stays the last


def test_a_run_whose_skips_are_all_listed_passes(tmp_path, repository):
    patterns = "test_*.py: no CUDA device\n*: no sox here\ntest_module.py: no such*\n"
    code, shown = closing_lines(tmp_path, repository, patterns)
    assert code == 0, shown
    assert "allowed skips" not in "\n".join(shown)
