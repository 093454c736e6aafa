"""From a node's tuning to its network's layers, in numbers."""

from dataclasses import replace

import pytest
from networks import blstm_ctc, make

from asr_topdown.runs.layer_plan import layer_plan
from asr_topdown.schedule.node import Node, Parent
from asr_topdown.schedule.tuning import PLAIN, Tuning
from asr_topdown.train.layerwise import Layerwise

KEPT = Node(
    experiment="e",
    train_set="t",
    parent=Parent(experiment="e", node="n", epoch=1),
    start="keep",
    init_seed=1,
    epochs=9,
    patience=0,
)
NEW_TOP = replace(KEPT, fresh=("softmax",))
LOWEST_FROZEN = replace(NEW_TOP, frozen=("blstm.0",))
MODEL = make(blstm_ctc(3, 2), features=3)


def plan(node: Node, **tuning: object) -> Layerwise:
    return layer_plan(replace(node, tuning=Tuning(**tuning)), MODEL, {})  # type: ignore[arg-type]


def test_rates_fall_from_the_output_to_the_input() -> None:
    three = {"blstm.2": 0.5, "blstm.1": 0.25, "blstm.0": 0.125}
    assert plan(NEW_TOP, layer_decay=0.5).rates == three
    assert plan(KEPT, layer_decay=0.5).rates == {"softmax": 1.0, **three}
    # A layer's rate does not depend on what is frozen, and a new one's never falls.
    assert plan(LOWEST_FROZEN, layer_decay=0.5).rates == three
    middle = replace(KEPT, fresh=("blstm.1",))
    assert plan(middle, layer_decay=0.5).rates == {"softmax": 1.0, "blstm.2": 0.5, "blstm.0": 0.125}


def test_layers_are_unfrozen_from_the_top() -> None:
    assert plan(NEW_TOP, unfreeze_every=2).from_epoch == {"blstm.2": 3, "blstm.1": 5, "blstm.0": 7}
    assert plan(KEPT, unfreeze_every=1).from_epoch == {"blstm.2": 2, "blstm.1": 3, "blstm.0": 4}
    assert plan(LOWEST_FROZEN, unfreeze_every=1).from_epoch == {"blstm.2": 2, "blstm.1": 3}


def test_what_is_taken_over_is_held_for_some_steps() -> None:
    held = plan(NEW_TOP, freeze_steps=7)
    assert held.from_step == {"blstm.2": 8, "blstm.1": 8, "blstm.0": 8}
    assert (held.held(1, 7), held.held(1, 8)) == (frozenset(held.from_step), frozenset())
    assert plan(KEPT, freeze_steps=7).from_step.keys() == {"blstm.2", "blstm.1", "blstm.0"}


def test_penalties_are_of_what_is_trained() -> None:
    both = plan(LOWEST_FROZEN, l2_sp=0.5, l2_new=0.25)
    assert both.towards_start == {"blstm.1": 0.5, "blstm.2": 0.5}
    assert both.towards_zero == {"softmax": 0.25}


def test_penalties_by_the_experiment() -> None:
    experiments = {"blstm.0,blstm.2": 0.1, "blstm.1": 0.0, "softmax": 0.5}
    found = layer_plan(replace(KEPT, tuning=PLAIN), MODEL, experiments)
    assert found.towards_zero == {"blstm.0": 0.1, "blstm.1": 0.0, "blstm.2": 0.1, "softmax": 0.5}
    new = layer_plan(replace(NEW_TOP, tuning=Tuning(l2_new=0.25)), MODEL, experiments)
    assert new.towards_zero["softmax"] == 0.25
    with pytest.raises(
        ValueError, match=r"train\.layer_l2: no layer matches 'sofmax'; the layers are blstm\.0"
    ):
        layer_plan(KEPT, MODEL, {"sofmax": 0.1})


@pytest.mark.parametrize("patterns", [("blstm.*", "blstm.1"), ("blstm.1", "blstm.*"), ("top:1", "softmax")])
def test_penalties_do_not_depend_on_the_order_of_patterns(patterns: tuple[str, ...]) -> None:
    # Settings in another order have the same name, and so must mean the same.
    with pytest.raises(ValueError, match=r"train\.layer_l2: '.*' and '.*' both match (blstm\.1|softmax)"):
        layer_plan(KEPT, MODEL, dict.fromkeys(patterns, 0.1))


@pytest.mark.parametrize("node", [KEPT, LOWEST_FROZEN, replace(KEPT, parent=None, start="reinit")])
def test_nothing_is_said_of_a_plain_training(node: Node) -> None:
    assert layer_plan(replace(node, tuning=PLAIN), MODEL, {}) == Layerwise()
