"""The same results on a GPU as on the CPU; frozen layers stay frozen.

ASR_TOPDOWN_TEST_DEVICE=cpu tries the tests without a GPU.
"""

import os
from typing import Any

import pytest
import torch
from networks import blstm, blstm_ctc

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.train.optim import build_optimizer

DEVICE = os.environ.get("ASR_TOPDOWN_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA GPU here"),
]
FEATURES, VOCAB = 12, 7
BLSTM = blstm(4, 10, projection_size=9)
LSTM = {"kind": "lstm", "embedding_size": 8, "hidden_size": 9, "attention_size": 8}
BLOCKS = {"num_layers": 2, "d_model": 16, "num_heads": 2, "ffn_dim": 24, "dropout": 0.0}
CONV2D = {"kind": "conv2d", "channels": 16, "output_size": 16}
DECODER = {"kind": "transformer", "num_layers": 1, "num_heads": 2, "ffn_dim": 24, "dropout": 0.0}
HEADS = {"ctc": {"weight": 0.3}, "attention": DECODER}
MODELS: dict[str, dict[str, Any]] = {
    "blstm_ctc": blstm_ctc(2, 10, subsample=[2]),
    "blstm_ctc_attention": {"encoder": [BLSTM], "ctc": {"weight": 0.3}, "attention": LSTM},
    "vgg_ctc_attention": {"encoder": [{"kind": "vgg"}, BLSTM], "ctc": {"weight": 0.3}, "attention": LSTM},
    "transformer": {"encoder": [CONV2D, {"kind": "transformer", **BLOCKS}], **HEADS},
    "conformer": {"encoder": [CONV2D, {"kind": "conformer", **BLOCKS, "kernel_size": 5}], **HEADS},
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name: str) -> tuple[configuration.Config, Recognizer]:
    config = configuration.parse({"features": {"fbank": {"num_mels": FEATURES}}, "model": MODELS[name]})
    model = fresh_model(config, VOCAB, 3)
    assert isinstance(model, Recognizer)
    return config, model


def batch(device: str) -> SpeechBatch:
    torch.manual_seed(1)
    feats, tokens = torch.randn(3, 60, FEATURES), torch.randint(1, VOCAB, (3, 5))
    sizes, counts = torch.tensor([60, 51, 37]), torch.tensor([5, 3, 4])
    return SpeechBatch(("a", "b", "c"), feats, sizes, tokens, counts).to(torch.device(device))


@every_model
def test_losses_and_gradients_are_those_of_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", DEVICE):
        model = make(name)[1].to(device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            output = model.forward_with_loss(batch(device))
            output.loss.backward()
        gradients = {key: value.grad.cpu() for key, value in model.named_parameters()}
        found.append((output.losses.cpu(), gradients))
    (losses, gradients), (there, gradients_there) = found
    torch.testing.assert_close(there, losses, rtol=1e-4, atol=1e-4)
    for key, gradient in gradients.items():
        torch.testing.assert_close(
            gradients_there[key], gradient, rtol=1e-3, atol=1e-3, msg=lambda m, k=key: k + m
        )


@every_model
def test_frozen_layers_keep_their_fingerprint(name: str) -> None:
    config, model = make(name)
    model.to(DEVICE).train()
    names = list(layers.tensors_by_layer(model))
    frozen, free = names[-2:], names[:-2]
    layers.freeze(model, frozen, dropout=True)
    before, before_free = layers.fingerprint(model, frozen), layers.fingerprint(model, free)
    optimizer = build_optimizer(model, config.train.optimizer)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE, torch.bfloat16):
            loss = model.forward_with_loss(batch(DEVICE)).loss
        loss.backward()
        optimizer.step()
    assert layers.fingerprint(model, frozen) == before
    assert layers.fingerprint(model, free) != before_free


@every_model
def test_gradients_of_norms_and_biases_alone_are_those_of_the_cpu(name: str) -> None:
    """cuDNN takes an LSTM of which the biases are trained and the matrices are not."""
    found = []
    for device in ("cpu", DEVICE):
        model = make(name)[1].to(device)
        still = layers.freeze_all_but_norms_and_biases(model, layers.layer_names(model)[:-1])
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            model.forward_with_loss(batch(device)).loss.backward()
        assert {key for key, one in model.named_parameters() if one.grad is None} == still
        found.append({key: one.grad.cpu() for key, one in model.named_parameters() if one.grad is not None})
    for key, gradient in found[0].items():
        torch.testing.assert_close(found[1][key], gradient, rtol=1e-3, atol=1e-3, msg=lambda m, k=key: k + m)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "blstm_ctc"])
def test_a_search_finds_what_it_finds_on_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", DEVICE):
        model = make(name)[1].to(device).eval()
        torch.manual_seed(5)
        for output in (model.ctc.output, model.attention.output.linear):  # so that hypotheses differ
            output.weight.data = torch.randn(output.weight.shape).to(device)
        one = batch(device)
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            memory, lengths = model.encode(one.feats, one.feat_lengths)
            results = joint_beam(
                memory,
                lengths,
                vocab_size=VOCAB,
                config=DecodeConfig(method="joint_beam", beam=5, nbest=2),
                ctc_log_probs=model.ctc.log_probs(memory),
                decoder=model.attention.scorer,
            )
        found.append(results)
    for here, there in zip(*found, strict=True):
        assert there.best.ids == here.best.ids
        assert there.best.score == pytest.approx(here.best.score, abs=1e-3)
