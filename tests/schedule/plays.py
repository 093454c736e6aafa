"""Searches played on invented outcomes, without training."""

from asr_topdown.schedule.node import LOSS, Node, Outcome
from asr_topdown.schedule.protocol import Request, advance
from asr_topdown.schedule.searches import SPECS, of_studies
from asr_topdown.schedule.spec import Study

BLOCKS = [(f"blstm.{i}",) for i in range(4)] + [("softmax",)]


def joint(seed=1, **changes):
    settings = {"experiment": "e", "train_set": "t", "epochs": 16, "patience": 0, **changes}
    return Node(init_seed=seed, **settings)


def make(name, node=None, blocks=BLOCKS, *, settings=None, **study):
    """The search or control `name`; what follows a search follows the one called `follow`."""
    follow = study.pop("follow", "greedy")
    own = Study(node or joint(), blocks, **study)
    first = lambda: SPECS[follow].make(own, SPECS[follow].settings())  # noqa: E731
    whole = Study(own.joint, blocks, first=first, **study)
    return SPECS[name].make(whole, SPECS[name].settings(**(settings or {})))


def make_all(joints, blocks=BLOCKS, **options):
    """What `of_studies` makes of these joint trainings."""
    return of_studies([Study(node, blocks) for node in joints], **options)


def outcome(node, error, best_epoch=3, epochs=None, loss=None):
    epochs = epochs or node.epochs
    metrics = {LOSS: error if loss is None else loss}
    best = min(best_epoch, epochs)
    return Outcome(node=node, error=error, best_epoch=best, epochs=epochs, seconds=1.0, metrics=metrics)


def play(search, error_of, *, shuffle=None, outcome_of=outcome):
    """Train what is asked for: returns the nodes in the order of asking, and the result.

    Args:
        search: the search.
        error_of: (node, known nodes by id) -> its error; or the errors of new nodes in the order of asking.
        shuffle: a random generator, by which what is wanted soonest comes one by one in any order.
        outcome_of: makes an outcome of a node and its error.
    """
    if not callable(error_of):
        errors = iter(error_of)
        error_of = lambda node, known: next(errors)  # noqa: E731
    known = {}
    said = advance(search)
    while isinstance(said, Request):
        new = [node for node in dict.fromkeys(said.nodes) if node.id not in known]
        if said.any and shuffle is not None:
            assert new == list(said.nodes), "a finished node was asked for again"
            new = [shuffle.choice(new)]
        for node in new:
            nodes = {key: one.node for key, one in known.items()}
            known[node.id] = outcome_of(node, error_of(node, nodes))
        said = advance(search, [known.get(node.id) for node in said.nodes])
    return [one.node for one in known.values()], said
