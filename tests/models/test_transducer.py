"""Transducers: layers, lengths, batching, the loss by hand, gradients through a frozen top."""

import itertools

import pytest
import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import build_model
from asr_topdown.losses import ctc_loss
from asr_topdown.models.transducer import Transducer

UNITS = 5
ENCODERS = {
    "blstm": {"kind": "blstm", "layers": 2, "cells": 3, "projection": 4, "stack": 2, "subsample": [2]},
    "vgg": {"kind": "vgg", "layers": 1, "cells": 3, "projection": 4},
    "transformer": {"kind": "transformer", "blocks": 2, "dim": 8, "heads": 2, "hidden": 8, "channels": 2},
    "conformer": {
        "kind": "transformer",
        "block": "conformer",
        "blocks": 1,
        "dim": 8,
        "heads": 2,
        "hidden": 8,
        "channels": 2,
        "kernel": 3,
    },
}


def make_model(encoder: str, /, **changes: object) -> Transducer:
    torch.manual_seed(0)
    settings = {
        "kind": "transducer",
        "encoder": ENCODERS[encoder],
        "predictor": {"embedding": 3, "cells": 6, "layers": 2, "dropout": 0.5},
        "joint": 7,
        **changes,
    }
    config = configuration.parse({"features": {"fbank": {"num_mels": 8}}, "model": settings})
    model = build_model(config, UNITS)
    assert isinstance(model, Transducer)
    return model


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_layers_are_a_partition(encoder: str, ctc_weight: float) -> None:
    model = make_model(encoder, ctc_weight=ctc_weight)
    layers.check_partition(model)
    below = {
        "blstm": ("blstm.0", "blstm.1"),
        "vgg": ("vgg", "blstm.0"),
        "transformer": ("subsample", "enc.0", "enc.1"),
        "conformer": ("subsample", "enc.0"),
    }
    assert layers.layer_names(model) == (*below[encoder], "predictor", "softmax")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_length_formula_is_the_real_length(encoder: str) -> None:
    model = make_model(encoder).eval()
    for time in range(1, 40):
        formula = int(model.output_length(torch.tensor([time])))
        if not formula:
            continue  # too short for the front end
        memory, lengths = model(torch.randn(1, time, 8), torch.tensor([time]))
        assert memory.shape[1] == lengths.item() == formula


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_batch_gives_what_its_utterances_give_alone(encoder: str) -> None:
    model = make_model(encoder, ctc_weight=0.3).eval()
    sizes, counts = [40, 33, 21], [3, 4, 0]
    feats, tokens = torch.full((3, 40, 8), 99.0), torch.full((3, 4), 4)
    for row, size in enumerate(sizes):
        feats[row, :size] = torch.randn(size, 8)
    tokens[0, :3], tokens[1] = torch.tensor([1, 1, 2]), torch.tensor([4, 3, 2, 1])
    together = model.judge(feats, torch.tensor(sizes), tokens, torch.tensor(counts))
    assert torch.isfinite(together.losses).all()
    for row, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        alone = model.judge(
            feats[row : row + 1, :size],
            torch.tensor([size]),
            tokens[row : row + 1, :count],
            torch.tensor([count]),
        )
        length = int(alone.lengths)
        assert together.lengths[row] == length
        assert torch.allclose(together.outputs[row, :length], alone.outputs[0], atol=1e-5)
        assert together.losses[row].item() == pytest.approx(alone.losses.item(), rel=1e-5)


def by_hand(model: Transducer, memory: Tensor, target: list[int]) -> float:
    """Sum over the orders of blanks and labels, with the predictor run label by label."""
    outputs, state = model.predictor.start(1)
    read = [outputs]
    for label in target:
        outputs, state = model.predictor.step(state, torch.tensor([label]))
        read.append(outputs)
    total = -torch.inf
    for places in itertools.combinations(range(len(memory) - 1 + len(target)), len(target)):
        frame = label = 0
        score = 0.0
        for place in range(len(memory) + len(target)):
            log_probs = model.softmax(memory[frame : frame + 1], read[label]).log_softmax(-1)[0]
            if place in places:
                score += log_probs[target[label]].item()
                label += 1
            else:
                score += log_probs[0].item()
                frame = min(frame + 1, len(memory) - 1)
        total = torch.logaddexp(torch.tensor(total), torch.tensor(score)).item()
    return total


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
def test_the_loss_sums_over_all_alignments(ctc_weight: float) -> None:
    model = make_model("blstm", ctc_weight=ctc_weight).eval()
    feats, target = torch.randn(1, 12, 8), [2, 2, 1]
    memory, lengths = model(feats, torch.tensor([12]))
    assert lengths.item() == 3
    target = target[: 3 if not ctc_weight else 2]  # CTC would need four frames for the third
    labels, count = torch.tensor([target]), torch.tensor([len(target)])
    expected = -by_hand(model, memory[0], target)
    if model.softmax.ctc is not None:
        ctc = ctc_loss(model.softmax.ctc(memory).log_softmax(-1), lengths, labels, count)
        expected = 0.3 * ctc.item() + 0.7 * expected
    loss = model.loss(feats, torch.tensor([12]), labels, count)
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert loss.per_utterance.tolist() == pytest.approx([expected], rel=1e-5)


def test_what_can_be_trained_depends_on_the_ctc_output() -> None:
    assert make_model("blstm").frames_needed([1, 1, 1]) == 1
    assert make_model("blstm", ctc_weight=0.3).frames_needed([1, 1, 1]) == 5


@pytest.mark.parametrize("encoder", ENCODERS)
def test_gradient_flows_through_a_frozen_top(encoder: str) -> None:
    model = make_model(encoder)
    layers.freeze(model, ["predictor", "softmax"], dropout=False)
    feats = torch.randn(2, 40, 8)
    loss = model.loss(feats, torch.tensor([40, 32]), torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]))
    loss.total.backward()
    frozen = {key for name in ("predictor", "softmax") for key in layers.tensors_by_layer(model)[name]}
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all()
    assert model.predictor.lstm.dropout == model.predictor.dropout.p == 0


def test_it_learns_a_batch_by_heart_under_bfloat16() -> None:
    encoder = {"kind": "blstm", "layers": 1, "cells": 12, "projection": 12, "stack": 4}
    model = make_model("blstm", encoder=encoder, predictor={"embedding": 8, "cells": 16}, joint=16)
    feats = torch.randn(4, 40, 8)
    tokens, counts = torch.tensor([[1, 2, 3], [4, 4, 0], [3, 1, 2], [2, 0, 0]]), torch.tensor([3, 2, 3, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first = last = 0.0
    for step in range(90):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(feats, torch.full((4,), 40), tokens, counts).total
        assert loss.dtype == torch.float32
        loss.backward()
        optimizer.step()
        first, last = (loss.item(), loss.item()) if step == 0 else (first, loss.item())
    assert last < 0.1 * first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"cellz": 3}}, r"unknown key model\.encoder\.cellz; did you mean 'cells'"),
        ({"encoder": {"kind": "rnn"}}, r"model\.encoder: .*'blstm', 'vgg', 'transformer'"),
        ({"loss": "k2"}, r"model\.loss: .*got 'k2'"),
        ({"encoder": {"kind": "transformer", "heads": 3, "dim": 8}}, r"3 heads cannot share a dim of 8"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configuration.parse({"model": {"kind": "transducer", **changes}})


def test_who_computes_the_loss_is_no_part_of_what_a_network_is() -> None:
    base = {"model": {"kind": "transducer"}}
    same = configuration.parse(base, ["model.loss=torch"]).identity()
    assert same == configuration.parse(base).identity()
    assert same != configuration.parse(base, ["model.joint=3"]).identity()
