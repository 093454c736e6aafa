import dataclasses
import random

import pytest

from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.search import (
    Step,
    derived_seed,
    freeze_lowest,
    greedy,
    keep,
    same_init,
    scratch,
    study,
    transplant,
)

BLOCKS = (("blstm.0",), ("blstm.1",), ("blstm.2",), ("blstm.3", "softmax"))
TOPS = [
    ("blstm.3", "softmax"),
    ("blstm.2", "blstm.3", "softmax"),
    ("blstm.1", "blstm.2", "blstm.3", "softmax"),
]
PARENT = Parent(experiment="e", node="n", epoch=1)


def joint(seed=1):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=50, patience=5)


def outcome(node, error, best_epoch=3):
    return Outcome(node=node, error=error, best_epoch=best_epoch, epochs=20, seconds=1.0, metrics={})


def play(search, errors):
    """Answer the search's new nodes with `errors` in turn; returns (all nodes asked, result)."""
    asked, known, errors = [], {}, iter(errors)
    told = None
    while True:
        try:
            wanted = next(search) if told is None else search.send(told)
        except StopIteration as stop:
            return asked, stop.value
        for node in wanted:
            if node.id not in known:
                asked.append(node)
                known[node.id] = outcome(node, next(errors), best_epoch=len(asked))
        told = [known[node.id] for node in wanted]


def test_greedy_goes_all_the_way_down():
    asked, result = play(greedy(joint(), BLOCKS), [0.5, 0.4, 0.3, 0.2])
    assert len(asked) == len(BLOCKS)  # 1 joint + n - 1 retrainings
    assert [node.frozen for node in asked] == [(), *TOPS]
    assert [step.role for step in result.steps] == ["joint", "step 1", "step 2", "step 3"]
    assert all(step.accepted for step in result.steps)
    assert result.final == asked[-1].id


def test_greedy_stops_when_the_error_grows():
    asked, result = play(greedy(joint(), BLOCKS), [0.5, 0.4, 0.41])
    assert len(asked) == 3
    assert [(step.role, step.error, step.accepted) for step in result.steps] == [
        ("joint", 0.5, True),
        ("step 1", 0.4, True),
        ("step 2", 0.41, False),
    ]
    assert result.final == asked[1].id


def test_greedy_goes_on_when_the_error_is_equal():
    asked, result = play(greedy(joint(), BLOCKS), [0.5, 0.5, 0.5, 0.6])
    assert len(asked) == 4
    assert result.final == asked[2].id


def test_greedy_may_find_nothing_better():
    asked, result = play(greedy(joint(), BLOCKS), [0.5, 0.6])
    assert result.final == asked[0].id == result.steps[0].node


def test_each_step_continues_from_the_best_epoch_of_the_step_before():
    asked, _ = play(greedy(joint(7), BLOCKS, frozen_dropout="off"), [0.5, 0.4, 0.3, 0.2])
    assert asked[0] == joint(7)
    for i in range(1, len(asked)):
        parent = Parent(experiment="e", node=asked[i - 1].id, epoch=i)  # `play` makes i the best epoch
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
        table = {"": errors[0], **{f"{i}": error for i, error in enumerate(errors)}}
        control = scratch(joint(), greedy(joint(), BLOCKS))
        told, asked = None, []
        while True:
            try:
                wanted = next(control) if told is None else control.send(told)
            except StopIteration as stop:
                result = stop.value
                break
            asked += [node for node in wanted if node not in asked]
            depth = lambda node: str(TOPS.index(node.frozen) + 1 if node.frozen else 0)  # noqa: E731
            told = [outcome(node, table[depth(node)] if node.init_seed < 5e8 else 0.45) for node in wanted]
        assert [step.role for step in result.steps] == [
            "joint",
            *(f"scratch {i}" for i in range(1, retrainings + 1)),
        ]
        from_scratch = [node for node in asked if node.parent is None]
        assert len(from_scratch) == 1 + retrainings
        assert [node.init_seed for node in from_scratch] == [
            1,
            *(1 + 1_000_000 * (500 + i) for i in range(1, retrainings + 1)),
        ]
        assert all(dataclasses.replace(node, init_seed=1) == joint() for node in from_scratch)
        assert result.final == from_scratch[1].id  # 0.45 beats 0.5, and of equal ones the first is taken
        assert [step.accepted for step in result.steps[1:]] == [True] + [False] * (retrainings - 1)


def test_scratch_takes_the_joint_training_when_it_is_the_best():
    _, result = play(scratch(joint(), greedy(joint(), BLOCKS)), [0.5, 0.6, 0.7])
    assert result.final == joint().id
    assert [step.accepted for step in result.steps] == [True, False]


def test_scratch_starts_training_i_together_with_step_i():
    control = scratch(joint(), greedy(joint(), BLOCKS))
    assert next(control) == [joint()]
    control.send([outcome(joint(), 0.5)])  # the followed search asks for the joint training again
    wanted = control.send([outcome(joint(), 0.5)])
    assert [node.frozen for node in wanted] == [TOPS[0], ()]


def test_same_init_freezes_the_top_and_begins_where_the_joint_training_began():
    asked, result = play(same_init(joint(7), BLOCKS), [0.5, 0.4])
    assert (asked[1].frozen, asked[1].start, asked[1].init_seed) == (TOPS[0], "reinit", 7)
    assert asked[1].parent == Parent(experiment="e", node=asked[0].id, epoch=1)
    assert (result.search, result.final) == ("same_init", asked[1].id)


def test_transplant_freezes_the_classifier_of_another_experiment():
    other = dataclasses.replace(joint(7), experiment="other", train_set="theirs", epochs=9)
    asked, result = play(
        transplant(joint(7), BLOCKS, outcome(other, 0.3, best_epoch=6), name="b"), [0.5, 0.4]
    )
    assert asked[0] == joint(7)
    assert asked[1] == dataclasses.replace(
        joint(7),
        parent=Parent(experiment="other", node=other.id, epoch=6),
        frozen=TOPS[0],
        init_seed=derived_seed(7, "step", 1),
    )
    assert result.steps[1].point == {"source": "b", "source_node": other.id}
    assert (result.search, result.final) == ("transplant", asked[1].id)


def test_greedy_may_go_on_after_a_worse_step_from_the_best_model():
    asked, result = play(greedy(joint(), BLOCKS, go_on=True), [0.5, 0.6, 0.4, 0.3])
    assert [node.frozen for node in asked[1:]] == TOPS
    assert [node.parent.node for node in asked[1:]] == [asked[0].id, asked[0].id, asked[2].id]
    assert [step.accepted for step in result.steps] == [True, False, True, True]
    assert [step.point["composition"] for step in result.steps] == [[4], [1, 3], [2, 2], [2, 1, 1]]
    # The seed is that of the r-th retraining, so M(2, 2) is the node that other searches ask for.
    assert [node.init_seed // 1_000_000 for node in asked] == [0, 1, 1, 2]


def test_freeze_lowest():
    asked, result = play(freeze_lowest(joint(), BLOCKS), [0.5, 0.6])
    assert asked[1].frozen == ("blstm.0",)
    assert (asked[1].start, asked[1].parent.node, asked[1].parent.epoch) == ("reinit", joint().id, 1)
    assert result.final == asked[1].id  # the paper reports it though it is worse
    assert [step.role for step in result.steps] == ["joint", "freeze_lowest"]


def test_keep():
    asked, result = play(keep(joint()), [0.5, 0.6])
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


def test_study_has_the_greedy_search_and_every_control_for_every_seed():
    results = [play(one, [0.5] * 7)[1] for one in study([joint(1), joint(2)], BLOCKS)]
    names = [(result.search, result.seed) for result in results]
    assert names[:2] == [("greedy", 1), ("greedy", 2)]  # the longest chains come first
    controls = [(name, seed) for seed in (1, 2) for name in ("scratch", "freeze_lowest", "keep")]
    assert names[2:] == controls
    assert len(study([joint(1)], BLOCKS, controls=("keep",))) == 2


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: study([joint(1), joint(1)], BLOCKS), "twice"),
        (lambda: study([joint()], BLOCKS, controls=("scratsh",)), "scratsh"),
        (lambda: study([joint()], BLOCKS[:1]), "two blocks"),
        (lambda: study([joint()], [("a",), ()]), "two blocks"),
        (lambda: study([joint()], [("a",), ("a",)]), "two blocks|in two"),
        (lambda: study([joint(1_000_000)], BLOCKS), "1000000"),
        (lambda: next(greedy(dataclasses.replace(joint(), parent=PARENT), BLOCKS)), "parent"),
        (lambda: derived_seed(1, "step", 500), "499"),
    ],
)
def test_what_cannot_be_searched_is_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_step_is_plain():
    """Results are saved as JSON: only plain values in them."""
    _, result = play(greedy(joint(), BLOCKS), [0.5, 0.6])
    first = Step("joint", joint().id, 0.5, True, {"composition": [4]})
    assert dataclasses.asdict(result)["steps"][0] == dataclasses.asdict(first)
