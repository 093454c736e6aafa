import dataclasses
import hashlib
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.tuning import Tuning

PARENT = Parent(experiment="e" * 16, node="a" * 16, epoch=11)
JOINT = Node(experiment="e" * 16, train_set="t" * 16, init_seed=1, epochs=50, patience=5)
STEP = dataclasses.replace(JOINT, parent=PARENT, frozen=("softmax",), init_seed=1000001)


def test_ids_never_change():
    """A changed id would orphan every finished node of every user. Golden: printf '%s' JSON | sha256sum."""
    canonical = (
        '{"epochs":50,"experiment":"eeeeeeeeeeeeeeee","frozen":["softmax"],"init_seed":1000001,'
        '"parent":{"epoch":11,"experiment":"eeeeeeeeeeeeeeee","node":"aaaaaaaaaaaaaaaa"},'
        '"patience":5,"train_set":"tttttttttttttttt"}'
    )
    assert STEP.id == hashlib.sha256(canonical.encode()).hexdigest()[:16] == "f33bed8258ad7157"
    assert JOINT.id == "4e2e242aec7637ea"


def test_json_round_trip():
    tuned = dataclasses.replace(STEP, start="keep", fresh=("b", "a"), lora=2)
    assert tuned.fresh == ("a", "b")
    given_model = dataclasses.replace(tuned, parent=dataclasses.replace(PARENT, weights="f" * 16))
    assert given_model.id != tuned.id
    rewound = dataclasses.replace(STEP, start="rewind:3", frozen_dropout="off")
    for node in (JOINT, STEP, tuned, given_model, rewound):
        again = Node.from_json(json.loads(json.dumps(node.to_json())))
        assert again == node
        assert again.id == node.id


TUNED = dataclasses.replace(STEP, start="keep")
TUNINGS = [
    Tuning(layer_decay=0.5),
    Tuning(layer_decay=0.25),
    Tuning(unfreeze_every=1),
    Tuning(freeze_steps=1),
    Tuning(l2_sp=0.5),
    Tuning(l2_new=0.5),
    Tuning(l2_sp=0.5, l2_new=0.5),
    Tuning(parameters="norms_and_biases"),
]


def test_every_tuning_has_a_name_of_its_own_and_none_has_the_old_one():
    assert dataclasses.replace(TUNED, tuning=Tuning()) == TUNED
    assert "tuning" not in TUNED.to_json()
    nodes = [dataclasses.replace(TUNED, tuning=tuning) for tuning in TUNINGS]
    assert len({node.id for node in [TUNED, *nodes]}) == 1 + len(TUNINGS)
    assert len({node.describe() for node in [TUNED, *nodes]}) == 1 + len(TUNINGS)
    for node in nodes:
        again = Node.from_json(json.loads(json.dumps(node.to_json())))
        assert (again, again.id) == (node, node.id)
    assert nodes[0].to_json()["tuning"] == {"layer_decay": 0.5}
    # A whole number is the same number.
    assert dataclasses.replace(TUNED, tuning=Tuning(l2_sp=1)).to_json()["tuning"] == {"l2_sp": 1.0}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"layer_decay": 0.0}, "layer_decay must be above 0"),
        ({"layer_decay": 1.5}, "layer_decay must be at most 1"),
        ({"layer_decay": float("nan")}, "layer_decay cannot be nan"),
        ({"l2_sp": float("inf")}, "l2_sp cannot be inf"),
        ({"unfreeze_every": -1}, "unfreeze_every must be at least 0"),
        ({"unfreeze_every": 1.0}, "unfreeze_every cannot be 1.0"),
        ({"freeze_steps": True}, "freeze_steps cannot be True"),
        ({"l2_new": -1}, "l2_new must be at least 0"),
        ({"parameters": "biases"}, "all or norms_and_biases, got 'biases'"),
        ({"unfreeze_every": 1, "freeze_steps": 1}, "unfreeze_every and freeze_steps: one of the two"),
    ],
)
def test_tunings_that_cannot_be(values, word):
    with pytest.raises(ValueError, match=word):
        Tuning(**values)


def test_tuning_is_of_what_is_taken_over():
    with pytest.raises(ValueError, match=r"tuning \(L2-SP 0.5\) is of layers that start from a parent's"):
        dataclasses.replace(STEP, tuning=Tuning(l2_sp=0.5))


@given(st.permutations(["softmax", "blstm.3", "blstm.10", "vgg"]))
def test_order_of_frozen_names_does_not_matter(names):
    node = dataclasses.replace(STEP, frozen=tuple(names))
    assert node == dataclasses.replace(STEP, frozen=("blstm.10", "blstm.3", "softmax", "vgg"))


def test_frozen_dropout_means_nothing_without_frozen_layers():
    assert dataclasses.replace(JOINT, frozen_dropout="off") == JOINT
    assert dataclasses.replace(STEP, frozen_dropout="off").id != STEP.id


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"epochs": 0}, "epochs"),
        ({"patience": -1}, "patience"),
        ({"init_seed": -1}, "init_seed"),
        ({"init_seed": True}, "init_seed"),
        ({"init_seed": 1.0}, "init_seed"),
        ({"start": "rewind"}, "start"),
        ({"start": "rewind:-1"}, "start"),
        ({"start": "rewind:01"}, "start"),
        ({"frozen_dropout": "yes"}, "frozen_dropout"),
        ({"frozen": ("softmax", "softmax")}, "softmax"),
        ({"frozen": "softmax"}, "frozen"),
        ({"frozen": ("",)}, "frozen"),
        ({"experiment": ""}, "experiment"),
        ({"start": "keep", "fresh": ("softmax",)}, "both frozen and fresh"),
        ({"fresh": ("blstm.0",)}, "reinit"),
        ({"lora": -1}, "lora"),
        ({"lora": 2, "frozen": ()}, "frozen layers"),
        ({"parent": None, "frozen": (), "start": "keep"}, "keep"),
        ({"parent": None, "frozen": (), "start": "rewind:2"}, "rewind:2"),
    ],
)
def test_wrong_values_are_named(change, word):
    with pytest.raises(ValueError, match=word):
        dataclasses.replace(STEP, **change)


def test_from_json_is_strict():
    good = STEP.to_json()
    for bad, word in [
        ({**good, "init_sed": 1}, "init_sed"),
        ({key: value for key, value in good.items() if key != "epochs"}, "epochs"),
        ({**good, "parent": {**good["parent"], "epochs": 3}}, "epochs"),
        ({**good, "parent": {**good["parent"], "epoch": "3"}}, "epoch"),
        ({**good, "frozen": "softmax"}, "frozen"),
        ({**good, "tuning": {"decay": 0.5}}, "decay"),
        ({**good, "tuning": 0.5}, "object"),
        ([], "object"),
    ]:
        with pytest.raises(ValueError, match=word):
            Node.from_json(bad)


def test_a_node_describes_its_training():
    assert JOINT.describe() == "all layers from scratch, seed 1"
    assert STEP.describe() == "softmax frozen, the rest re-initialised, seed 1000001"
    kept = dataclasses.replace(STEP, frozen=(), start="keep")
    assert kept.describe() == "nothing frozen, weights kept, seed 1000001"
    assert (
        dataclasses.replace(STEP, start="rewind:3")
        .describe()
        .startswith("softmax frozen, the rest from epoch 3")
    )


def test_outcome_round_trip_and_checks():
    outcome = Outcome(node=STEP, error=0.25, best_epoch=3, epochs=8, seconds=1.5, metrics={"cer": 0.25})
    assert Outcome.from_json(STEP, json.loads(json.dumps(outcome.to_json()))) == outcome
    with pytest.raises(ValueError, match="nan"):
        dataclasses.replace(outcome, error=float("nan"))
    with pytest.raises(ValueError, match="best epoch 9 of 8"):
        dataclasses.replace(outcome, best_epoch=9)
    with pytest.raises(ValueError, match="eror"):
        Outcome.from_json(STEP, {**outcome.to_json(), "eror": 1})


def test_standard_library_only():
    """Searches are for any program: no torch, no numpy comes with them."""
    code = (
        "import sys, asr_topdown.schedule.node, asr_topdown.schedule.searches, asr_topdown.study.driver;"
        "print([name for name in ('torch', 'numpy', 'yaml', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_measurements_that_are_no_numbers_were_not_made():
    """A search that goes by the dev loss says so, and a report leaves them out."""
    metrics = {"dev_loss": float("nan"), "dev_cer": float("inf"), "dev_wer": 0.5}
    made = Outcome(node=STEP, error=0.25, best_epoch=3, epochs=8, seconds=1.5, metrics=metrics)
    read = Outcome.from_json(STEP, json.loads(json.dumps(made.to_json())))
    assert read.metrics == {"dev_wer": 0.5}
    with pytest.raises(ValueError, match="its dev loss was not recorded"):
        read.judged_by("loss")
    with pytest.raises(ValueError, match="the epoch of its lowest dev loss was not recorded"):
        read.epoch_of("lowest_loss")
