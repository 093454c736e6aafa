"""The same on a GPU as on the CPU; frozen layers stay frozen there.

ASR_TOPDOWN_TEST_DEVICE=cpu tries the tests without a GPU.
"""

import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import fresh_model
from asr_topdown.decode.beam_options import BeamOptions
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.train.optim import build_optimizer

DEVICE = os.environ.get("ASR_TOPDOWN_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA GPU here"),
]
FEATURES, UNITS = 12, 7
SMALL = {"encoder": {"cells": 10, "projection": 9}, "decoder": {"embedding": 8, "cells": 9, "attention": 8}}
BLOCKS = {"blocks": 2, "dim": 16, "heads": 2, "hidden": 24, "dropout": 0.0}
DECODER = {"blocks": 1, "heads": 2, "hidden": 24, "dropout": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "blstm_ctc": {"kind": "blstm_ctc", "layers": 2, "cells": 10, "subsample": [2]},
    "blstm_ctc_attention": {"kind": "blstm_ctc_attention", **SMALL},
    "vgg_ctc_attention": {"kind": "vgg_ctc_attention", **SMALL},
    "transformer": {"kind": "transformer_ctc_attention", "encoder": BLOCKS, "decoder": DECODER},
    "conformer": {
        "kind": "transformer_ctc_attention",
        "encoder": {**BLOCKS, "block": "conformer", "kernel": 5},
        "decoder": DECODER,
    },
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name: str) -> tuple[configuration.Config, nn.Module]:
    config = configuration.parse({"features": {"fbank": {"num_mels": FEATURES}}, "model": MODELS[name]})
    return config, fresh_model(config, UNITS, 3)


def batch(device: str) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    feats, tokens = torch.randn(3, 60, FEATURES), torch.randint(1, UNITS, (3, 5))
    return tuple(t.to(device) for t in (feats, torch.tensor([60, 51, 37]), tokens, torch.tensor([5, 3, 4])))


@every_model
def test_losses_and_gradients_are_those_of_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", DEVICE):
        model = make(name)[1].to(device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            loss = model.loss(*batch(device))
            loss.total.backward()
        gradients = {key: value.grad.cpu() for key, value in model.named_parameters()}
        found.append((loss.per_utterance.cpu(), gradients))
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
            loss = model.loss(*batch(DEVICE))
        loss.total.backward()
        optimizer.step()
    assert layers.fingerprint(model, frozen) == before
    assert layers.fingerprint(model, free) != before_free


@pytest.mark.parametrize("name", [name for name in MODELS if name != "blstm_ctc"])
def test_a_search_finds_what_it_finds_on_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", DEVICE):
        model = make(name)[1].to(device).eval()
        assert isinstance(model, CtcAttention)
        torch.manual_seed(5)
        for output in (model.softmax.ctc, model.softmax.decoder):  # so that hypotheses differ
            output.weight.data = torch.randn(output.weight.shape).to(device)
        feats, lengths, _, _ = batch(device)
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            memory, lengths = model.encode(feats, lengths)
            ctc = model.ctc_log_probs(memory)
            results = joint_beam(
                memory,
                lengths,
                units=UNITS,
                options=BeamOptions(beam=5, nbest=2),
                ctc_log_probs=ctc,
                decoder=model.scorer,
            )
        found.append(results)
    for here, there in zip(*found, strict=True):
        assert there.best.ids == here.best.ids
        assert there.best.score == pytest.approx(here.best.score, abs=1e-3)
