"""`asr-topdown score --exp`: its output for every study, and its files."""

import errno
import json
import os
from pathlib import Path

import pytest

from asr_topdown.bin.main import main
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.schedule.searches import SEARCHES, SPECS
from asr_topdown.schedule.subset_scan import SubsetScanPoint


def score(experiment: Path, reference: Path, *options: str) -> int:
    return main(
        ["score", str(reference / "data" / "test"), "--exp", str(experiment), "--resamples", "50", *options]
    )


def set_nlsyms(experiment: Path, node: str, tags: list[str]) -> None:
    path = experiment / "decode" / node / "test" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"decode": {"nlsyms": tags}}))


def test_each_seed_is_scored_and_kept(experiment, reference, capsys, leave_half):
    folder = experiment / "results" / "test"
    leave_half(folder / "alignments" / "study_greedy_seed1_joint.txt")
    assert score(experiment, reference) == 0
    shown = capsys.readouterr().out
    kept = (folder / "study.txt").read_text()
    assert kept.strip() in shown
    results = [one for one in Store(experiment).load_results("study") if one.search == "greedy"]
    documents = json.loads((folder / "study.json").read_text())
    assert [one["study"] for one in documents] == [
        line for line in kept.splitlines() if line.startswith("study, ")
    ]
    assert len(documents) == len(results) == 2
    for result, document in zip(results, documents, strict=True):
        ends = list(dict.fromkeys([result.steps[0].node, result.final]))
        names = [f"study_greedy_seed{result.seed}_{end}.txt" for end in ("joint", "final")][: len(ends)]
        for name, node, system in zip(names, ends, document["systems"], strict=True):
            assert system["hypothesis"] == str(experiment / "decode" / node / "test")
            aligned = (folder / "alignments" / name).read_text()
            for report in system["scores"]:
                total = report["total"]
                assert f"({total['substitutions']} substitutions, {total['deletions']} deletions" in aligned
            assert "REF: " in aligned
    assert len(list((folder / "alignments").iterdir())) == sum(len(one["systems"]) for one in documents)
    assert Store(experiment).tags() == ["study"]  # the scores are no studies


@pytest.mark.parametrize("content", ["[]", '{"decode": []}', '{"decode":'])
def test_a_damaged_record_of_a_decoding_is_one_clear_line(experiment, reference, capsys, content):
    joint = Store(experiment).load_results("study")[0].steps[0].node
    path = experiment / "decode" / joint / "test" / "result.json"
    path.write_text(content)
    assert score(experiment, reference) == 1
    said = capsys.readouterr().err.strip()
    assert str(path) in said
    assert "\n" not in said


def test_a_device_is_refused_where_nothing_is_computed_on_one(experiment, reference, capsys):
    assert score(experiment, reference, "--device", "cpu") == 1
    assert "--device is for language models, and these are recognisers" in capsys.readouterr().err


def test_alignments_of_an_earlier_study_of_the_same_name_go(experiment, reference):
    """A `final` of other settings stayed beside a study whose search found nothing better."""
    folder = experiment / "results" / "test" / "alignments"
    folder.mkdir(parents=True)
    others = ["mine.txt", "study2_greedy_seed1_final.txt", "study_greedy_seed1_final.txt.bak"]
    for name in ("study_greedy_seed7_final.txt", "study_exhaustive_seed1_joint.txt", *others):
        (folder / name).touch()
    assert score(experiment, reference) == 0
    found = {path.name for path in folder.iterdir()}
    assert found >= {"study_greedy_seed1_joint.txt", *others}
    assert not found & {"study_greedy_seed7_final.txt", "study_exhaustive_seed1_joint.txt"}


def test_tags_are_left_out_as_the_decodings_say(experiment, reference, capsys):
    text = reference / "data" / "test" / "text"
    text.write_text("".join(f"{line} <NOISE>\n" for line in text.read_text().splitlines()))
    nodes = [path.name for path in (experiment / "decode").iterdir()]
    errors = []
    for tags in ([], ["<NOISE>"]):
        for node in nodes:
            set_nlsyms(experiment, node, tags)
        assert score(experiment, reference) == 0
        (first, *_) = json.loads((experiment / "results" / "test" / "study.json").read_text())
        errors.append(first["systems"][0]["scores"][0]["total"]["deletions"])
    assert errors[0] - errors[1] == len(text.read_text().splitlines())
    capsys.readouterr()
    assert score(experiment, reference, "--nlsyms", "<NOISE>") == 1
    assert "--nlsyms needs HYP, not --exp" in capsys.readouterr().err


def test_decodings_that_differ_in_their_tags_are_not_compared(experiment, reference, capsys):
    result = next(one for one in Store(experiment).load_results("study") if one.final != one.steps[0].node)
    set_nlsyms(experiment, result.final, ["<NOISE>"])
    assert score(experiment, reference) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "leaves out nothing and " in line
    assert line.endswith("leaves out <NOISE>; decode them alike")


def test_what_has_not_been_decoded_is_named(experiment, reference, capsys):
    result = Store(experiment).load_results("study")[0]
    (experiment / "decode" / result.final / "test" / "result.json").unlink()
    assert score(experiment, reference) == 1
    assert f"{result.final}/test: not decoded yet" in capsys.readouterr().err


def test_an_experiment_that_cannot_be_written_to_is_scored(experiment, reference, capsys, caplog):
    (experiment / "results" / "test").write_text("a file in the way")
    assert score(experiment, reference) == 0
    assert "study, seed 1: joint" in capsys.readouterr().out
    assert "the scores are not kept: " in caplog.text


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "No space left on device (make room and run"),
        (errno.EFBIG, "File too large"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_full_disk_is_an_error_after_the_scores(
    number, problem, experiment, reference, capsys, monkeypatch
):
    """With other disks than full ones, the scores were not kept, and the command ended well."""

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    assert score(experiment, reference) == 1
    shown, error = capsys.readouterr()
    assert "study, seed 1: joint" in shown
    path = experiment / "results" / "test" / "alignments" / "study_greedy_seed1_joint.txt"
    assert f"error: cannot write {path}: {problem}" in error


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_is_scored(experiment, reference, capsys, name):
    """Joint and end of each, tested against each other where both were trained on the same data."""
    joint, end = (node for node in Store(experiment).load_results("study")[0].steps[:2])
    point = POINTS[name] and SPECS[name].point(**POINTS[name])
    steps = (Step(joint.node, 0.3, True), *([Step(end.node, 0.2, True, point)] if point else []))
    for path in (experiment / "results").glob("*.json"):
        path.unlink()
    Store(experiment).save_results("study", [Result(name, 1, steps, steps[-1].node)])
    assert score(experiment, reference, "--units", "char") == 0
    shown = capsys.readouterr().out
    assert shown.count(": 10 utterances\n") == len(steps)
    assert ("second - first" in shown) == (SPECS[name].against_joint and name != "joint")
    if point:
        tested = "against" if SPECS[name].against_joint else "and"
        assert f"joint {tested} {SPECS[name].label}" in shown


def test_of_trainings_on_subsets_the_first_is_called_by_its_data(experiment, reference, capsys):
    first, last = (node.node for node in Store(experiment).load_results("study")[0].steps[:2])
    steps = [Step(first, 0.3, True, SubsetScanPoint("p05", 1, 5.0))]
    steps.append(Step(last, 0.2, True, SubsetScanPoint("p05", 1, 5.0, 1)))
    Store(experiment).save_results("scan", [Result("subset_scan", 1, tuple(steps), last)])
    assert score(experiment, reference, "--results", "scan") == 0
    best = "the best extractor of the subset scan (classifier of p05, repeat 1)"
    assert f"scan, seed 1: joint, on p05 and {best}\n" in capsys.readouterr().out


POINTS = {
    "greedy": {"composition": (1, 2)},
    "exhaustive": {"composition": (1, 2)},
    "halving": {"composition": (1, 2), "parent_epochs": (3,), "budget": 4, "rung": 1},
    "freeze_top": {"repeat": 1},
    "transplant": {"source": "b", "source_node": "n"},
    "epoch_scan": {"epoch": 1, "repeat": 1},
    "subset_scan": {"subset": "p20", "utterances": 3, "percent": 20.0, "repeat": 1},
    "depth_sweep": {"side": "bottom", "frozen": 1, "start": "keep"},
    "joint": {},
}


def test_one_study_of_several_is_scored(experiment, reference, capsys):
    store = Store(experiment)
    store.save_results("other", store.load_results("study"))
    assert score(experiment, reference, "--results", "other") == 0
    kept = {path.name for path in (experiment / "results" / "test").iterdir()}
    assert kept == {"other.txt", "other.json", "alignments"}
    assert "study, seed 1" not in capsys.readouterr().out
    assert score(experiment, reference) == 0
    kept = {path.name for path in (experiment / "results" / "test").iterdir()}
    assert kept >= {"other.txt", "study.txt"}
    assert score(experiment, reference, "--results", "none") == 1
    assert "none.json" in capsys.readouterr().err
