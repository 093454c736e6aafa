"""The page without a browser: well-formed, complete, self-contained, escaped, with report.md's numbers."""

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asr_topdown.report import markdown
from asr_topdown.report.collect import collect
from asr_topdown.report.document import Curves
from asr_topdown.report.html import page
from asr_topdown.report.page import build, write_report
from asr_topdown.report.records import LABELS, LANGUAGE
from asr_topdown.report.tree import forest, layer_cells
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Parent

VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADS = {"src", "href", "srcset", "poster", "action", "xlink:href"}


class Page(HTMLParser):
    """What is in a page; fails where elements do not close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "table":
            self._rows = self.tables[str(dict(attrs)["id"])] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag == "br":
            self._rows[-1][-1] += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)
        if {"td", "th"} & set(self.open):
            self._rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def markdown_tables(text: str) -> list[list[list[str]]]:
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    rows = [[line.strip("| \n").split(" | ") for line in table.splitlines()] for table in found]
    return [[[cell.strip("`") for cell in row] for row in [table[0], *table[2:]]] for table in rows]


@pytest.fixture(scope="module")
def written(reported: Path) -> Page:
    return Page((reported / "report" / "report.html").read_text())


def test_every_node_is_in_the_tree_once(written: Page, reported: Path) -> None:
    nodes = [one["data-node"] for one in written.all("li") if "data-node" in one]
    assert sorted(nodes) == sorted(node.id for node in Store(reported).nodes())
    buttons = [one for one in written.all("button") if one.get("class") == "node"]
    assert [one["aria-controls"] for one in buttons] == [f"c-{node}" for node in nodes]
    ids = [attributes["id"] for _, attributes in written.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    linked = [str(one["href"])[1:] for one in written.all("a")]
    assert set(linked) <= set(ids)


def test_children_are_below_their_parents(reported: Path) -> None:
    text = (reported / "report" / "report.html").read_text()
    nodes = [step.node for step in Store(reported).load_results("study")[0].steps]
    places = [text.index(f'id="n-{node}"') for node in nodes]
    between = text[places[0] : places[1]], text[places[1] : places[2]]
    assert all(part.count('<ul class="below">') == 1 and "</ul>" not in part for part in between)
    # the frozen layers of step 2, said in words for those who do not see the strip
    assert 'aria-label="blstm.0 new weights; blstm.1 frozen; softmax frozen"' in text
    assert "M(1, 1, 1)" in text


def test_learning_curves_are_named_by_the_kind_of_their_own_trainings(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of several kinds, all plots had the units of its first training."""
    found = collect(experiment)
    first, second, third = [*found.trainings][:3]
    for key, kind in ((second, LABELS), (third, LANGUAGE)):
        found.trainings[key] = dataclasses.replace(found.trainings[key], kind=kind)
    named = {}
    monkeypatch.setattr(
        markdown, "plot_trainings", lambda path, _, **names: named.update({path.name: tuple(names.values())})
    )
    curves = {"one": [first], "two": [second], "three": [third], "all": [first, second, third]}
    parts = [Curves(name, [(key, "") for key in keys]) for name, keys in curves.items()]
    markdown.write(found, parts, tmp_path)
    assert named == {
        "one.png": ("greedy dev CER %", "loss (nats/utterance)"),
        "two.png": ("dev label error %", "loss (nats/utterance)"),
        "three.png": ("dev perplexity", "loss (nats/word)"),
        "all.png": ("dev error", "loss"),
    }
    text = page(found, build(found))
    assert '"loss":"loss","error":"dev error"' in text
    assert "trees count layers, not blocks" in text
    assert "the dev error (with <code>schedule.criterion: loss</code>, the dev loss) does not grow" in text


def test_a_random_top_is_no_joint_training(experiment: Path) -> None:
    """Frozen as initialised, it has no parent either; M(3) is the notation of joint training."""
    found = collect(experiment)
    key, joint = next((key, one) for key, one in found.trainings.items() if one.node.is_joint)
    node = dataclasses.replace(joint.node, frozen=("softmax",))
    trainings = {key: joint, node.id: dataclasses.replace(joint, node=node)}
    shown = {one.id: one.schedule for one in forest(dataclasses.replace(found, trainings=trainings))}
    assert shown == {key: "M(3)", node.id: "softmax frozen"}


def test_nothing_is_loaded(written: Page) -> None:
    for tag, attributes in written.elements:
        for name in LOADS & attributes.keys():
            assert str(attributes[name]).startswith(("#", "data:")), (tag, attributes)
    styles = "".join(written.texts["style"])
    assert "@import" not in styles
    assert "url(" not in styles
    policy = [one for one in written.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy[0]["content"]).startswith("default-src 'none'")


def test_the_numbers_are_those_of_report_md_and_of_the_csv_files(written: Page, reported: Path) -> None:
    folder = reported / "report"
    in_markdown = markdown_tables((folder / "report.md").read_text())
    assert list(written.tables.values()) == in_markdown
    assert list(written.tables) == ["table-systems-study", "table-paper-study", "table-trainings"]
    for name, rows in written.tables.items():
        with (folder / f"{name.removeprefix('table-')}.csv").open(newline="") as file:
            in_csv = list(csv.reader(file))
        assert [row[0] for row in in_csv[1:]] == [row[0] for row in rows[1:]]
        assert "−" not in "".join(map("".join, in_csv))
    assert in_csv == rows


def test_the_curves_are_those_of_metrics_jsonl(written: Page, reported: Path) -> None:
    data = json.loads(written.texts["script"][0])
    for node in Store(reported).nodes():
        lines = (Store(reported).node_dir(node) / "metrics.jsonl").read_text().splitlines()
        epochs = [record for record in map(json.loads, lines) if record["kind"] == "epoch"]
        drawn = data["nodes"][node.id]
        assert drawn["epochs"] == [record["epoch"] for record in epochs]
        assert drawn["train"] == pytest.approx([record["train_loss"] for record in epochs], rel=1e-4)
        assert drawn["error"] == pytest.approx([100 * record["dev_cer"] for record in epochs], rel=1e-4)
        assert drawn["best"] == 6


def test_every_text_is_escaped(experiment: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"
    results = json.loads((experiment / "results" / "study.json").read_text())
    greedy = results["searches"][0]
    joint, second = greedy["steps"][:2]
    point = {"source": evil, "source_node": joint["node"]}
    own = {"search": "transplant", "steps": [joint, {**second, "point": point}], "final": second["node"]}
    results["searches"].append({**greedy, **own})
    (experiment / "results" / "study.json").write_text(json.dumps(results))
    moved = experiment.rename(experiment.with_name("a <b>&"))
    found = collect(moved)
    text = page(found, build(found))
    assert "<script>alert" not in text
    assert len(Page(text).all("script")) == 2  # the data and the program
    assert "a &lt;b&gt;&amp;" in text


def test_what_comes_from_outside_is_escaped_in_markdown(experiment: Path) -> None:
    """A transcript, a folder and a source that look like markup are text in report.md."""
    evil = "<b>*a* [x](http://e.vil) `c` | d"
    results = json.loads((experiment / "results" / "study.json").read_text())
    greedy = results["searches"][0]
    joint, second = greedy["steps"][:2]
    point = {"source": evil, "source_node": joint["node"]}
    own = {"search": "transplant", "steps": [joint, {**second, "point": point}], "final": second["node"]}
    results["searches"].append({**greedy, **own})
    (experiment / "results" / "study.json").write_text(json.dumps(results))
    moved = experiment.rename(experiment.with_name("a <b>_c_"))
    text = write_report(moved).read_text()
    assert text.startswith("# a \\<b\\>\\_c\\_\n")
    escaped = r"\<b\>\*a\* \[x\](http://e.vil) \`c\` \| d"
    assert f"| classifier frozen from {escaped}, the rest trained |" in text
    outside = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<b|(?<!!)(?<!\\)\[x", outside)


def test_layers_that_are_new_in_any_case_are_drawn_new(experiment: Path) -> None:
    """A transfer arm keeps the source's layers except the output layer, which has other units."""
    training = next(iter(collect(experiment).trainings.values()))
    parent = Parent(experiment="o", node="n", epoch=1)
    node = dataclasses.replace(
        training.node, parent=parent, start="keep", frozen=("blstm.0",), fresh=("softmax",)
    )
    cells = layer_cells(dataclasses.replace(training, node=node))
    assert cells == (("blstm.0", "frozen"), ("blstm.1", "trained on"), ("softmax", "new weights"))


def test_some_utterances_are_shown_with_their_errors(written: Page, reported: Path) -> None:
    """Seed 1's last network errs 2 2 2 1 1 1 1 1 1 0 times: the middle, three quarters, the worst."""
    text = (reported / "report" / "report.html").read_text()
    shown = re.findall(r'<figure class="example"><figcaption><code>(\w+)</code>', text)
    assert shown == ["utt7", "utt0", "utt2"]
    assert text.count("<dt>said</dt><dd>abcd efghi</dd>") == 3
    assert "<dt>top-down</dt><dd><mark>xxcd</mark> efghi</dd>" in text
    assert (
        "- `utt0`\n  - said: abcd efghi\n  - joint: **xxxd** efghi\n"
        in (reported / "report" / "report.md").read_text()
    )


def test_a_page_of_many_trainings_stays_small(written: Page, reported: Path) -> None:
    """Style, program and words take some 30 kB, a training of eight epochs 2 kB."""
    size = (reported / "report" / "report.html").stat().st_size
    trainings = len(Store(reported).nodes())
    assert size < 45_000 + 2_500 * trainings


def test_a_training_that_only_began(experiment: Path) -> None:
    node = Store(experiment).nodes()[0]
    folder = Store(experiment).node_dir(node)
    for name in ("metrics.jsonl", "done.json", "config.yaml"):
        (folder / name).unlink()
    found = collect(experiment)
    text = page(found, build(found))
    assert f'id="n-{node.id}"' in text
    assert json.loads(Page(text).texts["script"][0])["nodes"][node.id]["epochs"] == []
    assert "not finished" in text
