"""The output of --dry-run, against what the searches then do."""

import contextlib
import dataclasses
import random
from concurrent.futures import Future

import pytest
from fake_runs import searches

from asr_topdown.runs.store import Store
from asr_topdown.schedule.epoch_scan import EpochScanSettings
from asr_topdown.schedule.halving import HalvingSettings
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.study import driver
from asr_topdown.study.forecast import forecast

BLOCKS = [(f"blstm.{i}",) for i in range(4)] + [("softmax",)]


def joint(seed=1):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=16, patience=3)


def outcome(node, error):
    return Outcome(node=node, error=error, best_epoch=3, epochs=8, seconds=4.0, metrics={})


def run(asked, store, error_of, *, most=None):
    """Train for real, as far as `most` trainings; returns those that were made."""
    return driver_made(asked, store, lambda node: outcome(node, error_of(node)), most=most)


def driver_made(asked, store, outcome_of, *, most=None):
    """The same with whole outcomes."""
    made = []

    def train(node):
        if most is not None and len(made) >= most:
            raise KeyboardInterrupt
        made.append(node)
        store.finish(outcome_of(node))
        return store.outcome(node)

    with contextlib.suppress(KeyboardInterrupt):
        driver.drive(asked, lambda node: _done(train(node)), store=store)
    return made


def _done(value):
    future = Future()
    future.set_result(value)
    return future


def test_nothing_is_finished_yet(tmp_path):
    told = forecast(lambda: searches([joint(1), joint(2)], BLOCKS), Store(tmp_path))
    assert told.finished == ()
    # The joint trainings, and of the greedy search and its controls what does not wait for them.
    assert [node.init_seed for node in told.ready] == [1, 2]
    # At least one step, a training from scratch for it, freeze_lowest and keep; at most four steps.
    assert (told.least, told.most) == (2 * 4, 2 * 10)
    assert told.seconds is None


def test_time_is_told_by_what_is_given_or_by_what_is_finished(tmp_path):
    store = Store(tmp_path)
    told = forecast(lambda: searches([joint()], BLOCKS, "exhaustive"), store, seconds_per_epoch=2.0)
    assert told.seconds == (16 * 16 * 2.0, 16 * 16 * 2.0)  # 16 trainings of at most 16 epochs
    store.finish(outcome(joint(), 0.5))
    told = forecast(lambda: searches([joint()], BLOCKS, "exhaustive"), store)
    assert told.seconds_per_epoch == 0.5  # 4 s for 8 epochs
    assert told.seconds == (15 * 8 * 0.5, 15 * 8 * 0.5)
    assert (len(told.finished), len(told.ready), told.least, told.most) == (1, 4, 11, 11)


def test_what_was_recognised_in_another_way_is_neither_finished_nor_to_train(tmp_path):
    store = Store(tmp_path, decoder="greedy")
    store.finish(dataclasses.replace(outcome(joint(), 0.5), decoder="beam"))
    told = forecast(lambda: searches([joint()], BLOCKS, "exhaustive"), store)
    assert ([one.node for one in told.stale], told.finished, told.ready) == ([joint()], (), ())
    assert told.seconds == (15 * 8 * 0.5, 15 * 8 * 0.5)  # its own training is paid


def test_a_continued_training_is_paid_once(tmp_path):
    def make():
        settings = HalvingSettings(budget=4, epoch_stride=16, max_retrainings=1)
        return of_studies([Study(joint(), BLOCKS)], searches=("halving",), settings=lambda name: settings)

    told = forecast(make, Store(tmp_path), seconds_per_epoch=1.0, continued_to=16)
    # Epochs 1 (taken for the best) and 16 of the joint training, 4 cuts: 8 of 4 epochs, 4 of 8, 2 of 16.
    assert told.most + len(told.ready) == 1 + 8 + 4 + 2
    assert told.seconds[1] == 16 + 8 * 4 + 4 * 4 + 2 * 8


def test_what_a_continued_training_has_behind_it_is_not_paid_again(tmp_path):
    """A finished rung was taken for nothing: those that go on from it cost as much as from the start."""
    settings = HalvingSettings(budget=4, epoch_stride=16, max_retrainings=1)
    node, store = dataclasses.replace(joint(), patience=0), Store(tmp_path)

    def make(*controls):
        study = Study(node, BLOCKS)
        return of_studies([study], searches=("halving",), controls=controls, settings=lambda name: settings)

    def as_long_as_asked(one):
        return dataclasses.replace(outcome(one, 0.5), epochs=one.epochs, seconds=1.0 * one.epochs)

    first = len(driver_made(make(), store, as_long_as_asked, most=1 + 8))
    assert first == 1 + 8  # the joint training, and two epochs of it with four cuts, 4 epochs each
    told = forecast(make, store, continued_to=16)
    assert told.seconds == (4 * 4 + 2 * 8,) * 2
    # A longer joint training starts anew: of the 16 epochs of joint training, no checkpoint is kept.
    told = forecast(lambda: make("joint_long"), store, continued_to=16)
    assert told.seconds[1] == 4 * 4 + 2 * 8 + (16 + 8 * 4 + 4 * 4 + 2 * 8)


def test_of_halving_the_most_is_told_as_if_what_leaves_most_to_do_won(tmp_path):
    """Of those that all became better the first was taken, the best so far: here one that leaves nothing."""
    settings = HalvingSettings(budget=8, epoch_stride=16)

    def make():
        return of_studies([Study(joint(), BLOCKS)], searches=("halving",), settings=lambda name: settings)

    def better_with_more_frozen(one):
        return dataclasses.replace(outcome(one, -0.1 * len(one.frozen)), best_epoch=1, epochs=one.epochs)

    store = Store(tmp_path)
    driver_made(make(), store, better_with_more_frozen, most=1 + 8)
    told = forecast(make, store, continued_to=16)
    # Four and three frozen blocks, each from two epochs, go on; below three, one cut is left: 2 + 1 more.
    assert (len(told.ready), told.least, told.most) == (4, 0, 3)


@pytest.mark.parametrize(
    ("patience", "epochs", "least", "most"),
    [
        # One step of all 16 epochs, and as many as it and joint training; or four steps.
        (0, 16, 16 + 2 * 16, 4 * 16 + 5 * 16),
        # The same if they stop after 8 epochs, as joint training did.
        (3, 8, 8 + 2 * 8, 4 * 8 + 5 * 8),
    ],
)
def test_as_many_epochs_of_joint_training_take_as_many(tmp_path, patience, epochs, least, most):
    """They were taken for no more than one training's, or, without patience, for joint training going on."""
    node, store = dataclasses.replace(joint(), patience=patience), Store(tmp_path)

    def make():
        return of_studies([Study(node, BLOCKS)], controls=("joint_long",))

    if not patience:  # before anything is known: joint training as well
        assert forecast(make, store, seconds_per_epoch=1.0).seconds == (16 + least, 16 + most)
    store.finish(dataclasses.replace(outcome(node, 0.5), epochs=epochs, seconds=0.5 * epochs))
    assert forecast(make, store).seconds == (0.5 * least, 0.5 * most)


def test_a_long_joint_training_does_not_make_the_others_longer(tmp_path):
    """Of one seed, joint training and four steps took 8 epochs each, and as many in one training 40."""
    store = Store(tmp_path)

    def make(*seeds):
        return of_studies([Study(joint(seed), BLOCKS) for seed in seeds], controls=("joint_long",))

    def train(node):
        epochs = 8 if node.patience else node.epochs
        store.finish(dataclasses.replace(outcome(node, 0.5), epochs=epochs, seconds=0.5 * epochs))
        return _done(store.outcome(node))

    driver.drive(make(1), train, store=store)
    told = forecast(lambda: make(1, 2), store)
    assert sorted(one.epochs for one in told.finished) == [8, 8, 8, 8, 8, 40]
    assert told.seconds == (0.5 * (8 + 8 + 16), 0.5 * (8 + 4 * 8 + 40))


def test_a_scan_may_be_told_to_end_early_and_not_that_it_does(tmp_path):
    """It refused to tell: of a joint training with patience it took the fewest epochs for the truth."""
    node = joint()

    def make():
        settings = EpochScanSettings(epoch_stride=8)
        return of_studies([Study(node, BLOCKS)], searches=("epoch_scan",), settings=lambda name: settings)

    store = Store(tmp_path)
    told = forecast(make, store, seconds_per_epoch=1.0)
    assert (told.ready, told.least, told.most) == ((node,), 0, 2)  # of its epochs 8 and 16, or of none
    store.finish(dataclasses.replace(outcome(node, 0.5), epochs=5))
    with pytest.raises(ValueError, match="epoch_stride: is 8, and the joint training of seed 1 ended after"):
        forecast(make, store)


@pytest.mark.parametrize("name", ["greedy", "exhaustive"])
def test_the_forecast_holds_at_every_stage(tmp_path, name):
    """After any number of trainings: the finished ones are right, and the total is between least and most."""
    for stage in range(17):
        store = Store(tmp_path / str(stage))
        errors = random.Random(stage)
        table: dict[str, float] = {}

        def error_of(node, table=table, errors=errors):
            return table.setdefault(node.id, errors.random())

        made = run(searches([joint()], BLOCKS, name), store, error_of, most=stage)
        told = forecast(lambda: searches([joint()], BLOCKS, name), store)
        assert {one.node for one in told.finished} == set(made)
        more = run(searches([joint()], BLOCKS, name), store, error_of)
        assert len(told.ready) + told.least <= len(more) <= len(told.ready) + told.most
        assert set(told.ready) <= set(more)


def test_nodes_that_searches_share_are_told_once(tmp_path):
    def both():
        return searches([joint()], BLOCKS, "greedy", "exhaustive")

    told = forecast(both, Store(tmp_path))
    assert (len(told.ready), told.least, told.most) == (1, 15, 15)
    told = forecast(lambda: [*both(), *both()], Store(tmp_path))
    assert told.most == 15
    assert dataclasses.asdict(told)["finished"] == ()


def test_what_follows_each_other_takes_its_time_on_any_number_of_workers(tmp_path):
    def seconds(name, workers, seed=1):
        given = {} if store.outcome(joint(seed)) else {"seconds_per_epoch": 1.0}
        made = forecast(lambda: searches([joint(seed)], BLOCKS, name), store, workers=workers, **given)
        return made.seconds

    store = Store(tmp_path)
    # The joint training and one to four steps, one after another.
    assert seconds("greedy", 1) == seconds("greedy", 100) == (2 * 16, 5 * 16)
    store.finish(outcome(joint(), 0.5))
    assert seconds("greedy", 100) == (8 * 0.5, 4 * 8 * 0.5)
    # 16 trainings, of which five follow each other.
    assert seconds("exhaustive", 3, seed=2) == (16 * 16 / 3, 16 * 16 / 3)
    assert seconds("exhaustive", 100, seed=2) == (5 * 16, 5 * 16)
