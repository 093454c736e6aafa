"""Each parser for a moment; `python tests/fuzz/run.py --seconds 600` takes its time."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import TARGETS, check, inputs


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_comes_out_but_values_and_errors_with_a_name(name: str, tmp_path: Path) -> None:
    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def some(data: st.DataObject) -> None:
        check(TARGETS[name], data.draw(inputs(TARGETS[name])), tmp_path / "file")

    some()
