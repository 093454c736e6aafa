"""Algorithm 1, its controls, and the seeds."""

import dataclasses
import random

import pytest
from plays import joint, make, make_all, outcome, play

from asr_topdown.schedule.greedy import GreedyPoint
from asr_topdown.schedule.node import LOWEST_LOSS_EPOCH, Parent
from asr_topdown.schedule.protocol import Request, Step, advance
from asr_topdown.schedule.results import result_from_json, result_to_json
from asr_topdown.schedule.searches import CONTROLS, SPECS, first_nodes, step_name
from asr_topdown.schedule.seeds import KINDS, derived_seed
from asr_topdown.schedule.spec import Source, Subset

BLOCKS = (("blstm.0",), ("blstm.1",), ("blstm.2",), ("blstm.3", "softmax"))
TOPS = [
    ("blstm.3", "softmax"),
    ("blstm.2", "blstm.3", "softmax"),
    ("blstm.1", "blstm.2", "blstm.3", "softmax"),
]
PARENT = Parent(experiment="e", node="n", epoch=1)


def greedy(node=None, blocks=BLOCKS, **settings):
    return make("greedy", node, blocks, settings=settings)


def names(result):
    return [step_name(result.search, step) for step in result.steps]


def test_greedy_goes_all_the_way_down():
    asked, result = play(greedy(), [0.5, 0.4, 0.3, 0.2])
    assert len(asked) == len(BLOCKS)  # 1 joint + n - 1 retrainings
    assert [node.frozen for node in asked] == [(), *TOPS]
    assert names(result) == ["joint", "step 1", "step 2", "step 3"]
    assert all(step.accepted for step in result.steps)
    assert result.final == asked[-1].id


def test_greedy_stops_when_the_error_grows():
    asked, result = play(greedy(), [0.5, 0.4, 0.41])
    assert len(asked) == 3
    assert names(result) == ["joint", "step 1", "step 2"]
    assert [(step.error, step.accepted) for step in result.steps] == [(0.5, True), (0.4, True), (0.41, False)]
    assert result.final == asked[1].id


def test_greedy_goes_on_when_the_error_is_equal():
    asked, result = play(greedy(), [0.5, 0.5, 0.5, 0.6])
    assert len(asked) == 4
    assert result.final == asked[2].id


def test_greedy_may_find_nothing_better():
    asked, result = play(greedy(), [0.5, 0.6])
    assert result.final == asked[0].id == result.steps[0].node


def test_each_step_continues_from_the_best_epoch_of_the_step_before():
    best = iter([1, 2, 3, 4])
    (search,) = make_all([joint(7)], BLOCKS, frozen_dropout="off")
    asked, _ = play(
        search, [0.5, 0.4, 0.3, 0.2], outcome_of=lambda node, error: outcome(node, error, next(best))
    )
    assert asked[0] == joint(7)
    for i in range(1, len(asked)):
        parent = Parent(experiment="e", node=asked[i - 1].id, epoch=i)
        assert asked[i] == dataclasses.replace(
            joint(7),
            parent=parent,
            frozen=TOPS[i - 1],
            start="reinit",
            init_seed=7 + 1_000_000 * i,
            frozen_dropout="off",
        )


def reference_algorithm_1(n, train):
    """Algorithm 1 as the paper words it: train(parent, i) -> (model, error)."""
    model, e = train(None, 0)
    trainings = 1
    for i in range(1, n):
        copy, e2 = train(model, i)
        trainings += 1
        if e2 > e:
            break
        model, e = copy, e2
    return model, trainings


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_greedy_equals_algorithm_1_on_made_up_tables(n):
    rng = random.Random(n)
    blocks = [(f"layer.{i}",) for i in range(n)]
    for _ in range(200):
        table = [rng.randint(0, 6) / 10 for _ in range(n)]
        model, trainings = reference_algorithm_1(n, lambda parent, i, table=table: (i, table[i]))
        asked, result = play(greedy(joint(), blocks), table)
        assert len(asked) == len(result.steps) == trainings
        assert result.final == asked[model].id


def test_scratch_makes_as_many_trainings_as_the_search_that_it_controls():
    for errors, retrainings in [([0.5, 0.6], 1), ([0.5, 0.4, 0.41], 2), ([0.5, 0.4, 0.3, 0.2], 3)]:

        def error_of(node, known, errors=errors):
            if node.parent is None and node != joint():
                return 0.45
            return errors[TOPS.index(node.frozen) + 1 if node.frozen else 0]

        asked, result = play(make("scratch", blocks=BLOCKS), error_of)
        again = [f"from scratch again ({i})" for i in range(1, retrainings + 1)]
        assert names(result) == ["joint", *again]
        from_scratch = [node for node in asked if node.parent is None]
        assert len(asked) == 1 + 2 * retrainings
        assert [node.init_seed for node in from_scratch] == [
            1,
            *(1 + 1_000_000 * (500 + i) for i in range(1, retrainings + 1)),
        ]
        assert all(dataclasses.replace(node, init_seed=1) == joint() for node in from_scratch)
        assert result.final == from_scratch[1].id  # 0.45 beats 0.5, and of equal ones the first is taken
        assert [step.accepted for step in result.steps[1:]] == [True] + [False] * (retrainings - 1)


def test_scratch_takes_the_joint_training_when_it_is_the_best():
    _, result = play(make("scratch", blocks=BLOCKS), [0.5, 0.6, 0.7])
    assert result.final == joint().id
    assert [step.accepted for step in result.steps] == [True, False]


def test_scratch_starts_training_i_together_with_step_i():
    control = make("scratch", blocks=BLOCKS)
    assert advance(control) == Request((joint(),))
    advance(control, [outcome(joint(), 0.5)])  # the followed search asks for the joint training again
    wanted = advance(control, [outcome(joint(), 0.5)])
    assert [node.frozen for node in wanted.nodes] == [TOPS[0], ()]


def test_joint_long_trains_for_as_many_epochs_as_the_search_in_all():
    epochs = {(): 9, TOPS[0]: 7, TOPS[1]: 5}  # the search ends with its second step

    def outcome_of(node, error):
        return outcome(node, error, best_epoch=2, epochs=epochs.get(node.frozen, 1))

    node = joint(patience=4)
    asked, result = play(make("joint_long", node, BLOCKS), [0.5, 0.4, 0.6, 0.3], outcome_of=outcome_of)
    assert asked[-1] == dataclasses.replace(node, epochs=9 + 7 + 5, patience=0)
    assert (result.final, [step.accepted for step in result.steps]) == (asked[-1].id, [True, True])


def test_joint_long_counts_a_continued_training_once():
    asked, _ = play(make("joint_long", follow="halving"), lambda node, known: 0.5 - 0.01 * node.epochs)
    longest = {}
    for node in asked[:-1]:
        same = dataclasses.replace(node, epochs=1)
        longest[same] = max(longest.get(same, 0), node.epochs)
    assert len(longest) < len(asked) - 1
    assert asked[-1] == joint(epochs=sum(longest.values()))


def test_scratch_counts_a_continued_training_once():
    asked, result = play(make("scratch", follow="halving"), lambda node, known: 0.5 - 0.01 * node.epochs)
    of_search = [node for node in asked if node.parent]
    trainings = {dataclasses.replace(node, epochs=1) for node in of_search}
    assert len(result.steps) == 1 + len(trainings) < 1 + len(of_search)


def test_equal_compute_is_without_what_a_sweep_trains_on_parts_of_the_data():
    """It ends with a training on all data: of those that it takes the best of, it had only so many."""
    parts = tuple(
        Subset(f"p{share}", share, share, joint(train_set=f"p{share}", epochs=16)) for share in (20, 40)
    )
    sweeps = [play(make("depth_sweep", parts=own), lambda *_: 0.5)[0] for own in ((), parts)]
    assert len(sweeps[1]) == 3 * len(sweeps[0])
    counts = []
    for own in ((), parts):
        _, result = play(make("scratch", follow="depth_sweep", parts=own), lambda *_: 0.5)
        asked, _ = play(make("joint_long", follow="depth_sweep", parts=own), lambda *_: 0.5)
        counts.append((len(result.steps), asked[-1].epochs))
    assert counts == [(len(sweeps[0]), 16 * len(sweeps[0]))] * 2


@pytest.mark.parametrize("seeds", [(1, 3, 7), (7, 1, 3), (3, 7, 1)])
def test_other_seed_top_takes_the_classifier_of_the_next_seed(seeds):
    """No two take the same, in whatever order the seeds are given."""
    searches = make_all([joint(seed) for seed in seeds], BLOCKS, controls=("other_seed_top",))[3:]
    for own, search in zip(seeds, searches, strict=True):
        other = {1: 3, 3: 7, 7: 1}[own]
        asked, result = play(search, [0.5, 0.5, 0.4])
        assert asked[:2] == [joint(own), joint(other)]
        assert (asked[2].parent.node, asked[2].frozen) == (joint(other).id, TOPS[0])
        assert asked[2].init_seed == derived_seed(own, "step", 1)
        assert result.seed == own
    with pytest.raises(ValueError, match="two seeds"):
        first_nodes(make_all([joint(1)], BLOCKS, controls=("other_seed_top",)))


def test_same_init_freezes_the_top_and_begins_where_the_joint_training_began():
    asked, result = play(make("same_init", joint(7), BLOCKS), [0.5, 0.4])
    assert (asked[1].frozen, asked[1].start, asked[1].init_seed) == (TOPS[0], "reinit", 7)
    assert asked[1].parent == Parent(experiment="e", node=asked[0].id, epoch=3)
    assert (result.search, result.final) == ("same_init", asked[1].id)


def test_transplant_freezes_the_classifier_of_another_experiment():
    other = dataclasses.replace(joint(7), experiment="other", train_set="theirs", epochs=9)
    source = Source("b", outcome(other, 0.3, best_epoch=6))
    asked, result = play(make("transplant", joint(7), BLOCKS, source=source), [0.5, 0.4])
    assert asked[0] == joint(7)
    assert asked[1] == dataclasses.replace(
        joint(7),
        parent=Parent(experiment="other", node=other.id, epoch=6),
        frozen=TOPS[0],
        init_seed=derived_seed(7, "step", 1),
    )
    point = result.steps[1].point
    assert (point.source, point.source_node) == ("b", other.id)
    assert point.text() == "classifier frozen from b, the rest trained"
    assert (result.search, result.final) == ("transplant", asked[1].id)


def test_greedy_may_go_on_after_a_worse_step_from_the_best_model():
    asked, result = play(greedy(stop_when_worse=False), [0.5, 0.6, 0.4, 0.3])
    assert [node.frozen for node in asked[1:]] == TOPS
    assert [node.parent.node for node in asked[1:]] == [asked[0].id, asked[0].id, asked[2].id]
    assert [step.accepted for step in result.steps] == [True, False, True, True]
    assert [step.point.composition for step in result.steps[1:]] == [(1, 3), (2, 2), (2, 1, 1)]
    # The seed is that of the r-th retraining, so M(2, 2) is the node that other searches ask for.
    assert [node.init_seed // 1_000_000 for node in asked] == [0, 1, 1, 2]


def test_freeze_lowest_retrains_all_but_the_lowest_block():
    asked, result = play(make("freeze_lowest", blocks=BLOCKS), [0.5, 0.6])
    assert asked[1].frozen == ("blstm.0",)
    assert (asked[1].start, asked[1].parent.node, asked[1].parent.epoch) == ("reinit", joint().id, 3)
    assert result.final == asked[1].id  # the paper reports it though it is worse
    assert names(result) == ["joint", "lowest block frozen, the others retrained"]


def test_keep_continues_all_layers_from_the_joint_weights():
    asked, result = play(make("keep", blocks=BLOCKS), [0.5, 0.6])
    assert (asked[1].frozen, asked[1].start, asked[1].parent.node) == ((), "keep", joint().id)
    assert result.final == asked[1].id


def test_seeds_are_disjoint():
    """No init_seed comes twice over base seeds and kinds of training, and all fit in 32 bits."""
    bases = [0, 1, 2, 5, 42, 999, 2026, 999_999]
    seen = set(bases)
    kinds = {"step": 499, "scratch": 499, "freeze_lowest": 1, "keep": 1, "repeat": 499}
    for base in bases:
        for kind, most in kinds.items():
            for i in range(1, most + 1):
                seed = derived_seed(base, kind, i)
                assert seed % 1_000_000 == base
                assert seed < 2**32
                assert seed not in seen
                seen.add(seed)
    assert derived_seed(3, "step", 2) == 2_000_003
    assert derived_seed(3, "scratch", 2) == 502_000_003
    assert derived_seed(3, "freeze_lowest", 1) == 1_001_000_003
    assert derived_seed(3, "keep", 1) == 1_501_000_003


def test_studies_have_the_search_and_every_control_for_every_seed():
    three = ("scratch", "freeze_lowest", "keep")
    results = [play(one, [0.5] * 7)[1] for one in make_all([joint(1), joint(2)], BLOCKS, controls=three)]
    found = [(result.search, result.seed) for result in results]
    assert found[:2] == [("greedy", 1), ("greedy", 2)]  # the longest chains come first
    assert found[2:] == [(name, seed) for seed in (1, 2) for name in three]


def test_no_kind_of_seed_was_taken_away_or_moved():
    """Golden: a kind that moves gives finished nodes other seeds."""
    kinds = ("step", "scratch", "freeze_lowest", "keep", "repeat", "random_top", "bottom_up", "freeze_up")
    assert KINDS[:8] == kinds


@pytest.mark.parametrize(
    ("search", "word"),
    [
        (lambda: make_all([joint(1), joint(1)], BLOCKS), "twice"),
        (lambda: make_all([joint()], BLOCKS[:1]), "two blocks"),
        (lambda: make_all([joint()], [("a",), ()]), "two blocks"),
        (lambda: make_all([joint()], [("a",), ("a",)]), "in two blocks"),
        (lambda: make_all([joint(1_000_000)], BLOCKS), "1000000"),
        (lambda: greedy(dataclasses.replace(joint(), parent=PARENT)), "parent"),
        (lambda: greedy(dataclasses.replace(joint(), frozen=("softmax",))), "frozen layers"),
        (lambda: derived_seed(1, "step", 500), "499"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, word):
    with pytest.raises(ValueError, match=word):
        search()


def test_a_search_decides_by_the_loss_if_that_is_the_criterion():
    """The errors grow while the losses fall: one search stops at once, the other goes to the end."""

    def outcome_of(node, error):
        depth = TOPS.index(node.frozen) + 1 if node.frozen else 0
        return outcome(node, error, loss=9.0 - depth)

    errors = [0.1, 0.2, 0.3, 0.4]
    (by_error,) = make_all([joint()], BLOCKS, criterion="error")
    (by_loss,) = make_all([joint()], BLOCKS, criterion="loss")
    asked, result = play(by_error, errors, outcome_of=outcome_of)
    assert (len(asked), result.criterion, result.final) == (2, "error", joint().id)
    asked, result = play(by_loss, errors, outcome_of=outcome_of)
    assert (len(asked), result.criterion, result.final) == (4, "loss", asked[3].id)
    assert [step.error for step in result.steps] == [9.0, 8.0, 7.0, 6.0]


@pytest.mark.parametrize("name", ["greedy", "exhaustive"])
@pytest.mark.parametrize(("chosen", "taken"), [("same", 3), ("lowest_loss", 2), (4, 4), (99, 9)])
def test_a_classifier_may_come_from_another_epoch_than_the_network(name, chosen, taken):
    """The network that the search goes on from is its best epoch's, 3 of 9; its loss was lowest at 2."""

    def outcome_of(node, error):
        one = outcome(node, error, epochs=9)
        return dataclasses.replace(one, metrics={**one.metrics, LOWEST_LOSS_EPOCH: 2})

    search = make(name, blocks=BLOCKS, settings={"classifier_epoch": chosen})
    asked, _ = play(search, lambda node, known: 1 / (1 + len(known)), outcome_of=outcome_of)
    assert {node.parent.epoch for node in asked[1:]} == {taken}
    assert SPECS[name].every_epoch(SPECS[name].settings(classifier_epoch=chosen)) == (chosen != "same")


def test_an_epoch_that_was_not_recorded_is_an_error():
    with pytest.raises(ValueError, match="lowest dev loss was not recorded"):
        play(greedy(classifier_epoch="lowest_loss"), [0.5, 0.4])


def test_results_are_plain_values_that_are_read_back():
    for name in ("greedy", "scratch", "keep"):
        _, result = play(make(name, blocks=BLOCKS), [0.5, 0.6, 0.7, 0.8])
        values = result_to_json(result)
        assert result_from_json(values) == result
    _, result = play(greedy(), [0.5, 0.6])
    values = result_to_json(result)
    assert values["steps"][0] == {"node": joint().id, "error": 0.5, "accepted": True, "point": None}
    assert values["steps"][1]["point"] == {"composition": [1, 3]}
    assert Step(**{**values["steps"][1], "point": GreedyPoint((1, 3))}) == result.steps[1]
    step = {**values["steps"][1], "point": {"p": 3}}
    for damage, word in [
        ({**values, "search": "gready"}, "gready"),
        ({**values, "steps": []}, "at least one step"),
        ({**values, "steps": [step]}, r"point: needs composition, got \['p'\]"),
        ({key: value for key, value in values.items() if key != "seed"}, "seed"),
    ]:
        with pytest.raises(ValueError, match=word):
            result_from_json(damage)


def test_every_control_ends_with_a_result_of_its_name():
    for name in set(CONTROLS) - {"other_seed_top"}:
        _, result = play(make(name, blocks=BLOCKS), lambda node, known: 0.5)
        assert result.search == name
        assert result.steps[0].node == joint().id
        assert result.final in {step.node for step in result.steps}
        assert result_from_json(result_to_json(result)) == result
