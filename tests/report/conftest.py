"""Experiment folders of `toy_experiment`, which the tests can import too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_experiment import write_experiment, write_reference

from asr_topdown.report.page import write_report


@pytest.fixture
def reference(tmp_path):
    return write_reference(tmp_path / "recipe")


@pytest.fixture
def experiment(reference):
    return write_experiment(reference)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """An experiment whose report has been written; not to be changed."""
    root = write_experiment(write_reference(tmp_path_factory.mktemp("reported") / "recipe"))
    write_report(root)
    return root
