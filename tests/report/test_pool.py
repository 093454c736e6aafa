"""Several experiments in one table."""

import shutil
from pathlib import Path

import pytest

from asr_topdown.bin.main import main
from asr_topdown.report.collect import collect
from asr_topdown.report.markdown import table
from asr_topdown.report.pool import pooled_table


def cells(table: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_twice_the_same_experiment_gives_its_rates(experiment: Path) -> None:
    shutil.copytree(experiment, experiment.parent / "again")
    rows = cells(table(pooled_table([collect(experiment), collect(experiment.parent / "again")])))
    # Test errors of seeds 1 and 2: 20 and 22 of 100 characters; dev errors 0.30 and 0.32.
    assert rows["joint"][:2] == ["21.00 ± 1.41", "31.00 ± 1.41"]
    assert (rows["joint"][2], rows["joint"][-1]) == ("–", "2")
    assert rows["step 1"][0] == "17.00 ± 1.41"
    assert rows["step 1"][2].startswith("−4.00, better in 2 of 2")


def test_a_folder_without_a_study_is_named(experiment: Path) -> None:
    shutil.copytree(experiment, experiment.parent / "bare")
    for path in (experiment.parent / "bare" / "results").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"bare: no results/study\.json"):
        pooled_table([collect(experiment), collect(experiment.parent / "bare")])


def test_the_command_prints_the_pooled_table(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(experiment, experiment.parent / "again")
    assert main(["report", str(experiment), str(experiment.parent / "again")]) == 0
    assert "| step 1 |" in capsys.readouterr().out
