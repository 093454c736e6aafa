"""`egs/wsj/run.sh` from stage 0 to 7 on a fake WSJ with all its quirks; a tiny network reads its tones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_topdown import config, layers
from asr_topdown.build import build_model
from asr_topdown.corpora.fake import wsj as fake
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.runs.store import Store

SIZES = {
    "train_si84": (4, 70),
    "train_wsj1": (4, 70),
    "test_dev93": (2, 12),
    "test_eval92": (2, 12),
    "test_eval93": (1, 2),
}
TINY = """
include: [blstm_ctc.yaml]
features: {fbank: {num_mels: 20}, deltas: 0}
model: {encoder: [{kind: blstm, num_layers: 2, hidden_size: 32, stack: 3}], ctc: {}}
train: {epochs: 8, patience: 8, utterances_per_batch: 8, optimizer: {name: adam, lr: 0.01, plateau: none}}
schedule: {controls: [freeze_lowest]}
"""


@pytest.fixture
def discs(tmp_path: Path) -> fake.FakeWsj:
    return fake.write(tmp_path / "ldc", SIZES, engine="tones", seconds_each=0.05)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_from_discs_to_report(discs, copy, run_recipe, done_work):
    recipe = copy / "egs" / "wsj"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = [
        "--wsj0",
        str(discs.wsj0),
        "--wsj1",
        str(discs.wsj1),
        "--config",
        "conf/tiny.yaml",
        "--tag",
        "tiny",
    ]
    done = run_recipe("wsj", *options)
    assert done.returncode == 0, done.stdout
    assert "these counts are not those of the known copies" in done.stdout

    for part in ("test_dev93", "test_eval92"):
        lines = (recipe / "data" / part / "text").read_text().splitlines()
        assert dict(line.split(" ", 1) for line in lines) == discs.texts[part]
    assert "<NOISE> " in next((recipe / "data").glob("tokens-*/tokens.txt")).read_text()

    exp = recipe / "exp" / "tiny"
    results = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/test_eval92/result.json")]
    assert len(results) >= 3  # joint, at least one step down, the lowest layer frozen
    # Guessing gives about 90 %.
    assert min(result["cer"] for result in results) < 0.5
    assert "CER" in (exp / "report" / "report.md").read_text()

    before = done_work(exp)
    assert run_recipe("wsj", *options).returncode == 0
    assert done_work(exp) == before

    part = run_recipe("wsj", *options, "--subset", "p20", "--tag", "p20", "--stop-stage", "3")
    assert part.returncode == 0, part.stdout
    (parts,) = (recipe / "data").glob("features-*/parts_5_10_20_40_80")
    assert names(parts) == {f"train_si284_{p}" for p in ("p05", "p10", "p20", "p40", "p80", "unseen")}
    assert len((parts / "train_si284_p20/text").read_text().splitlines()) == 28
    (node,) = (recipe / "exp" / "p20" / "nodes").iterdir()
    assert json.loads((node / "done.json").read_text())["epochs"] >= 1


def test_without_discs_one_line_says_what_is_wanted(copy, run_recipe):
    done = run_recipe("wsj", "--stop-stage", "0")
    assert done.returncode == 1
    assert "prepare: error: the folders of LDC's discs must be given: --wsj0 DIR --wsj1 DIR" in done.stdout


PARTS = ("p05", "p10", "p20", "p40", "p80")
STAND_IN = """#!/bin/sh
case $1 in
    config) echo 0123 ;;
    topdown | score) echo "$@" >>calls ;;
esac
"""


@pytest.fixture
def planned(copy: Path, run_recipe) -> Callable[..., list[list[str]]]:
    """What stages 3 and 4 would run, with a stand-in for the program and everything that they read."""
    (copy / "bin" / "asr-topdown").write_text(STAND_IN)
    recipe = copy / "egs" / "wsj"
    features = recipe / "data" / "features-0123"
    tokens = recipe / "data" / "tokens-0123" / "tokens.txt"
    parts = [f"parts_5_10_20_40_80/train_si284_{part}" for part in (*PARTS, "unseen")]
    for folder in (tokens.parent, *(features / name for name in ("train_si284", "test_dev93", *parts))):
        folder.mkdir(parents=True)
    tokens.touch()

    def plan(*options: str, first: int = 3, last: int = 4) -> list[list[str]]:
        done = run_recipe("wsj", *options, "--stage", str(first), "--stop-stage", str(last))
        assert done.returncode == 0, done.stdout
        calls = [line.split() for line in (recipe / "calls").read_text().splitlines()]
        (recipe / "calls").unlink()
        return calls

    return plan


def value(call: list[str], option: str) -> str:
    return call[call.index(option) + 1]


def test_table_2_runs_every_row_in_one_folder(planned, repository):
    conf = repository / "egs" / "wsj" / "conf"
    lines = (conf / "table2.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    calls = planned("--table", "2", first=4)
    assert len({results for _, results, *_ in rows}) == len(calls)
    for call, (name, results, seeds, *source) in zip(calls, rows, strict=True):
        assert (conf / f"{name}.yaml").is_file()
        assert value(call, "--config") == f"conf/{name}.yaml"
        assert value(call, "--exp") == "exp/table2"
        assert value(call, "--results") == results
        assert f"schedule.seeds=[{seeds}]" in call
        assert [word for word in call if word.startswith("schedule.source=")] == [
            f"schedule.source={one}" for one in source
        ]


def test_table_1_is_joint_training_on_nested_parts(planned):
    calls = planned("--table", "1", "--seeds", "1,2", first=4)
    assert [Path(value(call, "--train")).name for call in calls] == [f"train_si284_{part}" for part in PARTS]
    for call in calls:
        assert "schedule.search=joint" in call
        assert "schedule.seeds=[1,2]" in call
        assert value(call, "--exp") == "exp/section3"  # where Figures 1 and 2 find these trainings


@pytest.mark.parametrize(
    ("options", "exp"),
    [
        (["--table", "2", "--set", "train.epochs=2", "--tag", "short"], "exp/short"),
        (["--table", "2", "--subset", "p20"], "exp/table2_p20"),
        (["--table", "1", "--tag=short"], "exp/short"),
    ],
)
def test_a_table_of_other_settings_or_less_data_is_not_put_in_place_of_the_first(options, exp, planned):
    """`--tag` had no effect with `--table`, and with a subset the folder was that of all data."""
    calls = planned(*options, first=4)
    assert {value(call, "--exp") for call in calls} == {exp}


def test_what_each_row_of_a_table_says_itself_is_refused(copy, run_recipe):
    for option, given in (("--seeds", "1"), ("--results", "mine"), ("--config", "conf/blstm_ctc.yaml")):
        done = run_recipe("wsj", "--table", "2", option, given)
        assert done.returncode == 2
        assert f"{option} {given}: each row of the table has its own, in conf/table2.txt" in done.stdout


def test_figures_1_and_2_scan_the_classifiers(planned):
    for figure, name, parts in (("1", "subset_scan", PARTS), ("2", "epoch_scan", PARTS[-1:])):
        for call in planned("--figure", figure):
            folder, _, train = value(call, "--train").rpartition("/")
            assert train == "train_si284_unseen"
            assert value(call, "--config") == f"conf/{name}.yaml"
            assert value(call, "--exp") == "exp/section3"
            data = call[call.index("--joint-data") + 1 : call.index("--results")]
            assert data == [f"{folder}/train_si284_{part}" for part in parts]
            assert value(call, "--results") == f"figure{figure}"


@pytest.mark.parametrize("options", [["--table", "3"], ["--figure", "3"], ["--table", "1", "--figure", "1"]])
def test_what_the_paper_does_not_have_on_wsj_is_refused(options, copy, run_recipe):
    done = run_recipe("wsj", *options)
    assert done.returncode == 2
    assert "the paper, WSJ has Table 1 and 2 and Figure 1 and 2; name one" in done.stdout


@pytest.mark.parametrize(
    ("name", "size", "dropout"),
    [("blstm_ctc", 123, 0.0), ("blstm_ctc_dropout", 123, 0.5), ("blstm_ctc_80mel", 80, 0.0)],
)
def test_the_rows_of_table_2(repository, name, size, dropout):
    row = config.load(repository / "egs" / "wsj" / "conf" / f"{name}.yaml")
    assert front_end_dim(row.features.fbank, row.features.deltas) == size
    (encoder,) = row.model.encoder
    assert (encoder.num_layers, encoder.hidden_size, encoder.dropout) == (4, 320, dropout)
    assert row.train.patience == 5
    assert "freeze_lowest" in row.schedule.controls


TINY_A = """
include: [blstm_ctc_attention.yaml]
features: {fbank: {num_mels: 20, energy: false}, deltas: 0}
model:
  encoder: [{kind: blstm, num_layers: 1, hidden_size: 32, projection_size: 24, stack: 3}]
  attention:
    {embedding_size: 8, hidden_size: 24, attention_size: 16, location_filters: 2, location_width: 5}
train: {epochs: 4, patience: 4, utterances_per_batch: 8, optimizer: {name: adam, lr: 0.01, plateau: none}}
schedule: {groups: {network: [blstm.0, decoder]}, controls: []}
decode: {beam: 2}
"""
TINY_B = (
    TINY_A.replace("blstm_ctc_attention.yaml", "vgg_ctc_attention.yaml")
    .replace("[{kind: blstm,", "[{kind: vgg}, {kind: blstm,")
    .replace(", stack: 3", "")
    .replace("[blstm.0,", "[vgg, blstm.0,")
)


@pytest.mark.slow
def test_softmax_layers_from_the_other_architecture(discs, copy, run_recipe):
    """Rows "A", "B" and "A, softmax layers frozen from B" of Table 2, in small, in one folder."""
    recipe = copy / "egs" / "wsj"
    (recipe / "conf" / "a.yaml").write_text(TINY_A)
    (recipe / "conf" / "b.yaml").write_text(TINY_B)
    for name, results, source in (("b", "B", []), ("a", "A", []), ("a", "A_from_B", ["--source", "B"])):
        done = run_recipe(
            "wsj", "--wsj0", str(discs.wsj0), "--wsj1", str(discs.wsj1), "--config", f"conf/{name}.yaml",
            "--tag", "both", "--results", results, *source, "--stop-stage", "6",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    exp = recipe / "exp" / "both"
    studies = {
        tag: json.loads((exp / "results" / f"{tag}.json").read_text())["searches"][0]["steps"]
        for tag in ("A", "B", "A_from_B")
    }
    joint, moved = studies["A_from_B"]
    assert joint["node"] == studies["A"][0]["node"]
    node = json.loads((exp / "nodes" / moved["node"] / "node.json").read_text())
    assert (node["parent"]["node"], node["frozen"]) == (studies["B"][0]["node"], ["softmax"])
    assert len(list((exp / "decode").glob("*/test_eval92/result.json"))) == 5
    assert "A_from_B, seed 1: joint against another network's classifier frozen" in done.stdout


def test_softmax_layers_of_a_fit_b(repository):
    """Table 2 freezes those of one architecture in the other."""
    conf = repository / "egs" / "wsj" / "conf"
    a, b = (build_model(config.load(conf / f"{kind}_ctc_attention.yaml"), 49) for kind in ("blstm", "vgg"))
    layers.transplant(a.state_dict(), b, ["softmax"])
    assert layers.fingerprint(a, ["softmax"]) == layers.fingerprint(b, ["softmax"])


QUICK = [
    *("--nj", "1", "--set", "train.epochs=2", "--set", "schedule.controls=[]"),
    *("--set", "schedule.subset_scan.repeats=1", "--set", "schedule.epoch_scan.joint_epochs=2"),
]


def shrink(conf: Path) -> None:
    """Put tiny networks in the place of the rows' own."""
    for name, tiny in (
        ("blstm_ctc", TINY),
        ("blstm_ctc_dropout", TINY.replace("stack: 3", "stack: 3, dropout: 0.5")),
        ("blstm_ctc_attention", TINY_A),
        ("vgg_ctc_attention", TINY_B),
    ):
        row = conf / f"{name}.yaml"
        row.rename(conf / f"full_{name}.yaml")
        row.write_text(tiny.replace("include: [", "include: [full_"))


@pytest.mark.slow
def test_table_1_and_both_figures_in_small(discs, copy, run_recipe):
    recipe = copy / "egs" / "wsj"
    shrink(recipe / "conf")
    exp = recipe / "exp" / "section3"
    options = ["--wsj0", str(discs.wsj0), "--wsj1", str(discs.wsj1), *QUICK]

    def nodes() -> set[str]:
        return {path.parent.name for path in exp.glob("nodes/*/done.json")}

    first = run_recipe("wsj", *options, "--figure", "1")
    assert first.returncode == 0, first.stdout
    assert len(nodes()) == 10  # five joint trainings, an extractor for the classifier of each
    table = run_recipe("wsj", *options, "--table", "1")
    assert table.returncode == 0, table.stdout
    assert len(nodes()) == 10  # its trainings are those of Figure 1
    report = (exp / "report" / "report.md").read_text()
    assert "paper" in report
    for part in PARTS:
        assert f"joint_{part}" in report
    second = run_recipe("wsj", *options, "--figure", "2")
    assert second.returncode == 0, second.stdout
    (scan,) = Store(exp).load_results("figure2")
    assert [step.point.epoch for step in scan.steps[1:]] == [1, 2]


@pytest.mark.slow
def test_table_2_in_small(discs, copy, run_recipe):
    """All rows in one folder, each decoded as its own configuration says, and one page for all of them."""
    recipe = copy / "egs" / "wsj"
    shrink(recipe / "conf")
    done = run_recipe("wsj", "--wsj0", str(discs.wsj0), "--wsj1", str(discs.wsj1), *QUICK, "--table", "2")
    assert done.returncode == 0, done.stdout
    store = Store(recipe / "exp" / "table2")
    names = {"blstm_ctc", "blstm_ctc_dropout", "A", "B", "A_from_B", "B_from_A"}
    assert set(store.tags()) == names
    report = (store.root / "report" / "report.md").read_text()
    assert all(f"`{name}`" in report for name in names)
    methods = {}
    for name in names:
        for step in store.load_results(name)[0].steps:
            result = store.root / "decode" / step.node / "test_eval92" / "result.json"
            methods.setdefault(name, set()).add(json.loads(result.read_text())["decode"]["method"])
    assert methods == {name: {"greedy" if name.startswith("blstm") else "joint_beam"} for name in names}
