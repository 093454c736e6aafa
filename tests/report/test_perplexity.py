"""Language models in the report: perplexities with intervals, from the losses of the test text's spans."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_topdown.bin.main import main
from asr_topdown.decode import perplexity as of_text
from asr_topdown.report import perplexity
from asr_topdown.report.collect import collect
from asr_topdown.report.compare import compare, distinct
from asr_topdown.report.document import Text
from asr_topdown.report.figures import Intervals
from asr_topdown.report.page import build, write_report
from asr_topdown.report.published import AWD_LSTM, published
from asr_topdown.report.records import LANGUAGE, Score
from asr_topdown.report.systems import JOINT, systems
from asr_topdown.report.table import Table
from asr_topdown.report.tables import compare_systems, scores_of, systems_table
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Request, advance
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.score.seeds import holm

BLOCKS = (("lstm.0",), ("softmax",))
SEEDS, SPANS, WORDS = (1, 2, 3), 250, 70


def joint(seed: int) -> Node:
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=3, patience=0)


def loss_of(node: Node) -> float:
    """Nats per word; retraining gains 0.1."""
    return 5.0 + 0.02 * (node.init_seed % 1000) - (0.1 if node.frozen == ("softmax",) else 0.0)


def pretend(store: Store, node: Node, text: np.ndarray) -> None:
    """Train and score `node`; `text` is how much harder each span is than the mean."""
    loss = loss_of(node)
    with store.lock(node) as folder:
        lines = []
        for i in (1, 2, 3):
            now = loss + 0.3 - i / 10
            values = {"train_loss": 6 - i / 10, "dev_loss": now, "dev_ppl": math.exp(now)}
            lines.append({"kind": "epoch", "epoch": i, "step": i, **values, "best": True, "seconds": 1.0})
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "config.yaml").write_text(
            "model: {kind: awd_lstm, num_layers: 1, embedding_size: 4}\ntrain: {metric: loss}\nrun: {}\n"
        )
        text_size = {"name": "train.txt", "utterances": 0, "words": 900, "hours": 0.0}
        about = {
            "layers": [["lstm.0", 90], ["softmax", 50]],
            "train": text_size,
            "dev": text_size,
            "machine": "a toy",
        }
        (folder / "about.json").write_text(json.dumps(about))
        metrics = {"dev_loss": loss, "dev_ppl": math.exp(loss)}
        store.finish(Outcome(node=node, error=loss, best_epoch=3, epochs=3, seconds=9.0, metrics=metrics))
    noise = np.random.default_rng(node.init_seed % 2**31).normal(0, 0.2, SPANS)
    nats = WORDS * (loss + text + noise - noise.mean())
    target = store.root / "decode" / node.id / "test"
    target.mkdir(parents=True)
    total = nats.sum() / (SPANS * WORDS)
    (target / "spans.json").write_text(json.dumps({"nats": nats.tolist(), "words": [WORDS] * SPANS}))
    result = {"loss": total, "ppl": math.exp(total), "seconds": 2.0, "node": node.id}
    (target / "result.json").write_text(json.dumps(result))


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("egs") / "wikitext2" / "exp" / "lm")
    text = np.random.default_rng(0).normal(0, 0.5, SPANS)
    text -= text.mean()
    results = []
    studies = [Study(joint(seed), BLOCKS) for seed in SEEDS]
    for search in of_studies(studies, searches=("greedy", "freeze_top"), controls=("scratch",)):
        said = advance(search)
        while isinstance(said, Request):
            for node in said.nodes:
                if store.outcome(node) is None:
                    pretend(store, node, text)
            said = advance(search, [store.outcome(node) for node in said.nodes])
        results.append(said)
    store.save_results("study", results)
    return store.root


def test_a_difference_is_that_of_the_perplexities_in_the_table(language: Path) -> None:
    found = collect(language)
    assert (found.kind, found.notes) == (LANGUAGE, ())
    rows = systems(found.studies["study"])
    differences = compare_systems(found, rows)
    one = differences[JOINT]["step 1"]
    assert one is not None
    # loss 5 + 0.02 seed of the joint models, 0.1 less of the retrained ones
    expected = np.mean([math.exp(5 + 0.02 * seed - 0.1) - math.exp(5 + 0.02 * seed) for seed in SEEDS])
    assert one.difference == pytest.approx(expected)
    low, high = one.interval
    assert low < expected < high < 0
    assert one.p_value < 0.001
    different = list(distinct(differences).values())
    assert one.corrected in holm(different)
    assert one.p_value < one.corrected <= len(different) * one.p_value
    assert (one.better, one.seeds) == (3, 3)
    table = systems_table(found, rows, differences)
    assert list(table.header[1:3]) == ["test perplexity", "dev perplexity"]
    (cells,) = [row for row in table.rows if row[0] == "step 1"]
    assert cells[3].startswith(f"−{abs(expected):.2f} [−")
    parts = build(found)
    said = " ".join(part.text for part in parts if isinstance(part, Text))
    assert "mean perplexities over the seeds that both have (negative: lower than the baseline) with" in said
    (forest,) = (part for part in parts if isinstance(part, Intervals))
    assert "Left of the line: better than the baseline." in forest.caption


def test_only_the_named_studies_are_scored(
    language: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`score --exp --results` scored every model, those of another study's text and words too."""
    store = Store(language)
    by_seed = store.load_results("study")
    store.save_results("first", [one for one in by_seed if (one.search, one.seed) == ("greedy", 1)])
    scored: list[str] = []
    monkeypatch.setattr(of_text, "score_text", lambda folder, *_: scored.append(folder.name))
    try:
        assert main(["score", str(language / "test.txt"), "--exp", str(language), "--results", "first"]) == 0
        own = {step.node for one in store.load_results("first") for step in one.steps}
        assert sorted(scored) == sorted(own)
        assert len(own) == 2 < len(list(store.nodes()))
        said = capsys.readouterr().out
        assert [line for line in said.splitlines() if line.startswith("## Study")] == ["## Study `first`"]
        assert said.count("| `") == 2
        assert main(["score", str(language / "test.txt"), "--exp", str(language), "--results", "other"]) == 1
        assert "other.json: no such results; there are first, study" in capsys.readouterr().err
    finally:
        (language / "results" / "first.json").unlink()


def test_an_option_for_transcripts_is_refused(language: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--units", "char"), ("--seed", "0"), ("--resamples", "9")):
        assert main(["score", str(language / "test.txt"), "--exp", str(language), option, value]) == 1
        assert f"{option} has no effect on language models" in capsys.readouterr().err


def test_models_are_scored_on_one_thread(language: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads beside other work took minutes for a text of 30,000 words, where one took seconds."""
    used: list[int] = []
    monkeypatch.setattr(of_text, "score_text", lambda *_: used.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        perplexity.score_experiment(language, language / "test.txt")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(used) == {1}
    assert len(used) == len(list(Store(language).nodes()))


def test_no_difference_is_found_where_there_is_none() -> None:
    """Of 60 pairs of equally good models about one in twenty may come out beyond chance."""
    generator, found = np.random.default_rng(1), 0
    for _ in range(60):
        text = generator.normal(5, 0.5, 100)
        first, second = ({s: score(text + generator.normal(0, 0.3, 100)) for s in SEEDS} for _ in range(2))
        one = compare(first, second, LANGUAGE)
        assert one is not None
        found += one.beyond_chance
    assert found <= 7


def test_the_interval_is_that_of_the_difference_s_spread() -> None:
    """Seeds alike, 100 pieces: the standard error of the mean difference, times the perplexity."""
    generator = np.random.default_rng(2)
    text, change = generator.normal(5, 0.5, 100), generator.normal(-0.05, 0.1, 100)
    one = compare(dict.fromkeys(SEEDS, score(text + change)), dict.fromkeys(SEEDS, score(text)), LANGUAGE)
    assert one is not None
    assert one.interval is not None
    mean = math.exp(float(text.mean()))
    spread = mean * float(change.std()) / 10
    assert one.difference == pytest.approx(math.exp(float((text + change).mean())) - mean)
    width = one.interval[1] - one.interval[0]
    assert width / (2 * 1.984 * spread) == pytest.approx(1, abs=0.05)  # Student's t with 99 degrees


def score(nats: np.ndarray) -> Score:
    parts = {str(i): (50 * float(value), 50.0) for i, value in enumerate(nats)}
    return Score(float(nats.mean()), parts, {}, 1.0)


def test_table_4_stands_beside_ours(language: Path) -> None:
    found = collect(language)
    assert published(found) is AWD_LSTM
    (table,) = [part for part in build(found) if isinstance(part, Table) and part.name == "paper-study"]
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["joint (paper: joint)"][-1] == "68.7/65.6"
    own = "top frozen, the rest retrained from"
    names = [f"{own} the same initial weights", *(f"{own} other initial weights ({i})" for i in (1, 2))]
    theirs = {1: "68.2/65.3", 2: "68.2/65.2", 3: "68.1/65.2"}
    ppl = [math.exp(5 + 0.02 * seed - 0.1) for seed in SEEDS]
    for number, name in enumerate(names, 1):
        row = rows[f"{name} (paper: topmost layer frozen, rest retrained, seed {number})"]
        assert row[-1] == theirs[number]
        assert row[:3] == [f"{one:.1f}/{one:.1f}" for one in ppl]
    assert "paper only: AWD-LSTM as published (Merity et al. 2018)" in rows


def test_the_report_says_whether_it_helped(language: Path) -> None:
    text = write_report(language).read_text()
    assert "Top-down: test perplexity " in text
    assert "against joint training, a lower perplexity, beyond chance (−" in text
    assert "Scoring test took 2.0 s (mean of 15)." in text
    html = (language / "report" / "report.html").read_text()
    assert '"error":"dev perplexity"' in html
    assert "M(1, 1)" in html
    assert "Trained on `train.txt` (900 words)" in text


def test_scores_of_another_cut_of_the_text_are_not_compared(language: Path) -> None:
    found = collect(language)
    by_name = {row.name: scores_of(found, row) for row in systems(found.studies["study"])}
    other = {seed: Score(5.0, {"0": (5.0, 1.0)}, {}, 1.0) for seed in SEEDS}
    assert compare(other, by_name[JOINT], LANGUAGE) is None


def test_what_was_scored_before_spans_were_kept_is_said(language: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lm"
    copy.mkdir()
    for name in ("nodes", "results"):
        (copy / name).symlink_to(language / name)
    for result in language.glob("decode/*/test/result.json"):
        target = copy / result.relative_to(language)
        target.parent.mkdir(parents=True)
        target.write_text(result.read_text())
    found = collect(copy)
    assert found.notes == (
        "Some perplexities were computed without the loss of each span: "
        "run `asr-topdown score` again for intervals.",
    )
    differences = compare_systems(found, systems(found.studies["study"]))
    assert all(one is None for each in differences.values() for one in each.values())
