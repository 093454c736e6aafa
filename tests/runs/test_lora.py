"""Low-rank adapters in frozen layers: what is trained, and what is saved."""

import copy

import pytest
import torch
from networks import blstm_ctc, make
from torch import nn

from asr_topdown import layers
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import lora
from asr_topdown.weights import load_weights, save_weights

pytest.importorskip("peft", reason="wants the extra lora")

FROZEN = ("blstm.0", "blstm.1")


def network() -> Recognizer:
    return make(blstm_ctc(2, 6, projection_size=4), features=5, vocab_size=7)


def adapted() -> Recognizer:
    model = network()
    layers.freeze(model, FROZEN, dropout=True)
    lora.adapt(model, FROZEN, rank=2, seed=3)
    return model


FEATS, LENGTHS = torch.randn(3, 9, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([9, 7, 4])


def test_an_adapter_begins_as_nothing() -> None:
    before, _ = network().encode(FEATS, LENGTHS)
    after, _ = adapted().encode(FEATS, LENGTHS)
    assert torch.allclose(before, after, atol=1e-6)


def test_only_adapters_and_the_free_layer_are_trained() -> None:
    model = adapted()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if lora.MARK not in name} == {
        "heads.ctc.output.weight",
        "heads.ctc.output.bias",
    }
    # Two LSTMs of two matrices and a projection in each of two layers, A and B of each.
    assert sum(lora.MARK in name for name in trained) == 2 * (2 * 2 + 1) * 2
    layers.check_partition(model)
    again = adapted()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_moves_the_output_and_not_the_frozen_matrices() -> None:
    model = adapted()
    before = layers.fingerprint(model, FROZEN, ignore=lora.MARK)
    reference, _ = model.encode(FEATS, LENGTHS)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        model.encode(FEATS, LENGTHS)[0].square().mean().backward()
        optimizer.step()
    assert layers.fingerprint(model, FROZEN, ignore=lora.MARK) == before
    assert layers.fingerprint(model, FROZEN) != before
    assert not torch.allclose(model.encode(FEATS, LENGTHS)[0], reference, atol=1e-4)


def test_what_is_saved_is_a_plain_network_that_computes_the_same(tmp_path) -> None:
    model = adapted()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if lora.MARK in name:
                parameter.normal_(0, 0.3)
    wanted, _ = model.encode(FEATS, LENGTHS)
    save_weights(model, tmp_path / "w.safetensors")
    plain = network()
    unadapted = copy.deepcopy(plain.state_dict())
    plain.load_state_dict(load_weights(tmp_path / "w.safetensors"))
    assert torch.allclose(plain.encode(FEATS, LENGTHS)[0], wanted, atol=1e-5)
    moved = {key for key, tensor in plain.state_dict().items() if not torch.equal(tensor, unadapted[key])}
    assert moved == {key for key in unadapted if key.startswith("stages.blstm.") and "weight" in key}


def test_nothing_to_adapt_is_said() -> None:
    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(3)

        def layers(self) -> tuple[layers.Layer, ...]:
            return (layers.Layer("norm", (self.norm,)),)

    with pytest.raises(ValueError, match="no linear or LSTM matrix"):
        lora.adapt(Norms(), ["norm"], rank=2, seed=0)
