"""Numbers of the networks before they became chains of stages under heads.

Made by the code of commit da21fd5 (`BlstmCtc`, `CtcAttention`, `Transducer`, `AwdLstm`) with seed 3 and the
batch below: initial weights, losses, gradients, dropout and decodings are the same ever since.
"""

from typing import Any, NamedTuple

import pytest
import torch
from networks import blstm, make_batch

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.language_model import LanguageModelBatch
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary

LSTM = {
    "kind": "lstm", "embedding_size": 8, "hidden_size": 12, "attention_size": 10, "location_filters": 3,
    "location_width": 5, "dropout": 0.2,
}  # fmt: skip
DECODER = {
    "kind": "transformer", "num_layers": 2, "num_heads": 2, "ffn_dim": 20, "dropout": 0.15,
    "attention_dropout": 0.1,
}  # fmt: skip
BLOCKS = {"num_layers": 2, "d_model": 8, "num_heads": 2, "ffn_dim": 16, "dropout": 0.1}
PREDICTOR = {"embedding_size": 6, "hidden_size": 9, "num_layers": 2, "dropout": 0.3}
STACKED = {"projection_size": 6, "stack": 2, "subsample": (1, 2), "norm": True, "dropout": 0.2}


class Golden(NamedTuple):
    """Losses and norm of the gradient without dropout, loss with it, and what a beam search finds."""

    features: int
    model: dict[str, Any]
    losses: list[float]
    gradient: float
    dropped: float
    found: list[list[int]]
    score: float


NETWORKS = {
    "blstm_ctc": Golden(
        9,
        {"encoder": [blstm(3, 7, **STACKED)], "ctc": {}},
        [15.17799, 8.65779, 9.53462, 4.587], 15.1369, 9.08556,
        [[1, 3, 1, 3, 1, 3, 1, 3], [1, 3, 1, 3, 1], [1, 3, 1], [1]], -23.1955,
    ),
    "blstm_ctc_attention": Golden(
        9,
        {
            "encoder": [blstm(3, 8, **STACKED)],
            "ctc": {"weight": 0.2},
            "attention": {**LSTM, "label_smoothing": 0.05, "smoothing_prior": "unigram"},
        },
        [12.36052, 5.70621, 5.16538, 2.70011], 2.33346, 6.44468,
        [[4, 2, 4, 2, 4, 2, 4], [4, 2, 4, 2, 4], [4, 1, 4], [4]], -30.9914,
    ),
    "vgg_ctc_attention": Golden(
        12,
        {
            "encoder": [
                {"kind": "vgg", "channels": 3, "filters": (4, 6)},
                blstm(2, 8, projection_size=6, norm=True, dropout=0.2),
            ],
            "ctc": {"weight": 0.5},
            "attention": {**LSTM, "label_smoothing": 0.1},
        },
        [11.22162, 8.45507, 5.01245, 2.66743], 5.33061, 6.9427,
        [[2, 5, 2, 5, 2, 5], [2, 5, 2, 5], [5, 5], [5]], -28.7018,
    ),
    "transformer_ctc_attention": Golden(
        12,
        {
            "encoder": [
                {"kind": "conv2d", "channels": 5, "output_size": 8},
                {"kind": "transformer", **BLOCKS, "attention_dropout": 0.1},
            ],
            "ctc": {"weight": 0.3},
            "attention": {**DECODER, "label_smoothing": 0.1},
        },
        [11.54953, 5.52524, 4.55788, 2.03519], 2.77767, 5.96775,
        [[5, 1, 4, 1, 4, 1], [5, 1, 4], [5, 1], [1]], -24.3595,
    ),
    "conformer_ctc_attention": Golden(
        13,
        {
            "encoder": [
                {"kind": "conv2d", "channels": 8, "output_size": 8},
                {"kind": "conformer", **BLOCKS, "kernel_size": 5, "conv_norm": "batch"},
            ],
            "ctc": {"weight": 0.3},
            "attention": {**DECODER, "num_layers": 1},
        },
        [11.44969, 5.48833, 3.62, 2.05688], 3.54727, 5.3402,
        [[3, 1, 2, 4], [2, 4], [2, 4], []], -18.8837,
    ),
    "blstm_transducer": Golden(
        9,
        {
            "encoder": [blstm(2, 7, projection_size=6, stack=2, subsample=(2,), dropout=0.1)],
            "ctc": {"weight": 0.3},
            "transducer": {"predictor": PREDICTOR, "joiner_size": 10},
        },
        [16.75354, 11.72847, 8.47393, 3.08153], 5.94193, 9.95626,
        [[5], [5], [5], []], -44.8868,
    ),
    "vgg_transducer": Golden(
        9,
        {
            "encoder": [{"kind": "vgg", "filters": (4, 6)}, blstm(1, 7, projection_size=6)],
            "transducer": {"predictor": PREDICTOR, "joiner_size": 10},
        },
        [20.75999, 14.34697, 10.66257, 3.48918], 9.90058, 12.3315,
        [[5], [5], [5], []], -48.2083,
    ),
    "conformer_transducer": Golden(
        15,
        {
            "encoder": [
                {"kind": "conv2d", "channels": 4, "output_size": 8},
                {"kind": "conformer", **BLOCKS, "num_layers": 1, "kernel_size": 3},
            ],
            "transducer": {"predictor": PREDICTOR, "joiner_size": 10},
        },
        [23.68125, 14.71076, 9.56763, 2.33255], 12.8119, 12.5263,
        [[3], [3], [3], []], -48.2955,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_losses_gradients_and_decodings_are_those_of_the_first_code(name: str) -> None:
    golden = NETWORKS[name]
    values = {"features": {"fbank": {"num_mels": golden.features}}, "model": golden.model}
    vocabulary = Vocabulary.build(["abcd"], "char")
    model = fresh_model(configuration.parse(values), len(vocabulary), init_seed=3)
    assert isinstance(model, Recognizer)
    batch = make_batch(features=golden.features)
    model.set_prior([[2, 3, 3, 5], [1, 4], [2], []])
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    output = model.eval().forward_with_loss(batch)
    assert output.losses.tolist() == pytest.approx(golden.losses, abs=2e-5)
    output.loss.backward()
    squares = sum(p.grad.double().square().sum().item() for p in model.parameters() if p.grad is not None)
    assert squares**0.5 == pytest.approx(golden.gradient, rel=1e-5)
    torch.manual_seed(11)
    assert model.train().forward_with_loss(batch).loss.item() == pytest.approx(golden.dropped, rel=1e-5)
    model.load_state_dict(state)  # batch norm has moved
    model.eval()
    settings: dict[str, Any] = {"method": "transducer_beam", "beam": 4, "nbest": 3}
    if model.transducer is None:
        weight = 1.0 if model.attention is None else 0.3
        settings |= {"method": "joint_beam", "ctc_weight": weight}
        settings |= {"beam": 5, "nbest": 1} if model.attention is None else {}
    decode = build_decoder(model, DecodeConfig(**settings), vocabulary)
    with torch.no_grad():
        found = decode(*model.encode(batch.feats, batch.feat_lengths))
    assert [list(result.best.ids) for result in found] == golden.found
    assert sum(result.best.score for result in found) == pytest.approx(golden.score, abs=1e-3)


def test_the_language_model_is_that_of_the_first_code() -> None:
    """Three steps with dropout, the state handed on: loss, cross-entropy, norm of the gradient."""
    settings = {"kind": "awd_lstm", "num_layers": 3, "hidden_size": 11, "embedding_size": 7}
    config = configuration.parse({"model": settings, "train": {"metric": "loss"}})
    model = fresh_model(config, 11, init_seed=3).train()
    words = torch.randint(11, (20, 3), generator=torch.Generator().manual_seed(4))
    torch.manual_seed(9)
    state: tuple[torch.Tensor, ...] = ()
    found = []
    for start in (0, 7, 12):
        model.zero_grad()
        rows = words[start : start + 8]
        output = model.forward_with_loss(LanguageModelBatch(("rows",), rows[:-1], rows[1:]), state)
        output.loss.backward()
        state = output.hidden_state
        squares = sum(p.grad.double().square().sum().item() for p in model.parameters())
        found += [output.loss.item(), output.losses.item(), squares**0.5]
    expected = [2.48492, 2.39639, 0.358175, 2.47436, 2.40732, 0.348603, 2.48871, 2.39774, 0.44414]
    assert found == pytest.approx(expected, rel=1e-5)
