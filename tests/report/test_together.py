"""Studies with different models in one folder: each has its own model, units, errors and paper's table."""

import dataclasses
import json
from pathlib import Path

import pytest
from toy_experiment import ABOUT, decode, joint, train, write_reference

from asr_topdown.hashes import file_hash
from asr_topdown.report.card import card
from asr_topdown.report.collect import collect
from asr_topdown.report.document import Examples, Heading
from asr_topdown.report.overview import sizes, verdict
from asr_topdown.report.page import build, write_report
from asr_topdown.report.systems import JOINT, System, systems
from asr_topdown.report.table import Table
from asr_topdown.report.tables import compare_systems, systems_table, trainings_table
from asr_topdown.runs.store import Store
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.protocol import Request, advance
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Source, Study

BLOCKS = (("encoder",), ("softmax",))
HEADS = "ctc: {weight: 0.2}, attention: {kind: lstm}"
MODELS = {
    "A": f"{{encoder: [{{kind: blstm}}], {HEADS}}}",
    "F": "{encoder: [{kind: blstm}], ctc: {}}",
    "B": f"{{encoder: [{{kind: vgg}}, {{kind: blstm}}], {HEADS}}}",
}
TRANSFORMER = (
    "{encoder: [{kind: conv2d}, {kind: transformer}], ctc: {weight: 0.3}, attention: {kind: transformer}}"
)


def run(store: Store, which: str, search: str = "greedy", **options: object) -> list:
    """A study of model A, B or F over one seed, played."""
    own = joint(1, experiment=which)
    results = []
    for played in of_studies([Study(own, BLOCKS, **options)], searches=(search,)):
        said = advance(played)
        while isinstance(said, Request):
            for node in said.nodes:
                if store.outcome(node) is None:
                    train(store, node)
                    decode(store.root, node)
                    folder = store.node_dir(node)
                    settings = f"model: {MODELS[which]}\ntrain: {{metric: cer}}\nrun: {{}}\n"
                    (folder / "config.yaml").write_text(settings)
                    layers = [["encoder", 100 if which == "A" else 900], ["softmax", 30]]
                    (folder / "about.json").write_text(json.dumps({**ABOUT, "layers": layers}))
            said = advance(played, [store.outcome(node) for node in said.nodes])
        results.append(said)
    return results


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """`egs/wsj --table 2`: A, B, and each under the other's softmax layers, in one folder."""
    store = Store(write_reference(tmp_path / "wsj") / "exp" / "ctc_attention")
    for which in "AB":
        store.save_results(which, run(store, which))
    for which, other in ("AB", "BA"):
        source = store.outcome(joint(1, experiment=other))
        assert source is not None
        tag = f"{which}_from_{other}"
        store.save_results(tag, run(store, which, "transplant", source=Source(f"{other} (joint)", source)))
    return store.root


def test_each_study_is_under_its_own_models_heading(both: Path) -> None:
    parts = build(collect(both))
    titles = [
        part.text for part in parts if isinstance(part, Heading) and part.text.startswith("In the form")
    ]
    letters = [title.split("“")[1][0] for title in titles]
    assert letters == ["A", "A", "B", "B"]  # studies by name: A, A_from_B, B, B_from_A
    tables = {part.name: part for part in parts if isinstance(part, Table)}
    rows = {name: [row[0] for row in tables[f"paper-{name}"].rows] for name in ("A_from_B", "B_from_A")}
    frozen = "classifier frozen from {} (joint), the rest trained (paper: {})"
    assert frozen.format("B", "A, softmax layers frozen from B") in rows["A_from_B"]
    assert frozen.format("A", "B, softmax layers frozen from A") in rows["B_from_A"]
    text = write_report(both).read_text()
    assert text.count("130 parameters") == text.count("930 parameters") == 2
    # A sentence for each study that has a search to judge.
    assert [line.partition(":")[0] for line in text.splitlines() if line.startswith("`")] == [
        "`A`",
        "`A_from_B`",
        "`B`",
        "`B_from_A`",
    ]


def test_another_seeds_layers_are_not_the_papers_other_models(both: Path) -> None:
    store = Store(both)
    source = store.outcome(joint(1, experiment="A"))
    assert source is not None
    store.save_results(
        "A_from_A", run(store, "A", "transplant", source=Source("A (joint, of another seed)", source))
    )
    tables = {part.name: part for part in build(collect(both)) if isinstance(part, Table)}
    rows = [row[0] for row in tables["paper-A_from_A"].rows]
    assert "classifier frozen from A (joint, of another seed), the rest trained" in rows
    assert "paper only: A, softmax layers frozen from B" in rows


def test_errors_of_words_do_not_stand_in_a_column_of_characters(both: Path) -> None:
    """Studies of characters and of pieces of words in one folder, in the one table of all trainings."""
    first = {which: joint(1, experiment=which).id for which in "AB"}
    found = collect(both)
    for results in (found.studies["B"], found.studies["B_from_A"]):
        for node in {step.node for result in results for step in result.steps}:
            settings = f"model: {MODELS['B']}\ntext: {{unit: bpe, vocab_size: 30}}\nrun: {{}}\n"
            (both / "nodes" / node / "config.yaml").write_text(settings)
    found = collect(both)
    table = trainings_table(found, found.roles)
    assert table.header[3:] == ["errors", "epochs", "best", "dev error", "dev loss", "test error", "minutes"]
    rows = {row[0]: row for row in table.rows}
    # Of 100 characters 20 are wrong, of 20 words 9.
    assert rows[first["A"]][3:] == ["CER %", "8", "6", "30.00", "30.00", "20.00", "1.2"]
    assert rows[first["B"]][3:] == ["WER %", "8", "6", "50.00", "30.00", "45.00", "1.2"]
    for which, line in (("A", "(CER %) | 30.00 |"), ("B", "(WER %) | 50.00 |")):
        assert f"| dev, which chose the epoch {line}" in card(found, first[which], which)
    assert systems_table(found.of_study("B"), systems(found.studies["B"])).header[1] == "test WER %"


def test_a_training_that_has_not_begun_does_not_say_what_the_errors_of_the_others_are(both: Path) -> None:
    """Its settings are not written yet; a report of language models, say, was one of character errors."""
    for path in both.glob("nodes/*/config.yaml"):
        path.write_text(f"model: {MODELS['A']}\ntext: {{unit: bpe, vocab_size: 30}}\nrun: {{}}\n")
    node = min((joint(seed, experiment="A") for seed in range(2, 40)), key=lambda one: one.id)
    Store(both).start(node)
    found = collect(both)
    assert min(found.trainings) == node.id
    assert (found.dev_name, found.dev[joint(1, experiment="A").id]) == ("dev WER %", 50.0)


def test_the_parts_of_eval2000_stand_in_table_3_in_nists_units(both: Path) -> None:
    swbd = both.parents[1].rename(both.parents[2] / "swbd") / "exp" / "ctc_attention"
    for number, folder in enumerate(sorted(swbd.glob("decode/*/test"))):
        score = {"rate": 0.1 + 0.01 * number, "errors": 1}
        parts = {"SWBD": score, "CallHome": {**score, "rate": 0.5}, "all": score}
        (folder / "hub5.json").write_text(json.dumps({"scores": parts, "text": file_hash(folder / "text")}))
    for path in swbd.glob("nodes/*/config.yaml"):
        path.write_text(f"model: {TRANSFORMER}\ntext: {{unit: bpe, vocab_size: 30}}\nrun: {{}}\n")
    found = collect(swbd)
    (table,) = [part for part in build(found) if getattr(part, "name", "") == "paper-A"]
    node = found.studies["A"][0].steps[0].node
    order = sorted(path.parent.name for path in swbd.glob("decode/*/test"))
    assert list(table.rows[0]) == ["joint (paper: joint)", f"{10 + order.index(node):.1f}/50.0", "9.0/18.1"]


def test_a_study_of_another_language_is_scored_on_its_own_test_set(tmp_path: Path) -> None:
    """Both sets are called `test`, as those of `egs/prompts --language` in one folder, and so are utterances:
    English and Spanish have one speaker, and prompts of one name.
    """
    spanish = str.maketrans("abcd", "klmn")
    recipe = write_reference(tmp_path / "prompts")
    store = Store(recipe / "exp" / "voices")
    store.save_results("english", run(store, "A"))
    before = set(store.root.glob("decode/*"))
    source = store.outcome(joint(1, experiment="A"))
    assert source is not None
    sweep = run(store, "F", "depth_sweep", source=Source("english (joint)", source))
    store.save_results("spanish", sweep)
    for folder in set(store.root.glob("decode/*")) - before:
        text = (folder / "test" / "text").read_text()
        (folder / "test" / "text").write_text(text.translate(spanish))
        result = json.loads((folder / "test" / "result.json").read_text())
        result["reference"] = "data/es/test/text"
        (folder / "test" / "result.json").write_text(json.dumps(result))
    reference = recipe / "data" / "es" / "test" / "text"
    reference.parent.mkdir(parents=True)
    reference.write_text((recipe / "data" / "test" / "text").read_text().translate(spanish))

    found = collect(store.root)
    assert found.notes == ()
    text = write_report(store.root).read_text()
    first, second = (line for line in text.splitlines() if line.startswith("`"))
    assert first.startswith("`english`: Top-down: test CER ")
    assert second.startswith("`spanish`: The best of the depth sweep: test CER ")
    errors = found.test
    by_depth = [errors[step.node] for step in sweep[0].steps[1:] if step.point.start == "keep"]
    told = second.partition(
        " From english (joint), by number of frozen lowest blocks, the others trained further: "
    )[2]
    assert told == f"none: {by_depth[-1]:.2f}, 1: {by_depth[0]:.2f}."
    for tag, spoken in (("english", "abcd efghi"), ("spanish", "klmn efghi")):
        (samples,) = (part for part in build(found.of_study(tag)) if isinstance(part, Examples))
        assert {" ".join(word for word, _ in one.lines[0][1]) for one in samples.examples} == {spoken}


def test_the_errors_by_number_of_lowest_blocks_are_not_those_of_the_topmost(experiment: Path) -> None:
    """Where no layer is always new (`fresh: []`), a sweep from another network freezes both ends."""
    found = collect(experiment)
    nodes = [*found.test]
    points = [("none", 0), ("bottom", 1), ("bottom", 2), ("top", 1), ("top", 2)]
    rows = [System(JOINT, {1: nodes[0]}), System("best of the sweep", {1: nodes[1]}, "depth_sweep")]
    for (side, count), node in zip(points, nodes, strict=False):
        point = DepthSweepPoint(side, count, "keep", "english")
        rows.append(System(point.text(), {1: node}, "depth_sweep", point))
    none, one, two = (f"{found.test[node]:.2f}" for node in nodes[:3])
    told = verdict(found, rows, {}).partition("the others trained further: ")[2]
    assert told == f"none: {none}, 1: {one}, 2: {two}."


def test_the_errors_by_number_of_blocks_are_of_the_same_seeds(experiment: Path) -> None:
    """Of a network that was not decoded, the seed counted at the other depths."""
    found = collect(experiment)
    nodes = [*found.test]
    rows = [System(JOINT, {1: nodes[0]}), System("best of the sweep", {1: nodes[1]}, "depth_sweep")]
    for count, seeds in ((0, {1: nodes[0], 2: nodes[1]}), (1, {1: nodes[2], 2: "not decoded"})):
        point = DepthSweepPoint("bottom" if count else "none", count, "keep", "english")
        rows.append(System(point.text(), seeds, "depth_sweep", point))
    told = verdict(found, rows, {}).partition("the others trained further: ")[2]
    assert told == f"none: {found.test[nodes[0]]:.2f}, 1: {found.test[nodes[2]]:.2f}."
    assert f"{found.test[nodes[0]]:.2f}" != f"{(found.test[nodes[0]] + found.test[nodes[1]]) / 2:.2f}"


def test_the_verdicts_rates_are_of_the_seeds_that_it_compares(experiment: Path) -> None:
    """Seed 1: 12 % and 20 %, seed 2: 18 % and 22 %."""
    found = collect(experiment)
    final = next(one.final for one in found.studies["study"] if (one.search, one.seed) == ("greedy", 2))
    for scores, told in [
        (found.scores, "test CER 15.00 %, joint training 21.00 %; against joint training, −6.00 points"),
        (
            {key: one for key, one in found.scores.items() if key != final},
            "test CER 12.00 %, joint training 20.00 %; against joint training, −8.00 points",
        ),
    ]:
        known = dataclasses.replace(found, scores=scores)
        rows = systems(known.studies["study"])
        assert told in verdict(known, rows, compare_systems(known, rows))


@pytest.mark.parametrize(
    ("metric", "told"), [("loss", "epochs chosen by the loss on `dev`"), ("", "epochs chosen on `dev`")]
)
def test_what_chose_the_epochs_is_said(experiment: Path, metric: str, told: str) -> None:
    found = collect(experiment)
    known = {key: dataclasses.replace(one, metric=metric) for key, one in found.trainings.items()}
    assert told in sizes(dataclasses.replace(found, trainings=known))
