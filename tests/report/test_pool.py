"""Several experiments in one table."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from asr_topdown.bin.main import main
from asr_topdown.report.collect import collect
from asr_topdown.report.markdown import table
from asr_topdown.report.pool import pooled_table
from asr_topdown.runs.store import Store


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


def test_a_search_that_ends_with_joint_training_is_not_compared_with_it(experiment: Path) -> None:
    """As in a page: nothing against itself, which would count as one more comparison."""
    store = Store(experiment)
    results = [
        replace(one, final=one.steps[0].node) if one.search == "greedy" else one
        for one in store.load_results("study")
    ]
    store.save_results("study", results)
    again = shutil.copytree(experiment, experiment.parent / "again")
    rows = cells(table(pooled_table([collect(experiment), collect(again)])))
    assert rows["top-down"][:3] == ["21.00 ± 1.41", "31.00 ± 1.41", "–"]
    assert rows["top-down"][3] == rows["joint"][3] == "+1.50, better in 0 of 2"


def test_a_folder_without_a_study_is_named(experiment: Path) -> None:
    shutil.copytree(experiment, experiment.parent / "bare")
    for path in (experiment.parent / "bare" / "results").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"bare: no results/study\.json"):
        pooled_table([collect(experiment), collect(experiment.parent / "bare")])


def test_an_experiment_whose_reference_is_gone_is_named(
    experiment: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = shutil.copytree(experiment, experiment.parent / "again")
    for path in again.glob("decode/*/test/result.json"):
        path.write_text(path.read_text().replace("data/test/text", "data/gone/text"))
    assert main(["report", str(experiment), str(again)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{again}: the errors of its utterances are not known, so they cannot be pooled" in line


def test_a_seed_whose_training_is_not_finished_is_left_out(experiment: Path) -> None:
    again = shutil.copytree(experiment, experiment.parent / "again")
    store = Store(again)
    joint = next(one.steps[0].node for one in store.load_results("study") if one.seed == 2)
    (store.node_dir(joint) / "done.json").unlink()
    rows = cells(table(pooled_table([collect(experiment), collect(again)])))
    assert (rows["joint"][0], rows["joint"][-1]) == ("20.00", "1")
    assert (rows["step 1"][0], rows["step 1"][-1]) == ("17.00 ± 1.41", "2")


def test_the_command_prints_the_pooled_table(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(experiment, experiment.parent / "again")
    assert main(["report", str(experiment), str(experiment.parent / "again")]) == 0
    said = capsys.readouterr().out
    assert (
        "\nall of them as one experiment; systems and seeds that are not in each are left out\n\n| system"
        in said
    )
    assert "| step 1 |" in said


def test_each_study_that_all_experiments_have_is_pooled_whatever_its_name(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (experiment / "results" / "study.json").rename(experiment / "results" / "A.json")
    again = shutil.copytree(experiment, experiment.parent / "again")
    assert main(["report", str(experiment), str(again)]) == 0
    said = capsys.readouterr().out
    assert "left out\n\n| system" in said
    assert cells(said)["joint"][0] == "21.00 ± 1.41"
    for folder, name in ((experiment, "B"), (again, "B"), (again, "C")):
        shutil.copy(folder / "results" / "A.json", folder / "results" / f"{name}.json")
    assert main(["report", str(experiment), str(again)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("study ")] == ["study `A`", "study `B`"]
    (again / "results" / "A.json").unlink()
    (again / "results" / "B.json").unlink()
    assert main(["report", str(experiment), str(again)]) == 1
    assert "again: no results/A.json; run `asr-topdown topdown` first" in capsys.readouterr().err
