"""Layer-scheduled training of every speech model: frozen, transplanted within and across architectures."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import blstm
from toy_data import SLOW, write_data

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.config.schedule import ScheduleConfig
from asr_topdown.decode.model import load_trained
from asr_topdown.engines.local import InProcess
from asr_topdown.losses import unit_prior
from asr_topdown.report.systems import systems
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.initialise import prepare_model
from asr_topdown.runs.run_node import make_task, run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.greedy import GreedySettings, greedy
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Request, Result, Step, advance, retrained
from asr_topdown.schedule.spec import Source, Study
from asr_topdown.study.build import searches_of
from asr_topdown.study.driver import drive, submitter
from asr_topdown.study.sources import sources_of
from asr_topdown.text import Vocabulary
from asr_topdown.train.metrics import read_metrics
from asr_topdown.weights import load_weights, weights_of_epoch

MEASURED = {
    "dev_loss", "dev_greedy_cer", "dev_cer", "dev_wer", "trainable_parameters", "peak_memory",
    "lowest_loss_epoch",
}  # fmt: skip
LSTM = {
    "kind": "lstm", "embedding_size": 8, "hidden_size": 16, "attention_size": 8, "location_filters": 2,
    "location_width": 4,
}  # fmt: skip
BLOCKS = {"d_model": 16, "num_heads": 2, "ffn_dim": 32}
CONV2D = {"kind": "conv2d", "channels": 16, "output_size": 16}
DECODER = {"kind": "transformer", "num_heads": 2, "ffn_dim": 32}
TRANSDUCER = {"predictor": {"embedding_size": 8, "hidden_size": 16}, "joiner_size": 16}
BLSTM = blstm(2, 16, projection_size=16, subsample=(2, 2))
VGG = [{"kind": "vgg"}, blstm(1, 16, projection_size=16)]
FAMILIES: dict[str, dict[str, Any]] = {
    "blstm_ctc_attention": {
        "encoder": [{**BLSTM, "dropout": 0.1}],
        "ctc": {"weight": 0.3},
        "attention": {**LSTM, "label_smoothing": 0.05, "smoothing_prior": "unigram"},
    },
    "vgg_ctc_attention": {"encoder": VGG, "ctc": {"weight": 0.3}, "attention": LSTM},
    "transformer_ctc_attention": {
        "encoder": [CONV2D, {"kind": "transformer", "num_layers": 2, **BLOCKS}],
        "ctc": {"weight": 0.3},
        "attention": {**DECODER, "num_layers": 2, "label_smoothing": 0.1},
    },
    "conformer_ctc_attention": {
        "encoder": [
            CONV2D,
            {"kind": "conformer", "num_layers": 2, "kernel_size": 3, "conv_norm": "batch", **BLOCKS},
        ],
        "ctc": {"weight": 0.3},
        "attention": {**DECODER, "num_layers": 1},
    },
    "transducer": {
        "encoder": [BLSTM],
        "transducer": {**TRANSDUCER, "predictor": {**TRANSDUCER["predictor"], "dropout": 0.1}},
    },
    "vgg_ctc_transducer": {"encoder": VGG, "ctc": {"weight": 0.3}, "transducer": TRANSDUCER},
    "conformer_ctc": {
        "encoder": [CONV2D, {"kind": "conformer", "num_layers": 1, "kernel_size": 3, **BLOCKS}],
        "ctc": {},
    },
    "e_branchformer_hybrid_attention": {
        "encoder": [
            CONV2D,
            {
                "kind": "e_branchformer",
                "num_layers": 1,
                "cgmlp_dim": 16,
                "kernel_size": 3,
                "merge_kernel_size": 3,
                **BLOCKS,
            },
        ],
        "ctc": {"weight": 0.2},
        "attention": {**DECODER, "num_layers": 1},
        "transducer": {**TRANSDUCER, "weight": 0.3},
    },
    "transformer_transducer": {
        "encoder": [CONV2D, {"kind": "transformer", "num_layers": 1, **BLOCKS}],
        "transducer": TRANSDUCER,
    },
}
# The layer `softmax`: all that turns the networks' outputs into units.
SOFTMAX = {
    "transducer": {f"heads.transducer.joiner.{part}.weight" for part in ("memory", "predictor", "output")},
    "attention": {"heads.attention.output.linear.weight"},
    "ctc": {"heads.ctc.output.weight"},
}


def softmax_of(experiment: Experiment) -> set[str]:
    """The keys of the layer `softmax`."""
    return set(layer_weights(experiment.fresh_model(1), "softmax"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root / "train", 48, 1, **SLOW)
    write_data(root / "dev", 12, 2, **SLOW)
    Vocabulary.build(["abcd"], "char").save(root / "tokens.txt")
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for all families, as in a recipe that transplants between them."""
    return Store(tmp_path_factory.mktemp("exp"))


def make_experiment(data: Path, family: str, **changes: Any) -> Experiment:
    config = configuration.parse(
        {
            "features": {"fbank": {"num_mels": 8}},
            "model": {**FAMILIES[family], **changes},
            "train": {
                "epochs": 3,
                "patience": 0,
                "metric": "loss",
                "utterances_per_batch": 8,
                "optimizer": {"lr": 0.01},
            },
        }
    )
    return Experiment(config, data / "train", data / "dev", data / "tokens.txt")


@pytest.fixture(scope="module")
def joint(data: Path, store: Store) -> dict[str, Outcome]:
    """Each family trained jointly, once for all tests of this file."""
    outcomes = {}
    for family in FAMILIES:
        experiment = make_experiment(data, family)
        outcomes[family] = run_node(experiment.joint(1), experiment, store)
    return outcomes


def weights(store: Store, outcome: Outcome) -> dict[str, torch.Tensor]:
    return load_weights(weights_of_epoch(store.node_dir(outcome.node), outcome.best_epoch))


def layer_weights(model: torch.nn.Module, name: str) -> dict[str, torch.Tensor]:
    return layers.tensors_by_layer(model)[name]


@pytest.mark.parametrize("family", FAMILIES)
def test_joint_training_improves_and_leaves_a_model_folder(
    family: str, joint: dict[str, Outcome], store: Store
) -> None:
    outcome = joint[family]
    epochs = [
        line
        for line in read_metrics(store.node_dir(outcome.node) / "metrics.jsonl")
        if line["kind"] == "epoch"
    ]
    assert outcome.metrics["dev_loss"] < epochs[0]["dev_loss"]
    assert epochs[-1]["train_loss"] < 0.95 * epochs[0]["train_loss"]
    trained = load_trained(store.node_dir(outcome.node))
    memory, out = trained.network.encode(torch.randn(2, 40, 8), torch.tensor([40, 30]))
    assert memory.shape == (2, int(out.max()), 16)
    if "attention" in family:
        assert set(outcome.metrics) == {*MEASURED, "dev_accuracy"}
        assert 0 < outcome.metrics["dev_accuracy"] <= 1
    else:
        assert set(outcome.metrics) == MEASURED


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_softmax_is_all_output_layers_and_stays(
    family: str, joint: dict[str, Outcome], data: Path, store: Store
) -> None:
    node = retrained(joint[family], init_seed=2, frozen=("softmax",))
    experiment = make_experiment(data, family)
    before = prepare_model(node, experiment, store)
    child = weights(store, run_node(node, experiment, store))
    parent = weights(store, joint[family])
    same = {key for key in parent if torch.equal(parent[key], child[key])}
    expected = softmax_of(experiment)
    assert set().union(*(SOFTMAX[head] for head in FAMILIES[family] if head in SOFTMAX)) <= expected
    assert expected <= same
    moved = {key for key in child if not torch.equal(dict(before.state_dict())[key], child[key])}
    # Nothing is left out of training but what is frozen, and what has no gradient in this data: the rows of
    # the embedding are all read, the subsampling and the blocks all count.
    assert set(child) - expected <= moved


@pytest.mark.parametrize(
    ("family", "other"),
    [("blstm_ctc_attention", "vgg_ctc_attention"), ("vgg_ctc_attention", "blstm_ctc_attention")],
)
def test_softmax_layers_come_from_the_other_architecture(
    family: str, other: str, joint: dict[str, Outcome], data: Path, store: Store
) -> None:
    """The paper's Table 2: A with the softmax layers of B, and B with those of A."""
    experiment = make_experiment(data, family)
    node = transplanted(experiment, joint[other])
    model = prepare_model(node, experiment, store)
    theirs = weights(store, joint[other])
    for key, tensor in layer_weights(model, "softmax").items():
        assert torch.equal(tensor, theirs[key])
        assert not tensor.requires_grad
    ours = weights(store, run_node(node, experiment, store))
    assert all(torch.equal(ours[key], theirs[key]) for key in softmax_of(experiment))


def test_layers_of_other_shapes_are_refused_with_both_shapes(
    joint: dict[str, Outcome], data: Path, store: Store
) -> None:
    wide = make_experiment(data, "blstm_ctc_attention", attention={**LSTM, "hidden_size": 12})
    with pytest.raises(
        ValueError, match=r"attention\.output\.linear\.weight is \(7, 12\) here and \(7, 16\) in the parent"
    ):
        prepare_model(transplanted(wide, joint["vgg_ctc_attention"]), wide, store)
    narrow = make_experiment(
        data, "blstm_ctc_attention", encoder=[blstm(1, 8, projection_size=8, subsample=(4,))]
    )
    with pytest.raises(ValueError, match=r"ctc\.output\.weight is \(6, 8\) here and \(6, 16\) in the parent"):
        prepare_model(transplanted(narrow, joint["vgg_ctc_attention"]), narrow, store)
    # A norm that the parent has not: Transformers end with one, LSTMs do not.
    transformer = make_experiment(data, "transformer_ctc_attention")
    with pytest.raises(
        ValueError, match=r"'softmax': the parent has no tensor heads\.attention\.output\.norm"
    ):
        prepare_model(transplanted(transformer, joint["vgg_ctc_attention"]), transformer, store)


def test_greedy_cascade_goes_through_decoder_and_encoder(
    joint: dict[str, Outcome], data: Path, store: Store
) -> None:
    experiment = make_experiment(data, "transformer_ctc_attention")
    names = experiment.layer_names()
    assert names == ("subsample", "enc.0", "enc.1", "dec.0", "dec.1", "softmax")
    start = joint["transformer_ctc_attention"]
    search = greedy(Study(start.node, [(name,) for name in names]), GreedySettings())
    said, frozen, error = advance(search), [], 100.0
    while isinstance(said, Request):
        (node,) = said.nodes
        model = prepare_model(node, experiment, store)
        frozen.append(node.frozen)
        free = {name for name, p in model.named_parameters() if p.requires_grad}
        assert free == {
            key for name in names if name not in node.frozen for key in layer_weights(model, name)
        }
        # No training: each step is told to be better, and starts from the joint weights.
        error -= 1
        said = advance(search, [Outcome(start.node, error, start.best_epoch, start.epochs, 0.0, {})])
    assert [len(step) for step in frozen] == [0, 1, 2, 3, 4, 5]
    assert set(frozen[3]) == {"softmax", "dec.1", "dec.0"}


def test_unigram_smoothing_is_told_the_training_labels(data: Path, store: Store) -> None:
    experiment = make_experiment(data, "blstm_ctc_attention")
    model = experiment.fresh_model(1)
    assert model.attention.prior is None
    task = make_task(experiment.joint(1), experiment, model, data)
    vocabulary = experiment.vocabulary()
    texts = dict(line.split() for line in (data / "train" / "text").read_text().splitlines())
    trained = [name for batch in task.epoch(1) for name in task.load(batch, 1).ids]
    expected = unit_prior((vocabulary.encode(texts[name]) for name in trained), 7, 6)
    assert torch.allclose(model.attention.prior, expected)
    assert "prior" not in " ".join(model.state_dict())


def transplanted(experiment: Experiment, parent: Outcome) -> Node:
    """Softmax layers of another experiment's model, frozen; the rest new."""
    child = retrained(parent, init_seed=3, frozen=("softmax",))
    own = experiment.joint(3)
    return Node(
        experiment=own.experiment,
        train_set=own.train_set,
        parent=child.parent,
        frozen=child.frozen,
        init_seed=3,
        epochs=own.epochs,
        patience=own.patience,
    )


def test_a_study_takes_its_classifier_from_another_architecture(
    data: Path, store: Store, joint: dict[str, Outcome]
) -> None:
    """The paper's "softmax layers frozen from B" in A, by the tag that B's study saved."""
    b = make_experiment(data, "vgg_ctc_attention")
    a = make_experiment(data, "blstm_ctc_attention")
    chosen = ScheduleConfig(search=("transplant",), source="b", controls=())
    a = dataclasses.replace(a, config=a.config.model_copy(update={"schedule": chosen}))
    theirs = joint["vgg_ctc_attention"]
    step = Step.of(theirs)
    store.save_results("b", [Result("greedy", 1, (step,), theirs.node.id)])
    assert sources_of(store, "b", "joint", [1]) == {1: Source("b (joint)", theirs)}
    searches = searches_of(a, store)
    train = functools.partial(run_node, experiment=a, store=store)
    (result,) = drive(searches, submitter(InProcess(), train), store=store)
    final = store.outcome(store.node(result.final))
    assert final is not None
    assert final.node.experiment == a.id != b.id
    for key, tensor in layer_weights(b.fresh_model(1), "softmax").items():
        assert torch.equal(weights(store, final)[key], weights(store, theirs)[key])
        assert not torch.equal(weights(store, final)[key], tensor)
    assert [row.name for row in systems([result])] == [
        "joint",
        "classifier frozen from b (joint), the rest trained",
    ]


def test_a_source_that_is_not_there_is_named(store: Store, joint: dict[str, Outcome]) -> None:
    theirs = joint["blstm_ctc_attention"]
    step = Step.of(theirs)
    store.save_results("c", [Result("greedy", 1, (step,), theirs.node.id)])
    with pytest.raises(FileNotFoundError, match=r"no results/x\.json \(there are: .*c"):
        sources_of(store, "x", "joint", [1])
    with pytest.raises(ValueError, match=r"results/c\.json has no seed 2 \(there are: 1\)"):
        sources_of(store, "c", "joint", [1, 2])


def test_a_classifier_of_other_units_is_refused(
    data: Path, tmp_path: Path, store: Store, joint: dict[str, Outcome]
) -> None:
    """As many units, so that the shapes fit, but other ones."""
    Vocabulary.build(["wxyz"], "char").save(tmp_path / "tokens.txt")
    experiment = make_experiment(data, "blstm_ctc_attention")
    other = dataclasses.replace(experiment, tokens=tmp_path / "tokens.txt")
    node = retrained(joint["blstm_ctc_attention"], init_seed=3, frozen=("softmax",), like=other.joint(1))
    with pytest.raises(ValueError, match=r"the units of its parent, .*tokens\.txt, are not those of"):
        prepare_model(node, other, store)
    below = retrained(joint["blstm_ctc_attention"], init_seed=3, frozen=("blstm.0",), like=other.joint(1))
    prepare_model(below, other, store)
