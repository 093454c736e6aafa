"""Searches other than the greedy one, played on invented outcomes."""

import dataclasses
import json
import random

import pytest
from plays import BLOCKS, joint, make, make_all, outcome, play

from asr_topdown.report.systems import systems
from asr_topdown.schedule.blocks import bottom, top
from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.epoch_scan import EpochScanPoint
from asr_topdown.schedule.exhaustive import ExhaustivePoint
from asr_topdown.schedule.node import Node, Parent
from asr_topdown.schedule.protocol import advance
from asr_topdown.schedule.results import result_from_json, result_to_json
from asr_topdown.schedule.searches import (
    SEARCHES,
    SPECS,
    first_nodes,
    joint_node,
    of_studies,
    step_name,
)
from asr_topdown.schedule.seeds import derived_seed, retraining_seed
from asr_topdown.schedule.spec import Source, Study, Subset
from asr_topdown.schedule.subset_scan import SubsetScanPoint
from asr_topdown.schedule.tuning import Tuning

NAMES = tuple(name for block in BLOCKS for name in block)
SOURCE = outcome(Node(experiment="o", train_set="o", init_seed=1, epochs=5, patience=0), 0.2, best_epoch=4)


def names(result):
    return [step_name(result.search, step) for step in result.steps]


def subsets(*shares):
    return tuple(
        Subset(f"train_p{share:02}", 10 * share, share, joint(train_set=f"s{share}")) for share in shares
    )


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

        nodes, result = play(make("exhaustive"), error, shuffle=random.Random(order))
        assert len(nodes) == len(set(found)) == len(result.steps) == 2 ** (len(BLOCKS) - 1)
        assert all(sum(composition) == len(BLOCKS) for composition in found)
        results.append(result)
    assert len({json.dumps(dataclasses.asdict(result)) for result in results}) == 1
    order = [step.point.composition for step in results[0].steps[1:]]
    assert order == sorted(order, key=lambda composition: (len(composition), composition))
    assert names(results[0])[:3] == ["joint", "M(1, 4)", "M(2, 3)"]


def test_exhaustive_finds_what_greedy_provably_does_not():
    """The best cascade goes through a model that is worse than the joint one, where Algorithm 1 stops."""
    table = {(5,): 0.5, (1, 4): 0.6, (2, 3): 0.7, (2, 1, 2): 0.1}

    def error(node, known):
        return table.get(composition_of(node, known), 0.8)

    _, short = play(make("greedy"), error)
    _, longer = play(make("greedy", settings={"stop_when_worse": False}), error)
    _, full = play(make("exhaustive"), error, shuffle=random.Random(0))
    assert short.final == longer.final == joint().id
    (best,) = [step for step in full.steps if step.node == full.final]
    assert (best.error, best.point) == (0.1, ExhaustivePoint((2, 1, 2)))
    taken = dataclasses.replace(full, steps=tuple(step for step in full.steps if step.accepted))
    assert names(taken) == ["joint", "M(2, 3)", "M(2, 1, 2)"]


def test_exhaustive_holds_whatever_greedy_trains():
    def error(node, known):
        return random.Random(str(composition_of(node, known))).random()

    everything, _ = play(make("exhaustive"), error)
    for stop in (False, True):
        nodes, _ = play(make("greedy", settings={"stop_when_worse": stop}), error)
        assert {node.id for node in nodes} <= {node.id for node in everything}


@pytest.mark.parametrize(("retrainings", "trainings"), [(1, 5), (2, 11), (3, 15), (4, 16), (9, 16)])
def test_exhaustive_up_to_a_number_of_retrainings(retrainings, trainings):
    search = make("exhaustive", settings={"max_retrainings": retrainings})
    nodes, result = play(search, lambda node, known: 0.5)
    assert len(nodes) == trainings
    assert result.final == joint().id  # of equal ones the first


def test_epoch_scan_freezes_the_classifier_of_every_epoch_on_other_data():
    onto = joint(4, train_set="unseen", epochs=9)
    data = Subset("train_p80", 80, 80.0, joint(4))
    errors = {p: abs(p - 11) / 100 for p in range(17)}
    nodes, result = play(
        make("epoch_scan", onto, subsets=(data,), settings={"repeats": 2}),
        lambda node, known: errors[node.parent.epoch] if node.parent else 0.3,
    )
    assert len(nodes) == 1 + 16 * 2
    for node in nodes[1:]:
        assert (node.train_set, node.epochs, node.frozen) == ("unseen", 9, ("blstm.3", "softmax"))
        assert (node.parent.node, node.start) == (joint(4).id, "reinit")
    assert len({node.init_seed for node in nodes[1:]}) == 2  # one for each repeat, the same at every epoch
    assert [step.point for step in result.steps[1:4]] == [
        EpochScanPoint(1, 1),
        EpochScanPoint(1, 2),
        EpochScanPoint(2, 1),
    ]
    (best,) = [step for step in result.steps[1:] if step.accepted]
    assert (best.node, best.point) == (result.final, EpochScanPoint(11, 1))
    settings = {"epoch_stride": 5, "top_blocks": 1, "joint_epochs": 11}
    nodes, _ = play(make("epoch_scan", joint(4, patience=3), settings=settings), lambda node, known: 0.5)
    assert nodes[0] == joint(4, epochs=11, patience=0)
    assert [node.parent.epoch for node in nodes[1:]] == [5, 10]
    assert {(node.frozen, node.epochs, node.patience) for node in nodes[1:]} == {(("softmax",), 16, 3)}


def test_subset_scan_repeats_the_extractor_of_each_subset():
    def error(node, known):
        share = int((known[node.parent.node] if node.parent else node).train_set[1:])
        return (1 - share / 100) / (2 if node.parent else 1)

    results = []
    for order in range(3):
        search = make("subset_scan", joint(train_set="unseen"), subsets=subsets(5, 20, 80))
        nodes, result = play(search, error, shuffle=random.Random(order))
        assert len(nodes) == 3 * (1 + 5)
        results.append(json.dumps(dataclasses.asdict(result)))
    assert len(set(results)) == 1
    extractors = [node for node in nodes if node.parent]
    assert {node.train_set for node in extractors} == {"unseen"}
    assert {node.frozen for node in extractors} == {("blstm.3", "softmax")}
    assert len({node.init_seed for node in extractors}) == 5
    assert names(result)[:4] == [
        "joint, on train_p05",
        "joint, on train_p20",
        "joint, on train_p80",
        "classifier of train_p05, repeat 1",
    ]
    assert result.steps[-1].point == SubsetScanPoint("train_p80", 800, 80, 5)
    assert result.final == result.steps[-5].node


def test_depth_sweep_freezes_every_bottom_and_every_top():
    nodes, result = play(
        make("depth_sweep", settings={"starts": ("reinit", "keep", "rewind:2")}), lambda node, known: 0.5
    )
    assert len(nodes) == len(result.steps) == 1 + 3 * 2 * 4 + 1
    points = {(s.point.side, s.point.frozen, s.point.start): s.node for s in result.steps[1:]}
    by_id = {node.id: node for node in nodes}
    for k in range(1, 5):
        for start in ("reinit", "keep", "rewind:2"):
            low, high = by_id[points["bottom", k, start]], by_id[points["top", k, start]]
            assert (low.frozen, low.start) == (tuple(sorted(bottom(BLOCKS, k))), start)
            assert (high.frozen, high.start) == (tuple(sorted(top(BLOCKS, k))), start)
    fine_tuned = by_id[points["none", 0, "keep"]]
    assert (fine_tuned.frozen, fine_tuned.fresh, fine_tuned.start) == ((), (), "keep")
    # The tops that are retrained from new weights are cascades that other searches know.
    everything, _ = play(make("exhaustive"), lambda node, known: 0.5)
    assert {points["top", k, "reinit"] for k in range(1, 5)} < {node.id for node in everything}


RIVALS = (Tuning(layer_decay=0.5), Tuning(unfreeze_every=2, l2_sp=0.1))


def test_the_rivals_of_freezing_are_arms():
    source = Source("joint_seed1", SOURCE, weights="w")
    settings = {"starts": ("keep",), "rivals": RIVALS, "rival_depths": None, "renew_top": True}
    nodes, result = play(make("depth_sweep", source=source, settings=settings), lambda node, known: 0.5)
    by_id = {node.id: node for node in nodes}
    assert len(by_id) == len(result.steps)  # each is a training of its own
    for number, tuning in enumerate(RIVALS):
        own = result.steps[6 + 4 * number :][:4]
        assert [(one.point.side, one.point.frozen) for one in own] == [
            ("none", 0), ("bottom", 1), ("bottom", 2), ("bottom", 3),
        ]  # fmt: skip
        assert {by_id[one.node].tuning for one in own} == {tuning}
        assert {one.point.tuning for one in own} == {tuning.text()}
        for depth, one in enumerate(own):
            node = by_id[one.node]
            assert (node.frozen, node.start, node.fresh) == (bottom(BLOCKS, depth), "keep", ("softmax",))
            assert node.parent == Parent(experiment="o", node=SOURCE.node.id, epoch=4, weights="w")
    renewed = [step for step in result.steps if step.point and step.point.renewed]
    assert [step.point.renewed for step in renewed] == [2, 3, 4]  # one block is new anyway
    for step in renewed:
        node, fresh = by_id[step.node], tuple(sorted(top(BLOCKS, step.point.renewed)))
        assert (node.frozen, node.start, node.fresh) == ((), "keep", fresh)
    # What was there before there were rivals keeps its name.
    plain = make("depth_sweep", source=source, settings={"starts": ("keep",)})
    before, _ = play(plain, lambda node, known: 0.5)
    assert set(before) < set(nodes)


def test_rivals_stand_at_depth_0_if_nothing_is_said():
    _, result = play(make("depth_sweep", settings={"rivals": RIVALS}), lambda node, known: 0.5)
    assert [step.point.frozen for step in result.steps if step.point and step.point.tuning] == [0, 0]


def test_depth_sweep_on_parts_of_the_data():
    for source in (None, Source("b", SOURCE)):
        parts = subsets(20, 50)
        search = make("depth_sweep", parts=parts, source=source, settings={"starts": ("keep",)})
        nodes, result = play(search, lambda node, known: 0.1 if node.train_set == "s20" else 0.5)
        by_id = {node.id: node for node in nodes}
        count = len(result.steps) // 3
        whole, *over_parts = (result.steps[number * count :][:count] for number in range(3))
        arms = [on_all(step.point) for step in whole[1:]]
        for part, own in zip(parts, over_parts, strict=True):
            assert {by_id[step.node].train_set for step in own} == {part.joint.train_set}
            assert {(step.point.part, step.point.percent) for step in own} == {(part.name, part.percent)}
            assert (own[0].node, own[0].point.start) == (part.joint.id, "scratch")
            assert [on_all(step.point) for step in own[1:]] == arms
            parents = {by_id[step.node].parent.node for step in own[1:]}
            # Without a source a part's own joint training is where its layers come from.
            assert parents == {SOURCE.node.id if source else part.joint.id}
            assert own[1].point.text().endswith(f", on {part.percent} % of the data")
        # A network of less data is never the search's, however good.
        assert result.final in {step.node for step in whole}
        assert [step for step in result.steps if step.accepted and step.point] == [whole[1]]


def on_all(point):
    return dataclasses.replace(point, part="", percent=100.0)


def test_depth_sweep_from_another_corpus_has_a_new_output_layer():
    search = make("depth_sweep", source=Source("fsdd (joint)", SOURCE), settings={"lora": 8})
    nodes, result = play(search, lambda node, known: 0.5)
    arms = [(s.point.side, s.point.frozen, s.point.start) for s in result.steps[1:]]
    assert arms == [
        *(("bottom", k, "reinit") for k in range(1, 5)),
        *(("bottom", k, "keep") for k in range(1, 5)),
        ("none", 0, "keep"),
        ("bottom", 5, "lora"),
    ]
    assert {(s.point.source, s.point.fresh) for s in result.steps[1:]} == {("fsdd (joint)", ("softmax",))}
    by_arm = {arm: step.node for arm, step in zip(arms, result.steps[1:], strict=True)}
    # Both ways of training what is above four frozen layers are the linear probe: one node.
    assert by_arm["bottom", 4, "reinit"] == by_arm["bottom", 4, "keep"]
    by_id = {node.id: node for node in nodes}
    tuned = by_id[by_arm["bottom", 2, "keep"]]
    assert tuned == dataclasses.replace(
        joint(),
        parent=Parent(experiment="o", node=SOURCE.node.id, epoch=4),
        frozen=("blstm.0", "blstm.1"),
        start="keep",
        fresh=("softmax",),
        init_seed=retraining_seed(1),
    )
    adapted = by_id[by_arm["bottom", 5, "lora"]]
    assert (adapted.lora, adapted.frozen) == (8, NAMES[:4])
    assert len(nodes) == 1 + 4 + 3 + 1 + 1


def test_halving_gives_most_epochs_to_what_leads():
    """The best (i, p) is found with a fraction of the epochs that trying all in full would take."""

    def error(node, known):
        if node.parent is None:
            return 0.5
        good = abs(len(node.frozen) - 2) + abs(node.parent.epoch - 11)
        return 0.2 + 0.01 * good + 0.1 / node.epochs

    nodes, result = play(make("halving", settings={"max_retrainings": 1}), error)
    (final,) = [node for node in nodes if node.id == result.final]
    assert (len(final.frozen), final.parent.epoch, final.epochs) == (2, 11, 16)
    rungs = {}
    for step in result.steps[1:]:
        rungs.setdefault((step.point.rung, step.point.budget), []).append(step.accepted)
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
    assert (last.budget, last.rung, len(last.composition), len(last.parent_epochs)) == (16, 4, 2, 1)


def test_halving_goes_down_until_nothing_is_better():
    def error(node, known):
        return {(5,): 0.5, (1, 4): 0.4, (1, 2, 2): 0.3}.get(composition_of(node, known), 0.6)

    _, result = play(make("halving", settings={"budget": 4, "factor": 4, "epoch_stride": 8}), error)
    won = [step for step in result.steps[1:] if step.accepted and step.point.budget == 16]
    assert [step.point.composition for step in won] == [(1, 4), (1, 2, 2)]
    assert len(won[-1].point.parent_epochs) == 2
    assert result.final == won[-1].node


def test_controls():
    nodes, _ = play(make("best_of", settings={"trainings": 4}), lambda node, known: 0.5)
    assert [node.init_seed for node in nodes] == [1, *(derived_seed(1, "scratch", i) for i in (1, 2, 3))]
    for epoch, taken in ((0, 3), (7, 7)):  # 0: the best, which is 3 in these outcomes
        nodes, _ = play(make("freeze_keep", settings={"epoch": epoch}), lambda node, known: 0.5)
        assert nodes[1].parent == Parent(experiment="e", node=joint().id, epoch=taken)
        assert (nodes[1].frozen, nodes[1].start) == (("softmax",), "keep")
    nodes, _ = play(make("random_top"), lambda node, known: 0.5)
    assert (nodes[1].frozen, nodes[1].parent) == (("softmax",), None)
    assert nodes[1].init_seed == derived_seed(1, "random_top", 1)


def test_freeze_top_retrains_below_one_frozen_top_from_the_same_and_from_other_initial_weights():
    """Table 4 of the paper: four trainings."""
    nodes, result = play(make("freeze_top"), [0.5, 0.3, 0.2, 0.25])
    assert [node.init_seed for node in nodes] == [1, 1, retraining_seed(1), retraining_seed(1, 2)]
    assert {node.frozen for node in nodes[1:]} == {("softmax",)}
    assert {node.parent.node for node in nodes[1:]} == {joint().id}
    assert result.final == nodes[2].id
    assert names(result)[1:] == [
        "top frozen, the rest retrained from the same initial weights",
        "top frozen, the rest retrained from other initial weights (1)",
        "top frozen, the rest retrained from other initial weights (2)",
    ]
    steps, _ = play(make("greedy"), [0.5, 0.6])
    assert nodes[2] == steps[1]  # what two searches have in common is trained once


@pytest.mark.parametrize("name", ["freeze_up", "bottom_up"])
def test_upwards_is_algorithm_1_upside_down(name):
    nodes, result = play(make(name), [0.5, 0.4, 0.3, 0.35])
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
    searches = make_all(
        [joint()],
        searches=("exhaustive",),
        controls=("scratch",),
        settings=lambda name: SPECS[name].settings(
            **({"max_retrainings": 2} if name == "exhaustive" else {})
        ),
    )
    _, result = play(searches[1], lambda node, known: 0.5)
    assert result.search == "scratch"
    assert len(result.steps) == 11


def test_joint_trains_what_the_studys_searches_begin_with():
    """Also where a search begins with another joint training than `train` says."""
    data = Subset("train_p20", 20, 20, joint(4, train_set="s20"))
    study = Study(joint(4), BLOCKS, subsets=(data,))
    long = {"joint_epochs": 30}
    options = {
        "searches": ("joint",),
        "settings": lambda name: SPECS[name].settings(**(long if name == "epoch_scan" else {})),
    }
    for begin_with, wanted in [
        ((), [joint(4)]),
        (("greedy", "exhaustive"), [joint(4)]),
        (("greedy", "epoch_scan"), [joint(4), joint(4, train_set="s20", epochs=30)]),
    ]:
        (search,) = of_studies([study], begin_with=begin_with, **options)
        nodes, result = play(search, lambda node, known: 0.5)
        assert nodes == wanted
        assert result.final == joint(4).id


def test_joint_trainings_on_subsets_alone_are_not_the_studys_joint_training():
    """`topdown --search joint` linked `joint_seed1` to the network of the smallest subset."""
    study = Study(joint(train_set="unseen"), BLOCKS, subsets=subsets(20, 80))
    (search,) = of_studies([study], searches=("joint",), begin_with=("subset_scan",))
    nodes, result = play(search, [0.5, 0.4])
    assert nodes == [subset.joint for subset in subsets(20, 80)]
    assert joint_node([result]) is None
    assert systems([result]) == []


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_can_be_saved_replayed_and_read(name):
    """In any order of its nodes: the same result, and the same points when read back."""
    options = {"source": Source("b (joint)", SOURCE), "subsets": subsets(20, 80), "parts": subsets(50)}
    results = []
    for order in range(2):
        search = make(name, **options)
        errors = lambda node, known: random.Random(node.id).random()  # noqa: E731
        _, result = play(search, errors, shuffle=random.Random(order))
        results.append(json.dumps(result_to_json(result)))
        assert result_from_json(json.loads(results[-1])) == result
        assert result.search == name
        assert all(isinstance(step.point, SPECS[name].point) for step in result.steps if step.point)
        assert all(names(result))
        assert result.final in {step.node for step in result.steps}
    assert results[0] == results[1]


def test_every_search_and_control_has_a_line_of_help_and_a_label_of_its_own():
    assert all(20 < len(spec.help) < 120 for spec in SPECS.values())
    labels = [spec.label for spec in SPECS.values()]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (DepthSweepPoint("none", 0, "keep"), "nothing frozen, all layers trained on"),
        (DepthSweepPoint("bottom", 1, "reinit"), "lowest block frozen, the rest re-initialised"),
        (DepthSweepPoint("top", 2, "rewind:3"), "topmost 2 blocks frozen, the rest rewound to epoch 3"),
        (
            DepthSweepPoint("bottom", 3, "keep", "fsdd (joint)", ("softmax",)),
            "lowest 3 blocks frozen, the rest trained on, from fsdd (joint), softmax new",
        ),
        (DepthSweepPoint("bottom", 5, "lora"), "all layers frozen, low-rank adapters trained"),
        (
            DepthSweepPoint("none", 0, "keep", tuning=Tuning(layer_decay=0.8).text()),
            "nothing frozen, all layers trained on (rates × 0.8 from layer to layer)",
        ),
        (
            DepthSweepPoint("none", 0, "keep", "b", ("softmax",), renewed=2),
            "nothing frozen, upper 2 blocks new, the rest trained on, from b, softmax new",
        ),
        (
            DepthSweepPoint("none", 0, "scratch", part="train_p25", percent=25.0),
            "from scratch, on 25 % of the data",
        ),
    ],
)
def test_a_sweeps_arms_are_told_in_words(point, text):
    assert point.text() == text


def test_joint_alone_begins_with_the_studys_own():
    smaller, own = joint(train_set="s20"), joint()
    search = make("joint", own, beginnings=(smaller, own))
    nodes, result = play(search, [0.5, 0.4])
    assert nodes == [own, smaller]
    assert result.final == own.id


def test_a_joint_training_that_ends_before_the_first_epoch_to_try_is_said():
    early = lambda node, error: outcome(node, error, epochs=4)  # noqa: E731
    scan = make("epoch_scan", joint(4, patience=3), settings={"epoch_stride": 5})
    said = "epoch_scan.epoch_stride: is 5, and the joint training of seed 4 ended after epoch 4"
    with pytest.raises(ValueError, match=said):
        play(scan, lambda node, known: 0.5, outcome_of=early)


@pytest.mark.parametrize(
    ("search", "word"),
    [
        (lambda: advance(make("epoch_scan", settings={"top_blocks": 5})), "1 to 4 of 5 blocks"),
        (lambda: advance(make("subset_scan")), "--joint-data"),
        (lambda: advance(make("transplant")), "schedule.source"),
        (lambda: make("halving", settings={"factor": 1}), "factor must be at least 2, got 1"),
        (lambda: make("depth_sweep", settings={"starts": ("rewind",)}), "'rewind'"),
        (lambda: advance(make("depth_sweep", settings={"fresh": ("softmix",)})), "softmix"),
        (
            lambda: advance(make("depth_sweep", settings={"fresh": top(BLOCKS, len(BLOCKS))})),
            r"schedule\.depth_sweep\.fresh: names all layers, so that none is transferred",
        ),
        (
            lambda: advance(make("depth_sweep", settings={"rivals": RIVALS, "rival_depths": (5,)})),
            "rival_depths: must be from 0 to 4, got 5",
        ),
        (lambda: make("depth_sweep", settings={"rivals": (Tuning(),)}), "plain training is always an arm"),
        (lambda: first_nodes([make("exhaustive", joint(frozen=("softmax",)))]), "frozen layers"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, word):
    with pytest.raises(ValueError, match=word):
        search()


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("seed is listed twice: 1, 1", {"joints": [joint(1), joint(1)]}),
        ("search is listed twice: greedy, greedy", {"searches": ("greedy", "greedy")}),
        ("control is listed twice: keep, scratch, keep", {"controls": ("keep", "scratch", "keep")}),
    ],
)
def test_what_is_listed_twice_would_count_twice(what, options):
    """As rows of a table, and among the comparisons that correct each other's p-values."""
    joints = options.pop("joints", [joint(1)])
    with pytest.raises(ValueError, match=what):
        make_all(joints, **options)


def test_an_arm_that_is_listed_twice_would_count_twice():
    for settings, twice in (
        ({"starts": ("keep", "reinit", "keep")}, "starts: keep is"),
        ({"rivals": RIVALS + RIVALS[:1]}, "rivals: .* is"),
        ({"rival_depths": (0, 2, 0)}, "rival_depths: 0 is"),
    ):
        with pytest.raises(ValueError, match=f"{twice} listed twice"):
            make("depth_sweep", settings=settings)
