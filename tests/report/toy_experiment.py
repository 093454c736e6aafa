"""A made-up experiment folder: two seeds, three layers, small enough to score by hand."""

import json

from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Request, advance
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study

BLOCKS = (("blstm.0",), ("blstm.1",), ("softmax",))
# Ten characters in each of ten utterances: an error is one percent of the set.
REFERENCE = {f"utt{i}": "abcd efghi" for i in range(10)}

# (seed, what) -> (dev error, test errors of the first, second, ... utterance)
ERRORS = {
    (1, "joint"): (0.30, [3, 3, 2, 2, 2, 2, 2, 2, 2, 0]),
    (2, "joint"): (0.32, [3, 3, 3, 2, 2, 2, 2, 2, 2, 1]),
    (1, "step 1"): (0.26, [2, 2, 2, 2, 2, 2, 2, 1, 1, 0]),
    (2, "step 1"): (0.28, [2, 2, 2, 2, 2, 2, 2, 2, 1, 1]),
    (1, "step 2"): (0.25, [2, 2, 2, 1, 1, 1, 1, 1, 1, 0]),
    (2, "step 2"): (0.29, [3, 2, 2, 2, 2, 2, 2, 2, 2, 0]),
    (1, "scratch 1"): (0.29, [3, 3, 2, 2, 2, 2, 2, 2, 1, 0]),
    (2, "scratch 1"): (0.33, [3, 3, 3, 3, 2, 2, 2, 2, 2, 1]),
    (1, "scratch 2"): (0.31, [3, 3, 3, 2, 2, 2, 2, 2, 2, 0]),
    (2, "scratch 2"): (0.30, [3, 2, 2, 2, 2, 2, 2, 2, 2, 1]),
    (1, "freeze_lowest"): (0.31, [3, 3, 3, 3, 2, 2, 2, 2, 2, 0]),
    (2, "freeze_lowest"): (0.33, [3, 3, 3, 3, 3, 2, 2, 2, 2, 1]),
    (1, "keep"): (0.30, [3, 3, 2, 2, 2, 2, 2, 2, 2, 1]),
    (2, "keep"): (0.31, [3, 3, 2, 2, 2, 2, 2, 2, 2, 2]),
}
MODEL = "{encoder: [{kind: blstm, num_layers: 2, hidden_size: 4}], ctc: {}}"
ABOUT = {
    "layers": [["blstm.0", 100], ["blstm.1", 120], ["softmax", 30]],
    "train": {"name": "train", "utterances": 40, "words": 80, "hours": 0.05},
    "dev": {"name": "dev", "utterances": 8, "words": 16, "hours": 0.01},
    "machine": "a toy, 2 processors; Python 3.11, PyTorch 2.13",
}
KINDS = {0: "step ", 1: "scratch ", 2: "freeze_lowest", 3: "keep"}


def role(node):
    """(seed, role), read from the documented layout of init_seed."""
    k, seed = divmod(node.init_seed, 1_000_000)
    kind, i = divmod(k, 500)
    if k == 0:
        return seed, "joint"
    return seed, KINDS[kind] + (str(i) if kind < 2 else "")


def spoil(text, errors):
    """`text` with `errors` substituted characters, from the left; the space stays."""
    letters = list(text)
    for place in [i for i, letter in enumerate(letters) if letter != " "][:errors]:
        letters[place] = "x"
    return "".join(letters)


def train(store, node):
    """Pretend to have trained `node`."""
    error = ERRORS[role(node)][0]
    with store.lock(node) as folder:
        lines = [
            {"kind": "step", "epoch": 1, "step": 20, "loss": 99.0, "lr": 0.001, "frames_per_second": 9000}
        ]
        for epoch in range(1, 9):
            best = abs(epoch - 6)
            values = {"train_loss": 200.0 / epoch, "dev_loss": 30.0 + 4 * best, "dev_cer": error + 0.1 * best}
            lines.append(
                {
                    "kind": "epoch",
                    "epoch": epoch,
                    "step": 20 * epoch,
                    **values,
                    "best": epoch <= 6,
                    "seconds": 9.0,
                }
            )
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "config.yaml").write_text(f"model: {MODEL}\ntrain: {{metric: cer}}\nrun: {{}}\n")
        (folder / "about.json").write_text(json.dumps(ABOUT))
        metrics = {"dev_cer": error, "dev_wer": 0.5, "dev_loss": 30.0}
        store.finish(Outcome(node=node, error=error, best_epoch=6, epochs=8, seconds=72.0, metrics=metrics))


def decode(root, node, *, set_name="test"):
    """Pretend to have decoded `set_name` with `node`; 100 reference characters, 10 errors are 10 %."""
    folder = root / "decode" / node.id / set_name
    folder.mkdir(parents=True)
    errors = ERRORS[role(node)][1]
    texts = {key: spoil(REFERENCE[key], count) for key, count in zip(REFERENCE, errors, strict=True)}
    (folder / "text").write_text("".join(f"{key} {text}\n" for key, text in texts.items()))
    result = {
        "node": node.id,
        "set": set_name,
        "reference": f"data/{set_name}/text",
        "cer": sum(errors) / 100,
        "wer": 0.5,
        "seconds": 0.5,
        "audio_seconds": 25.0,
    }
    (folder / "result.json").write_text(json.dumps(result))


def joint(seed, experiment="e"):
    return Node(experiment=experiment, train_set="t", init_seed=seed, epochs=8, patience=2)


def write_reference(recipe):
    """A recipe's folder with the reference in it; returns the folder."""
    text = recipe / "data" / "test" / "text"
    text.parent.mkdir(parents=True)
    text.write_text("".join(f"{key} {value}\n" for key, value in REFERENCE.items()))
    return recipe


def write_experiment(recipe):
    """The folder of a finished study over two seeds, everything decoded."""
    store = Store(recipe / "exp" / "tiny")
    results = []
    studies = [Study(joint(seed), BLOCKS) for seed in (1, 2)]
    for search in of_studies(studies, controls=("scratch", "freeze_lowest", "keep")):
        said = advance(search)
        while isinstance(said, Request):
            for node in said.nodes:
                if store.outcome(node) is None:
                    train(store, node)
                    decode(store.root, node)
            said = advance(search, [store.outcome(node) for node in said.nodes])
        results.append(said)
    store.save_results("study", results)
    return store.root
