"""The card in a model's folder."""

import dataclasses
import json

import pytest

import asr_topdown
from asr_topdown.files import link
from asr_topdown.report.card import write_cards
from asr_topdown.report.collect import collect
from asr_topdown.report.page import write_report
from asr_topdown.report.records import CHARACTERS, LABELS
from asr_topdown.score.significance import bootstrap_rate


@pytest.fixture
def named(experiment):
    """The experiment with its networks' names; name -> its node."""
    found = collect(experiment)
    roles = {role: key for key, role in found.roles.items()}
    names = {"joint_seed1": roles["joint, seed 1"], "final_seed1": roles["step 1, seed 1"]}
    for name, key in names.items():
        link(experiment / "nodes" / key, experiment / "models" / name)
    return names


def test_the_report_writes_the_cards_of_networks_with_names(experiment, named):
    unnamed = next(key for key in collect(experiment).trainings if key not in named.values())
    # As `link` leaves it if it is killed before the link has its name.
    (experiment / "models" / ".final_seed2.host-1.abcd.tmp").symlink_to(experiment / "nodes" / unnamed)
    write_report(experiment)
    cards = {path.parent.name for path in experiment.glob("nodes/*/README.md")}
    assert cards == set(named.values())


def test_a_card_says_what_kind_of_network_it_is_of(experiment, named):
    found = collect(experiment)
    key = named["joint_seed1"]
    for kind, name in (
        (CHARACTERS, "A speech recogniser"),
        (LABELS, "A network that gives an utterance one label"),
    ):
        found.trainings[key] = dataclasses.replace(found.trainings[key], kind=kind)
        write_cards(found)
        text = (experiment / "nodes" / key / "README.md").read_text()
        assert f"\n{name}, trained with asr_topdown (card by version {asr_topdown.__version__}).\n" in text


def test_a_card_does_not_call_adapted_layers_frozen(experiment, named):
    found = collect(experiment)
    key = named["final_seed1"]
    training = found.trainings[key]
    node = dataclasses.replace(training.node, lora=2)
    found.trainings[key] = dataclasses.replace(training, node=node)
    write_cards(found)
    text = (experiment / "nodes" / key / "README.md").read_text()
    assert "| softmax | 30 | adapted |\n" in text
    assert "softmax; unchanged except for the added products of their adapters." in text
    # A frozen layer without a matrix that can be adapted is what it was.
    assert training.about is not None
    both = dataclasses.replace(node, frozen=("blstm.1", "softmax"))
    about = dataclasses.replace(training.about, adapted=("blstm.1",))
    found.trainings[key] = dataclasses.replace(training, node=both, about=about)
    write_cards(found)
    text = (experiment / "nodes" / key / "README.md").read_text()
    assert "| blstm.1 | 120 | adapted |\n| softmax | 30 | frozen |" in text


def test_what_a_card_says(experiment, named):
    (path,) = [one for one in write_cards(collect(experiment)) if one.parent.name == named["final_seed1"]]
    text = path.read_text()
    assert text.startswith(f"# {experiment.name}: final_seed1\n")
    # toy_experiment: one seed's step 1 makes 16 errors in 100 characters, by utterance as below.
    errors = [2, 2, 2, 2, 2, 2, 2, 1, 1, 0]
    interval = bootstrap_rate(errors, [10] * 10, resamples=2000)
    assert f"| test | 16.00 | {100 * interval.low:.2f} … {100 * interval.high:.2f} |" in text
    assert "The interval is for other utterances (bootstrap), not for other seeds." in text
    assert "- In its study: step 1, seed 1.\n" in text
    assert "- What was trained: softmax frozen, the rest re-initialised, seed 1000001.\n" in text
    assert "- Frozen: softmax; unchanged by the training, bit for bit.\n" in text
    assert f"- Started from the network `{named['joint_seed1']}`, epoch " in text
    assert "| trained on | train | 40 | 80 | 0.05 | not known |" in text
    assert "250 parameters, input first" in text
    assert "| blstm.1 | 120 | trained |\n| softmax | 30 | frozen |" in text


def test_the_datas_licence_and_the_library_of_the_products_are_on_the_card(experiment, named, tmp_path):
    from asr_topdown.corpora import licences

    about = experiment / "nodes" / named["joint_seed1"] / "about.json"
    values = json.loads(about.read_text())
    licences.write(tmp_path, " CC0,\n by | all ")
    values["train"]["licence"] = licences.read(tmp_path)
    values["products"] = "torch"
    about.write_text(json.dumps(values))
    (path,) = [one for one in write_cards(collect(experiment)) if one.parent.name == named["joint_seed1"]]
    assert "| trained on | train | 40 | 80 | 0.05 | CC0, by \\| all |" in path.read_text()
    assert f"- Machine: {values['machine']}; float32 products: torch.\n" in path.read_text()
    assert "- What was trained: all layers from scratch, seed 1.\n" in path.read_text()


@pytest.mark.parametrize(
    ("average", "told"),
    [("{best: 3}", "the best 3 epochs"), ("{last: 10}", "the last 8 epochs"), (None, "")],
)
def test_a_card_says_that_the_weights_are_an_average(experiment, named, average, told):
    """Beside its best epoch, 6 of 8, of which it did not have the weights alone."""
    for path in experiment.glob("nodes/*/config.yaml"):
        if average:
            path.write_text(path.read_text().replace("metric: cer", f"metric: cer, average: {average}"))
    (path,) = [one for one in write_cards(collect(experiment)) if one.parent.name == named["joint_seed1"]]
    assert "- Best epoch 6 of 8, 1.2 minutes.\n" in path.read_text()
    assert (f"- Its weights are the average of {told}.\n" in path.read_text()) == bool(told)
    assert ("average" in path.read_text()) == bool(told)


def test_utterances_that_were_not_trained_on_are_told(experiment, named):
    for path in experiment.glob("nodes/*/about.json"):
        values = json.loads(path.read_text())
        values["train"]["left_out"] = 3
        path.write_text(json.dumps(values))
    (path,) = [one for one in write_cards(collect(experiment)) if one.parent.name == named["joint_seed1"]]
    assert "| trained on | train | 40 (3 left out) | 80 | 0.05 | not known |" in path.read_text()
    told = "Trained on `train` (40 utterances, 80 words, 0.05 hours, 3 utterances left out); epochs"
    assert told in write_report(experiment).read_text()


def test_a_network_that_was_not_decoded_has_a_card_too(experiment, named):
    for folder in (experiment / "decode").iterdir():
        for file in folder.rglob("result.json"):
            file.unlink()
    for path in write_cards(collect(experiment)):
        assert "| test | – | – |" in path.read_text()
