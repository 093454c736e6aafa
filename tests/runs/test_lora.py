"""Low-rank adapters in frozen layers: what is trained, and what is saved."""

import copy

import pytest
import torch
from networks import BLOCKS, LABELS, NETWORKS, blstm, blstm_ctc, make, make_batch
from torch import nn

from asr_topdown import layers
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.predictor import LstmPredictor
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


EVERY = {
    **NETWORKS,
    "label": {"encoder": [blstm(1, 4)], "label": {}},
    "transformer_alone": {"encoder": [{"kind": "transformer", "d_model": 8, **BLOCKS}], "ctc": {}},
}


@pytest.mark.parametrize("name", EVERY)
def test_every_adapter_of_every_network_is_trained(name: str) -> None:
    model = make(EVERY[name])
    names = layers.layer_names(model)
    layers.freeze(model, names, dropout=False)
    lora.adapt(model, names, rank=2, seed=1)
    batch = make_batch(labels=[[1], [3], [2], [0]]) if name == "label" else make_batch(labels=LABELS)
    model.forward_with_loss(batch).loss.backward()
    # B begins at zero, and so A gets a gradient only after the first step.
    adapters = {key: one for key, one in model.named_parameters() if "lora_B" in key}
    dead = [key for key, one in adapters.items() if one.grad is None or not one.grad.abs().sum() > 0]
    assert adapters
    assert not dead
    # The LSTM decoder reads its matrices itself.
    assert not any("attention.location" in key or ".cell." in key for key in adapters)


def test_a_predictor_with_adapters_can_be_searched_with() -> None:
    model = make("transducer")
    layers.freeze(model, ["predictor"], dropout=False)
    lora.adapt(model, ["predictor"], rank=2, seed=1)
    predictor = model.get_submodule("heads.transducer.predictor")
    assert isinstance(predictor, LstmPredictor)
    output, state = predictor.eval().start(3)
    assert output.shape == (3, 6)
    assert state.hidden.shape == (2, 3, 6)
    torch.testing.assert_close(output[:1], predictor(torch.zeros(1, 0, dtype=torch.long))[:, 0])


def test_a_frozen_layer_of_convolutions_alone_has_no_adapters() -> None:
    model = make("vgg_ctc")
    layers.freeze(model, ["vgg", "blstm.0"], dropout=False)
    before = sum(one.numel() for one in model.parameters() if one.requires_grad)
    lora.adapt(model, ["vgg", "blstm.0"], rank=3, seed=1)
    assert lora.adapted_layers(model) == ("blstm.0",)
    # rank x (rows + columns) of each matrix: two directions of 16 x 12 and 16 x 4.
    adapters = 2 * 3 * ((16 + 12) + (16 + 4))
    assert sum(one.numel() for one in model.parameters() if one.requires_grad) == before + adapters


def test_off_the_cpu_an_adapted_lstm_is_called_too() -> None:
    stage = adapted().get_submodule("stages.blstm.0").to("meta")
    out, _ = stage(FEATS.to("meta"), LENGTHS.to("meta"), LENGTHS)
    assert out.shape == (3, 9, 4)


def test_what_cannot_be_adapted_is_refused() -> None:
    off = {f"{name}_dropout": 0.0 for name in ("embedding", "input", "hidden", "output", "weight")}
    for tied in (True, False):
        sizes = {"vocab_size": 7, "embedding_size": 3, "hidden_size": 4, "num_layers": 2}
        language = AwdLstm(**sizes, tied=tied, ar_alpha=0, tar_beta=0, **off)
        with pytest.raises(ValueError, match=r"LoRA: lstm\.0, softmax: no linear or LSTM matrix"):
            lora.check(language, ["softmax", "lstm.0"], averaged=False)
    with pytest.raises(ValueError, match="LoRA: decoder: no linear or LSTM matrix"):
        lora.check(make("attention"), ["decoder"], averaged=False)
    with pytest.raises(ValueError, match=r"LoRA and train\.average do not go together"):
        lora.check(network(), FROZEN, averaged=True)


def test_nothing_to_adapt_is_said() -> None:
    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(3)

        def layers(self) -> tuple[layers.Layer, ...]:
            return (layers.Layer("norm", (self.norm,)),)

    with pytest.raises(ValueError, match="no linear or LSTM matrix"):
        lora.adapt(Norms(), ["norm"], rank=2, seed=0)
