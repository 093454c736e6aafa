import dataclasses
import json
import re
import shutil
import struct

import pytest

from asr_topdown.bin import main
from asr_topdown.report import page as page_module
from asr_topdown.report.collect import collect
from asr_topdown.report.document import Text
from asr_topdown.report.figures import Chart, Figure, Series
from asr_topdown.report.page import write_report
from asr_topdown.report.plots import TrainingPanel, plot_figure, plot_trainings
from asr_topdown.runs.store import Store
from asr_topdown.schedule.greedy import GreedyPoint
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.transplant import TransplantPoint
from asr_topdown.score import seeds


def png_size(path):
    """(width, height), read from the PNG header."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[-8:-4] == b"IEND"
    return struct.unpack(">II", data[16:24])


def images(page):
    return [page.parent / name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())]


def test_report_of_a_study(reported):
    page = reported / "report" / "report.md"
    text = page.read_text()
    assert text.startswith("# tiny\n")
    assert "Missing" not in text
    two = "better in 2 of 2 seeds, of which fewer than 3 allow no test"
    assert text.splitlines()[2] == (
        f"Top-down: test CER 15.00 %, joint training 21.00 %; against joint training, −6.00 points, {two}; "
        f"against as many trainings from scratch, −4.50 points, {two}."
    )
    assert (
        "## Study `study`\n\nTrained on `train` (40 utterances, 80 words, 0.05 hours); epochs chosen "
        "by the greedy CER on `dev` (8 utterances, 16 words, 0.01 hours). 250 parameters by layer, "
        "input to output: blstm.0 100, blstm.1 120, softmax 30. "
        "Machine: a toy, 2 processors; Python 3.11, PyTorch 2.13."
    ) in text
    assert "14 trainings, 16.8 min in total" in text
    assert text.count("all layers from scratch") == 6
    assert "Decoding test took 0.0200 s per second of audio (mean of 14)." in text
    # As those of Figures 1 and 2 do.
    assert "**±**: the standard deviation over the seeds; where a table counts trainings, over these" in text
    assert "Δ is the difference of mean CER in percentage points over the seeds that both have (neg" in text
    assert [path.name for path in images(page)] == [
        "differences-study.png",
        "cascade-study.png",
        "effort-study.png",
        "tree-study-seed1.png",
        "curves-study-seed1.png",
        "tree-study-seed2.png",
        "curves-study-seed2.png",
    ]
    for path in images(page):
        width, height = png_size(path)
        assert width > 300 < height
        assert path.stat().st_size > 10_000


def test_the_time_of_decoding_is_not_that_of_scoring_a_text(experiment):
    """Beside language models: 14 decodings of 25 s took 0.5 s each, the text of the fifteenth 60 s."""
    found = collect(experiment)
    text = dataclasses.replace(next(iter(found.scores.values())), seconds=60.0, audio_seconds=0.0)
    both = dataclasses.replace(found, scores={**found.scores, "text": text})
    told = [part.text for part in page_module.build(both) if isinstance(part, Text)]
    assert "Decoding test took 0.0200 s per second of audio (mean of 14)." in told


def test_report_of_a_lone_joint_training(experiment):
    """No study, no decoding: the report says so, with the commands, and shows the curves."""
    store = Store(experiment)
    joint = next(node for node in store.nodes() if node.init_seed == 1)
    assert (write_report(experiment).parent / "systems-study.csv").exists()
    for node in store.nodes():
        if node != joint:
            shutil.rmtree(store.node_dir(node))
    shutil.rmtree(experiment / "results")
    shutil.rmtree(experiment / "decode")
    page = write_report(experiment)
    text = page.read_text()
    assert "- No study yet: run `asr-topdown topdown`." in text
    model = store.node_dir(joint)
    assert f"- No decoding of test yet: run `asr-topdown decode data/test --model {model} --out " in text
    assert f"| `{joint.id}` | – | all layers from scratch, seed 1 | 8 | 6 | 30.00 | 30.00 | – | 1.2 |" in text
    assert [path.name for path in images(page)] == ["tree.png", "curves.png"]
    (model / "metrics.jsonl").unlink()
    for mine in ("mine.png", "mine.csv"):
        (page.parent / mine).touch()
    assert "No epoch has been finished yet." in write_report(experiment).read_text()
    # Without the earlier report's plot, which would pass for one of these trainings.
    assert sorted(path.name for path in page.parent.glob("*.png")) == ["mine.png", "tree.png"]
    assert sorted(path.name for path in page.parent.glob("*.csv")) == ["mine.csv", "trainings.csv"]


def test_report_in_the_middle_of_a_study(experiment):
    """One training is still running, one node is not decoded; the rest is shown."""
    store = Store(experiment)
    result = store.load_results("study")[0]
    (store.node_dir(result.final) / "done.json").unlink()
    shutil.rmtree(experiment / "decode" / result.steps[1].node)
    text = write_report(experiment).read_text()
    assert f"1 of 14 trainings are not finished: {result.final}." in text
    assert f"Not decoded on test: {result.steps[1].node}." in text
    assert "| not finished |" in text
    assert "2, 1 decoded" in text


def test_nodes_that_were_removed_do_not_stop_the_report(experiment):
    store = Store(experiment)
    results = store.load_results("study")
    for node in (results[0].steps[1].node, results[1].final):
        shutil.rmtree(store.node_dir(node))
        shutil.rmtree(experiment / "decode" / node)
    for path in experiment.glob("nodes/*/metrics.jsonl"):
        path.unlink()
    text = write_report(experiment).read_text()
    assert "Not decoded on test: " in text
    assert "14 trainings, 14.4 min in total for the 12 whose time is known (some" in text
    assert "cascade-study.png" in text  # its dev errors are in the results themselves


def test_the_command(experiment, capsys):
    shutil.rmtree(experiment / "results")  # fewer plots, so quicker
    for path in experiment.glob("nodes/*/metrics.jsonl"):
        path.unlink()
    assert main.main(["report", str(experiment)]) == 0
    assert capsys.readouterr().out.strip() == str(experiment / "report" / "report.html")
    assert main.main(["report", str(experiment / "nowhere")]) == 1
    assert "no training here" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 4, 5])
def test_plots_of_any_size(tmp_path, count):
    panel = TrainingPanel("joint", [1, 2, 3], [90.0, 50.0, 40.0], [60.0, 45.0, 50.0], [80.0, 40.0, 45.0], 2)
    begun = TrainingPanel("just begun", [1], [90.0], [], [], None)
    plot_trainings(
        tmp_path / "a.png", [panel] * (count - 1) + [begun], error_name="dev CER (%)", loss_name="loss"
    )
    series = [
        Series("top-down", [(5, 30.0), (10, 25.0)], 0),
        Series("", [(5, 29.0)], 3, line=False, faint=True),
    ]
    chart = Chart("dev", "share (%)", "CER %", series, [(5, "5"), (10, "10")], log_x=True)
    plot_figure(tmp_path / "b.png", Figure("b", "", [chart] * min(count, 2)))
    assert all(min(png_size(path)) > 300 for path in (tmp_path / "a.png", tmp_path / "b.png"))


def test_of_very_many_systems_the_best_on_dev_are_compared(experiment, monkeypatch):
    monkeypatch.setattr(page_module, "_MOST_SYSTEMS", 1)
    found = collect(experiment)
    (table,) = [part for part in page_module.build(found) if getattr(part, "name", "") == "systems-study"]
    # steps 1 and 2 have no names of their own; on dev both have 27 %: 26 and 28, 25 and 29
    assert [row[0] for row in table.rows if row[0].startswith("step")] == ["step 1"]
    assert {"joint", "top-down", "nothing frozen, all layers trained on"} < {row[0] for row in table.rows}


def test_p_is_corrected_for_the_systems_that_are_not_shown_too(experiment, monkeypatch):
    """They were chosen by their dev errors, which vary with the seeds as the test errors do."""
    found = collect(experiment)
    monkeypatch.setattr(seeds, "MIN_SEEDS", 2)

    def told():
        parts = page_module.build(found)
        (table,) = [part for part in parts if getattr(part, "name", "") == "systems-study"]
        p = {row["system"]: (row["p_to_joint"], row["p_corrected_to_joint"]) for row in table.values}
        (text,) = [part.text for part in parts if "(Holm)" in getattr(part, "text", "")]
        return p, text

    all_shown, text = told()
    assert "corrected for the 11 comparisons of this table (Holm)" in text
    monkeypatch.setattr(page_module, "_MOST_SYSTEMS", 1)
    some, text = told()
    # "step 2" is compared with the joint training and with those from scratch.
    assert "corrected for the 9 comparisons of this table and the 2 that are not shown (Holm)" in text
    smallest = min(some, key=lambda name: some[name][0] or 1)
    assert some[smallest][1] == pytest.approx(11 * some[smallest][0])
    assert all_shown[smallest] == some[smallest]


def captions(found):
    """All text of the report of these results."""
    return "\n".join(part.text for part in page_module.build(found) if isinstance(part, Text))


def with_results(found, change):
    results = [change(one) for one in found.studies["study"]]
    return dataclasses.replace(found, studies={"study": results})


def test_what_a_step_not_taken_means_depends_on_the_search(experiment):
    found = collect(experiment)
    marks = '"Not taken" marks steps whose dev'
    assert f"{marks} error grew, which ends the search." in captions(found)
    by_loss = with_results(found, lambda one: dataclasses.replace(one, criterion="loss"))
    assert f"{marks} loss grew, which ends the search." in captions(by_loss)

    def with_one_more(one):
        """As with `stop_when_worse: false`."""
        if one.search != "greedy" or one.steps[-1].accepted:
            return one
        last = dataclasses.replace(one.steps[-1], point=GreedyPoint((1, 2, 0)))
        return dataclasses.replace(one, steps=(*one.steps, last))

    assert f"{marks} error grew. The terms" in captions(with_results(found, with_one_more))


def test_trainings_from_scratch_are_no_equal_compute_of_a_search_that_ends_most_early(experiment):
    """Successive halving: 33 trainings of three blocks have 176 epochs, as many from scratch 528."""
    found = collect(experiment)
    assert "Equal compute: as many trainings from scratch." in captions(found)

    def halved(one):
        if one.search != "greedy":
            return one
        return dataclasses.replace(one, search="halving", steps=one.steps[:1], final=one.steps[0].node)

    text = captions(with_results(found, halved))
    assert "Equal compute" not in text
    assert "More compute: as many trainings from scratch, for those of search over layers" in text


def test_equal_compute_does_not_count_the_source(experiment):
    """A network of another study took its own training, which no control is given."""
    found = collect(experiment)

    def transplanted(one):
        if one.search != "greedy":
            return one
        step = dataclasses.replace(one.steps[1], point=TransplantPoint("B (joint)", "1234"))
        return dataclasses.replace(one, search="transplant", steps=(one.steps[0], step), final=step.node)

    text = captions(with_results(found, transplanted))
    assert "Equal compute, but for the source's own training: as many trainings from scratch." in text


def test_how_the_sample_utterances_were_chosen_is_said_in_full(experiment):
    found = collect(experiment)
    chosen = "of the utterances of at most 40 words in which the {} network errs, the median"
    assert chosen.format("search's") in captions(found)
    joint = [
        Result("joint", one.seed, one.steps[:1], one.steps[0].node)
        for one in found.studies["study"]
        if one.search == "greedy"
    ]
    alone = dataclasses.replace(found, studies={"study": joint})
    assert chosen.format("joint training's") in captions(alone)


def test_of_very_many_trainings_the_trees_show_the_best_and_the_table_all(experiment, monkeypatch):
    monkeypatch.setattr("asr_topdown.report.page._MOST_BRANCHES", 3)
    write_report(experiment)
    html = (experiment / "report" / "report.html").read_text()
    shown = re.findall('data-node="([^"]+)"', html)
    drawn = json.loads(re.search('id="data">(.*?)</script>', html).group(1))["nodes"]
    assert 3 <= len(shown) < 14
    assert sorted(shown) == sorted(drawn)
    assert html.count("★ chosen") == 2  # what each seed's search ended with is always there
    assert "more trainings, none of them among the best on dev, are in the last table only." in html
    table = html[html.index('id="table-trainings"') :]
    assert table.count("<tr>") >= 14
