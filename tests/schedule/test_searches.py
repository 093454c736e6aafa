"""Searches beyond the greedy one, played on made-up outcomes."""

import dataclasses
import json
import random

import pytest

from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.protocol import bottom, retraining_seed, top
from asr_topdown.schedule.search import (
    Soonest,
    Subset,
    best_of_scratch,
    bottom_up,
    depth_sweep,
    derived_seed,
    epoch_scan,
    exhaustive,
    freeze_keep,
    freeze_up,
    greedy,
    halving,
    random_top,
    study,
    subset_scan,
)

BLOCKS = [(f"blstm.{i}",) for i in range(4)] + [("softmax",)]
NAMES = tuple(name for block in BLOCKS for name in block)


def joint(seed=1, **changes):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=16, patience=0, **changes)


def outcome(node, error, best_epoch=3, epochs=None):
    return Outcome(
        node=node, error=error, best_epoch=best_epoch, epochs=epochs or node.epochs, seconds=1.0, metrics={}
    )


def play(search, error_of, *, shuffle=None, best_epoch=3):
    """Answer with `error_of(node, known nodes)`; what is wanted soonest comes in random order, one by one."""
    known, told = {}, None
    while True:
        try:
            wanted = next(search) if told is None else search.send(told)
        except StopIteration as stop:
            nodes = [one.node for one in known.values()]
            return nodes, stop.value
        new = [node for node in wanted if node.id not in known]
        if isinstance(wanted, Soonest) and shuffle is not None:
            assert new == list(wanted), "a finished node was asked for again"
            new = [shuffle.choice(wanted)]
        for node in new:
            best = min(best_epoch, node.epochs)
            known[node.id] = outcome(node, error_of(node, {k: o.node for k, o in known.items()}), best)
        told = [known[node.id] for node in wanted if node.id in known]


def composition_of(node, known):
    """[i, j, ..., r] of a node, from what it and its ancestors froze."""
    frozen = []
    while node.parent is not None:
        frozen.append(len(node.frozen))
        assert node.frozen == tuple(sorted(top(BLOCKS, len(node.frozen))))
        node = known[node.parent.node]
    parts, last = [], 0
    for count in reversed(frozen):
        parts.append(count - last)
        last = count
    return (*parts, len(BLOCKS) - last)


def test_exhaustive_makes_each_composition_once_with_shared_prefixes():
    """All 2^(n-1) compositions of n, in any order of arrival, and the same result."""
    results = []
    for order in range(5):
        found = []

        def error(node, known, found=found):
            composition = composition_of(node, known)
            found.append(composition)
            return random.Random(str(composition)).random()

        nodes, result = play(exhaustive(joint(), BLOCKS), error, shuffle=random.Random(order))
        assert len(nodes) == len(set(found)) == len(result.steps) == 2 ** (len(BLOCKS) - 1)
        assert all(sum(composition) == len(BLOCKS) for composition in found)
        results.append(result)
    assert len({json.dumps(dataclasses.asdict(result)) for result in results}) == 1
    order = [step.point["composition"] for step in results[0].steps]
    assert order == sorted(order, key=lambda composition: (len(composition), composition))
    assert [step.role for step in results[0].steps][:3] == ["joint", "M(1, 4)", "M(2, 3)"]


def test_exhaustive_finds_what_greedy_provably_does_not():
    """The best cascade goes through a model that is worse than the joint one, where Algorithm 1 stops."""
    table = {(5,): 0.5, (1, 4): 0.6, (2, 3): 0.7, (2, 1, 2): 0.1}

    def error(node, known):
        return table.get(composition_of(node, known), 0.8)

    _, short = play(greedy(joint(), BLOCKS), error)
    _, longer = play(greedy(joint(), BLOCKS, go_on=True), error)
    _, full = play(exhaustive(joint(), BLOCKS), error, shuffle=random.Random(0))
    assert short.final == longer.final == joint().id
    (best,) = [step for step in full.steps if step.node == full.final]
    assert (best.role, best.error, best.point) == ("M(2, 1, 2)", 0.1, {"composition": [2, 1, 2]})
    assert [step.role for step in full.steps if step.accepted] == ["joint", "M(2, 3)", "M(2, 1, 2)"]


def test_exhaustive_holds_whatever_greedy_trains():
    def error(node, known):
        return random.Random(str(composition_of(node, known))).random()

    everything, _ = play(exhaustive(joint(), BLOCKS), error)
    for go_on in (False, True):
        nodes, _ = play(greedy(joint(), BLOCKS, go_on=go_on), error)
        assert {node.id for node in nodes} <= {node.id for node in everything}


@pytest.mark.parametrize(("most", "trainings"), [(1, 5), (2, 11), (3, 15), (4, 16), (9, 16)])
def test_exhaustive_up_to_a_number_of_retrainings(most, trainings):
    nodes, result = play(exhaustive(joint(), BLOCKS, most=most), lambda node, known: 0.5)
    assert len(nodes) == trainings
    assert result.final == joint().id  # of equal ones the first


def test_epoch_scan_freezes_the_classifier_of_every_epoch_on_other_data():
    onto = dataclasses.replace(joint(4), train_set="unseen", epochs=9)
    errors = {p: abs(p - 11) / 100 for p in range(17)}
    nodes, result = play(
        epoch_scan(joint(4), BLOCKS, onto, classifier=2, repeats=2),
        lambda node, known: errors[node.parent.epoch] if node.parent else 0.3,
    )
    assert len(nodes) == 1 + 16 * 2
    for node in nodes[1:]:
        assert (node.train_set, node.epochs, node.frozen) == ("unseen", 9, ("blstm.3", "softmax"))
        assert (node.parent.node, node.start) == (joint(4).id, "reinit")
    assert len({node.init_seed for node in nodes[1:]}) == 2  # one for each repeat, the same at every epoch
    assert [step.point for step in result.steps[1:4]] == [
        {"p": 1, "repeat": 1},
        {"p": 1, "repeat": 2},
        {"p": 2, "repeat": 1},
    ]
    (best,) = [step for step in result.steps[1:] if step.accepted]
    assert (best.node, best.point) == (result.final, {"p": 11, "repeat": 1})
    nodes, _ = play(epoch_scan(joint(4), BLOCKS, onto, every=5), lambda node, known: 0.5)
    assert [node.parent.epoch for node in nodes[1:]] == [5, 10, 15]


def test_subset_scan_repeats_the_extractor_of_each_subset():
    onto = dataclasses.replace(joint(), train_set="unseen")
    shares = (5, 20, 80)
    subsets = [
        Subset(f"train_p{share:02}", 10 * share, share, dataclasses.replace(joint(), train_set=f"s{share}"))
        for share in shares
    ]

    def error(node, known):
        share = int((known[node.parent.node] if node.parent else node).train_set[1:])
        return (1 - share / 100) / (2 if node.parent else 1)

    results = []
    for order in range(3):
        search = subset_scan(subsets, BLOCKS, onto, classifier=2, repeats=5)
        nodes, result = play(search, error, shuffle=random.Random(order))
        assert len(nodes) == 3 * (1 + 5)
        results.append(json.dumps(dataclasses.asdict(result)))
    assert len(set(results)) == 1
    extractors = [node for node in nodes if node.parent]
    assert {node.train_set for node in extractors} == {"unseen"}
    assert {node.frozen for node in extractors} == {("blstm.3", "softmax")}
    assert len({node.init_seed for node in extractors}) == 5
    assert [step.role for step in result.steps[:4]] == [
        "joint train_p05",
        "joint train_p20",
        "joint train_p80",
        "train_p05 repeat 1",
    ]
    assert result.steps[-1].point == {"subset": "train_p80", "utterances": 800, "percent": 80, "repeat": 5}
    assert result.final == result.steps[-5].node


def test_depth_sweep_freezes_every_bottom_and_every_top():
    nodes, result = play(
        depth_sweep(joint(), BLOCKS, starts=("reinit", "keep", "rewind:2")), lambda node, known: 0.5
    )
    assert len(nodes) == len(result.steps) == 1 + 3 * 2 * 4 + 1
    points = {(s.point["side"], s.point["frozen"], s.point["start"]): s.node for s in result.steps[1:]}
    by_id = {node.id: node for node in nodes}
    for k in range(1, 5):
        for start in ("reinit", "keep", "rewind:2"):
            low, high = by_id[points["bottom", k, start]], by_id[points["top", k, start]]
            assert (low.frozen, low.start) == (tuple(sorted(bottom(BLOCKS, k))), start)
            assert (high.frozen, high.start) == (tuple(sorted(top(BLOCKS, k))), start)
    fine_tuned = by_id[points["none", 0, "keep"]]
    assert (fine_tuned.frozen, fine_tuned.fresh, fine_tuned.start) == ((), (), "keep")
    # The tops that are retrained from new weights are cascades that other searches know.
    everything, _ = play(exhaustive(joint(), BLOCKS), lambda node, known: 0.5)
    assert {points["top", k, "reinit"] for k in range(1, 5)} < {node.id for node in everything}


def test_depth_sweep_from_another_corpus_has_a_new_output_layer():
    source = outcome(
        Node(experiment="o", train_set="o", init_seed=1, epochs=5, patience=0), 0.2, best_epoch=4
    )
    nodes, result = play(
        depth_sweep(joint(), BLOCKS, source=source, name="fsdd", fresh=("softmax",), lora=8),
        lambda node, known: 0.5,
    )
    arms = [(s.point["side"], s.point["frozen"], s.point["start"]) for s in result.steps[1:]]
    assert arms == [
        *(("bottom", k, "reinit") for k in range(1, 5)),
        *(("bottom", k, "keep") for k in range(1, 5)),
        ("none", 0, "keep"),
        ("bottom", 5, "lora"),
    ]
    assert {s.point["source"] for s in result.steps[1:]} == {"fsdd"}
    by_role = {s.role: s.node for s in result.steps}
    # Both ways of training what is above four frozen layers are the linear probe: one node.
    assert by_role["bottom 4 reinit"] == by_role["bottom 4 keep"]
    by_id = {node.id: node for node in nodes}
    tuned = by_id[by_role["bottom 2 keep"]]
    assert tuned == dataclasses.replace(
        joint(),
        parent=Parent(experiment="o", node=source.node.id, epoch=4),
        frozen=("blstm.0", "blstm.1"),
        start="keep",
        fresh=("softmax",),
        init_seed=retraining_seed(1),
    )
    adapted = by_id[by_role["bottom 5 lora"]]
    assert (adapted.lora, adapted.frozen) == (8, NAMES[:4])
    assert len(nodes) == 1 + 4 + 3 + 1 + 1


def test_halving_gives_most_epochs_to_what_leads():
    """The best (i, p) is found with a fraction of the epochs that trying all in full would take."""

    def error(node, known):
        if node.parent is None:
            return 0.5
        good = abs(len(node.frozen) - 2) + abs(node.parent.epoch - 11)
        return 0.2 + 0.01 * good + 0.1 / node.epochs

    nodes, result = play(halving(joint(), BLOCKS, budget=2, levels=1), error)
    (final,) = [node for node in nodes if node.id == result.final]
    assert (len(final.frozen), final.parent.epoch, final.epochs) == (2, 11, 16)
    rungs = {}
    for step in result.steps[1:]:
        rungs.setdefault((step.point["rung"], step.point["budget"]), []).append(step.accepted)
    assert {key: (len(told), sum(told)) for key, told in rungs.items()} == {
        (1, 2): (64, 32),
        (2, 4): (32, 16),
        (3, 8): (16, 8),
        (4, 16): (8, 1),
    }
    # A continued training is the same node with a larger budget: only `epochs` differs.
    continued = {dataclasses.replace(node, epochs=16) for node in nodes if node.epochs == 8}
    assert {node for node in nodes if node.epochs == 16 and node.parent} <= continued
    last = result.steps[-1].point
    assert (last["budget"], last["rung"], len(last["composition"]), len(last["p"])) == (16, 4, 2, 1)


def test_halving_goes_down_until_nothing_is_better():
    def error(node, known):
        return {(5,): 0.5, (1, 4): 0.4, (1, 2, 2): 0.3}.get(composition_of(node, known), 0.6)

    _, result = play(halving(joint(), BLOCKS, budget=4, factor=4, every=8), error)
    won = [step for step in result.steps if step.accepted and step.point["budget"] in (0, 16)]
    assert [step.point["composition"] for step in won] == [[5], [1, 4], [1, 2, 2]]
    assert len(won[-1].point["p"]) == 2
    assert result.final == won[-1].node


def test_controls():
    seeds = {}
    for control in (best_of_scratch(joint(), 4), freeze_keep(joint(), BLOCKS), random_top(joint(), BLOCKS)):
        nodes, result = play(control, lambda node, known: 0.5)
        seeds[result.search] = [node.init_seed for node in nodes]
    assert seeds["best_of"] == [1, *(derived_seed(1, "scratch", i) for i in (1, 2, 3))]
    nodes, _ = play(freeze_keep(joint(), BLOCKS), lambda node, known: 0.5)
    assert (nodes[1].frozen, nodes[1].start, nodes[1].parent.node) == (("softmax",), "keep", joint().id)
    nodes, _ = play(random_top(joint(), BLOCKS), lambda node, known: 0.5)
    assert (nodes[1].frozen, nodes[1].parent) == (("softmax",), None)
    assert nodes[1].init_seed == derived_seed(1, "random_top", 1)


@pytest.mark.parametrize("name", ["freeze_up", "bottom_up"])
def test_upwards_is_algorithm_1_upside_down(name):
    make = {"freeze_up": freeze_up, "bottom_up": bottom_up}[name]
    errors = iter([0.5, 0.4, 0.3, 0.35])
    nodes, result = play(make(joint(), BLOCKS), lambda node, known: next(errors))
    assert [step.accepted for step in result.steps] == [True, True, True, False]
    assert result.final == nodes[2].id
    for i, node in enumerate(nodes[1:], 1):
        above = tuple(sorted(top(BLOCKS, 5 - i)))
        assert node.parent.node == nodes[i - 1].id
        if name == "freeze_up":
            assert (node.frozen, node.start) == (bottom(BLOCKS, i), "reinit")
        else:
            assert (node.frozen, node.start, node.fresh) == ((), "keep", above)


def test_scratch_follows_the_exhaustive_search():
    searches = study(
        [joint()], BLOCKS, searches=[lambda joint: exhaustive(joint, BLOCKS, most=2)], controls=("scratch",)
    )
    _, result = play(searches[1], lambda node, known: 0.5)
    assert result.search == "scratch"
    assert len(result.steps) == 11


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: next(epoch_scan(joint(), BLOCKS, joint(), classifier=5)), "1 to 4 blocks"),
        (lambda: next(subset_scan([], BLOCKS, joint())), "at least one"),
        (lambda: next(halving(joint(), BLOCKS, factor=1)), "does not grow"),
        (lambda: next(exhaustive(joint(frozen=("softmax",)), BLOCKS)), "frozen layers"),
    ],
)
def test_what_cannot_be_searched_is_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()
