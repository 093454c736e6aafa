"""The CTC-attention models: layers, lengths, padding, losses, gradients, label by label."""

import pytest
import torch
import torch.nn.functional as F

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import build_model
from asr_topdown.models.ctc_attention import CtcAttention

FEATURES, UNITS = 9, 6
SIZES = (45, 30, 21, 8)
LABELS = ([2, 3, 3, 5], [1, 4], [2], [])

LSTM = {"embedding": 4, "cells": 5, "attention": 6, "filters": 2, "width": 3, "dropout": 0.2}
TRANSFORMER = {"blocks": 2, "dim": 8, "heads": 2, "hidden": 12}
MODELS = {
    "blstm": {
        "kind": "blstm_ctc_attention",
        "encoder": {"layers": 2, "cells": 4, "projection": 5, "stack": 2, "subsample": (2,), "dropout": 0.2},
        "decoder": LSTM,
        "label_smoothing": 0.1,
        "smoothing_prior": "unigram",
    },
    "vgg": {
        "kind": "vgg_ctc_attention",
        "encoder": {"layers": 2, "cells": 4, "projection": 5, "channels": 3, "norm": True},
        "decoder": LSTM,
        "label_smoothing": 0.1,
    },
    "transformer": {
        "kind": "transformer_ctc_attention",
        "encoder": TRANSFORMER,
        "decoder": {"blocks": 2, "heads": 2, "hidden": 12},
    },
    "conformer": {
        "kind": "transformer_ctc_attention",
        "encoder": {**TRANSFORMER, "block": "conformer", "kernel": 5},
        "decoder": {"blocks": 1, "heads": 4, "hidden": 12},
    },
    "conformer_batch": {
        "kind": "transformer_ctc_attention",
        "encoder": {**TRANSFORMER, "block": "conformer", "kernel": 5, "conv_norm": "batch", "channels": 3},
        "decoder": {"blocks": 1, "heads": 4, "hidden": 12},
    },
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name: str, **changes: object) -> CtcAttention:
    torch.manual_seed(0)
    config = configuration.parse(
        {"features": {"fbank": {"num_mels": FEATURES}}, "model": {**MODELS[name], **changes}}
    )
    model = build_model(config, UNITS)
    assert isinstance(model, CtcAttention)
    model.set_prior(LABELS)
    return model


def make_batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Utterances of different lengths; what stands in the padding must not matter."""
    generator = torch.Generator().manual_seed(1)
    feats = torch.full((len(SIZES), max(SIZES) + 3, FEATURES), 77.0)
    tokens = torch.full((len(SIZES), 5), -1)
    for row, size, labels in zip(range(len(SIZES)), SIZES, LABELS, strict=True):
        feats[row, :size] = torch.randn(size, FEATURES, generator=generator)
        tokens[row, : len(labels)] = torch.tensor(labels, dtype=torch.long)
    return feats, torch.tensor(SIZES), tokens, torch.tensor([len(labels) for labels in LABELS])


@every_model
def test_layers_are_a_partition(name: str) -> None:
    model = make(name)
    layers.check_partition(model)
    expected = {
        "blstm": ("blstm.0", "blstm.1", "decoder", "softmax"),
        "vgg": ("vgg", "blstm.0", "blstm.1", "decoder", "softmax"),
        "transformer": ("subsample", "enc.0", "enc.1", "dec.0", "dec.1", "softmax"),
        "conformer": ("subsample", "enc.0", "enc.1", "dec.0", "softmax"),
        "conformer_batch": ("subsample", "enc.0", "enc.1", "dec.0", "softmax"),
    }
    assert layers.layer_names(model) == expected[name]
    assert model.softmax.ctc.out_features == UNITS
    assert model.softmax.decoder.out_features == UNITS + 1
    assert model.sos_eos == UNITS


@every_model
def test_length_formula_is_the_real_length(name: str) -> None:
    """From the shortest legal length on; below it, a Transformer's front end has no frame to give."""
    model = make(name).eval()
    for time in range(1, 40):
        log_probs, lengths = model(torch.randn(1, time, FEATURES), torch.tensor([time]))
        assert lengths.item() == model.output_length(torch.tensor([time])).item()
        if lengths.item():
            assert log_probs.shape == (1, lengths.item(), UNITS)
        else:
            assert "former" in name
            assert time < 7
        assert torch.isfinite(log_probs).all()


@every_model
def test_padding_changes_no_utterance(name: str) -> None:
    model = make(name).eval()
    feats, lengths, tokens, token_lengths = make_batch()
    together = model.judge(feats, lengths, tokens, token_lengths)
    for row, (size, labels) in enumerate(zip(SIZES, LABELS, strict=True)):
        alone = model.judge(
            feats[row : row + 1, :size], lengths[row : row + 1], torch.tensor([labels], dtype=torch.long),
            token_lengths[row : row + 1],
        )  # fmt: skip
        length = int(alone.lengths)
        assert together.lengths[row] == length
        assert torch.allclose(together.outputs[row, :length], alone.outputs[0], atol=1e-5)
        assert torch.allclose(together.losses[row], alone.losses[0], atol=1e-4)
        assert together.correct[row] == alone.correct[0]
        assert together.labels[row] == len(labels) + 1


@every_model
def test_an_utterance_without_frames_makes_no_nan(name: str) -> None:
    """Two frames, in a batch and alone: no NaN in any output or gradient, and CTC says "impossible"."""
    model = make(name)
    for feats, lengths in ((torch.randn(2, 40, FEATURES), [40, 2]), (torch.randn(1, 2, FEATURES), [2])):
        model.zero_grad()
        tokens = torch.tensor([[1, 2]] * len(lengths))
        judged = model.judge(feats, torch.tensor(lengths), tokens, torch.full((len(lengths),), 2))
        assert judged.losses[-1] == torch.inf
        assert torch.isfinite(judged.losses[:-1]).all()
        assert torch.isfinite(judged.outputs).all()
        memory, out = model.encode(feats, torch.tensor(lengths))
        labels = model.decoder(memory, out.clamp(min=1), tokens)
        (model.ctc_log_probs(memory).sum() + model.softmax.label_log_probs(labels).sum()).backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@every_model
def test_label_by_label_is_teacher_forcing(name: str) -> None:
    """Also with three hypotheses per utterance, reordered, and with utterances dropped on the way."""
    model = make(name).eval()
    feats, lengths, _, _ = make_batch()
    memory, lengths = model.encode(feats, lengths)
    generator = torch.Generator().manual_seed(2)
    steps, beam, kept = 6, 3, torch.tensor([0, 2, 3])
    scorer = model.scorer
    rows = torch.arange(len(SIZES)).repeat_interleave(beam)
    state = scorer.select(scorer.init_state(memory, lengths), rows)
    read = torch.full((len(rows), 0), 0)
    tokens = torch.full((len(rows),), model.sos_eos)
    worst = 0.0
    for step in range(steps):
        log_probs, state = scorer.score(state, tokens)
        read = torch.cat([read, tokens[:, None]], 1)
        forced = model.softmax.label_log_probs(model.decoder(memory[rows], lengths[rows].clamp(min=1), read))
        worst = max(worst, (log_probs - forced[:, -1]).abs().max().item())
        # Each new hypothesis goes on from some old one of its utterance.
        choice = torch.randint(beam, (len(rows),), generator=generator)
        choice += beam * torch.arange(len(rows) // beam).repeat_interleave(beam)
        if step == 2:
            choice = choice.view(-1, beam)[kept].flatten()
            rows = rows.view(-1, beam)[kept].flatten()
            state = scorer.select(state, choice, kept)
        else:
            state = scorer.select(state, choice)
        read = read[choice]
        tokens = torch.randint(UNITS, (len(rows),), generator=generator)
    assert worst < 1e-5


@every_model
def test_losses_are_the_weighted_sums_of_their_definitions(name: str) -> None:
    model = make(name).eval()
    feats, lengths, tokens, token_lengths = make_batch()
    judged = model.judge(feats, lengths, tokens, token_lengths)
    memory, out_lengths = model.encode(feats, lengths)
    for row, labels in enumerate(LABELS):
        ctc = F.ctc_loss(
            judged.outputs[row, : out_lengths[row]], torch.tensor(labels, dtype=torch.long),
            out_lengths[row], token_lengths[row], reduction="sum",
        )  # fmt: skip
        outputs = model.decoder(
            memory[row : row + 1], out_lengths[row : row + 1], torch.tensor([[UNITS, *labels]])
        )
        log_probs = model.softmax.label_log_probs(outputs)[0]
        prior = model.prior if model.prior is not None else torch.full((UNITS + 1,), 1 / (UNITS + 1))
        attention = 0.0
        for predicted, label in zip(log_probs, [*labels, UNITS], strict=True):
            target = model.label_smoothing * prior
            target[label] += 1 - model.label_smoothing
            attention -= (target @ predicted).item()
        expected = model.ctc_weight * ctc + (1 - model.ctc_weight) * attention
        assert judged.losses[row].item() == pytest.approx(float(expected), rel=1e-5)
    total = model.loss(feats, lengths, tokens, token_lengths).total
    assert total.item() == pytest.approx(judged.losses.mean().item(), rel=1e-6)


@every_model
def test_gradients_are_those_of_central_differences(name: str) -> None:
    """In double precision, along a random direction in each layer."""
    model = make(name).double().eval()
    feats, lengths, tokens, token_lengths = make_batch()
    feats = feats.double()

    def value() -> torch.Tensor:
        # The model's losses are float32 by contract, so what is tested here is everything below them.
        memory, out = model.encode(feats, lengths)
        read, predict, real = model._with_ends(tokens, token_lengths)
        outputs = model.decoder(memory, out.clamp(min=1), read)
        labels = model.softmax.decoder(model.softmax.norm(outputs)).log_softmax(-1)
        frames = torch.arange(memory.shape[1]) < out[:, None]
        ctc = model.softmax.ctc(memory).log_softmax(-1)[..., 0] * frames
        return ctc.sum() - (labels.gather(-1, predict[..., None])[..., 0] * real).sum()

    value().backward()
    for layer, tensors in layers.tensors_by_layer(model).items():
        parameters = [tensor for tensor in tensors.values() if tensor.requires_grad]
        assert all(tensor.grad is not None for tensor in parameters), layer
        directions = [torch.randn_like(tensor) for tensor in parameters]
        slope = sum(
            (tensor.grad * direction).sum() for tensor, direction in zip(parameters, directions, strict=True)
        )
        ends = []
        for sign in (1, -2):
            with torch.no_grad():
                for tensor, direction in zip(parameters, directions, strict=True):
                    tensor += sign * 1e-6 * direction
            ends.append(value().item())
        with torch.no_grad():
            for tensor, direction in zip(parameters, directions, strict=True):
                tensor += 1e-6 * direction
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope.item(), rel=2e-4, abs=1e-5), layer


@every_model
def test_a_small_batch_is_nearly_learnt_by_heart(name: str) -> None:
    """The decoder's, not only CTC's: at first it guesses one of the seven labels right."""
    model = make(name, ctc_weight=0.3, label_smoothing=0.0)
    batch = make_batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    model.eval()  # without dropout
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(*batch).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    judged = model.judge(*batch)
    assert judged.correct.sum() >= 0.8 * judged.labels.sum()


@every_model
def test_gradient_flows_through_frozen_decoder_and_softmax(name: str) -> None:
    model = make(name)
    names = layers.layer_names(model)
    top = [one for one in names if one.startswith(("dec", "softmax"))]
    before = layers.fingerprint(model, top)
    layers.freeze(model, top, dropout=False)
    model.train()
    model.loss(*make_batch()).total.backward()
    for layer, tensors in layers.tensors_by_layer(model).items():
        for key, tensor in tensors.items():
            moved = tensor.grad is not None and float(tensor.grad.abs().sum()) > 0
            assert moved == (layer not in top and tensor.requires_grad), key
    assert layers.fingerprint(model, top) == before


def test_frozen_batch_norm_keeps_its_statistics() -> None:
    model = make("conformer_batch")
    layers.freeze(model, ["enc.0"], dropout=True)
    frozen, free = layers.fingerprint(model, ["enc.0"]), layers.fingerprint(model, ["enc.1"])
    model.train()
    model.loss(*make_batch())
    assert layers.fingerprint(model, ["enc.0"]) == frozen
    assert layers.fingerprint(model, ["enc.1"]) != free


@pytest.mark.parametrize(
    ("kind", "espnet", "more"),
    [
        # ESPnet 202511 with 83 features and 50 units. Ours has one unit more in the decoder, `<sos/eos>`,
        # which ESPnet counts among the 50: a row in the embedding and one in the output (with its bias).
        # The energy of location attention has no bias here: it cancels in the softmax.
        ("blstm_ctc_attention", 8_277_951, 320 + 321 - 1),
        ("vgg_ctc_attention", 15_205_759, 320 + 321 - 1),
        ("transformer_ctc_attention", 27_196_516, 256 + 257),
    ],
)
def test_parameters_beside_espnet(kind: str, espnet: int, more: int) -> None:
    config = configuration.parse({"features": {"fbank": {"num_mels": 83}}, "model": {"kind": kind}})
    with torch.device("meta"):
        model = build_model(config, 50)
    assert sum(parameter.numel() for parameter in model.parameters()) == espnet + more


BLSTM, VGG, TRANSFORMERS = "blstm_ctc_attention", "vgg_ctc_attention", "transformer_ctc_attention"


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (VGG, {"encoder": {"channels": 2}}, "9 features cannot be cut into 2 channels"),
        (TRANSFORMERS, {"encoder": {"dim": 10, "heads": 4}}, "4 heads cannot share a dim of 10"),
        (TRANSFORMERS, {"encoder": {"kernel": 4}}, "kernel must be odd, got 4"),
        (TRANSFORMERS, {"decoder": {"heads": 3}}, "3 decoder heads cannot share a dim of 256"),
        (BLSTM, {"encoder": {"layers": 1, "subsample": (2, 2)}}, "2 factors for 1 layers"),
        (BLSTM, {"decoder": {"cell": 3}}, "unknown key model.decoder.cell; did you mean 'cells'"),
    ],
)
def test_what_does_not_fit_is_named(kind: str, changes: dict[str, object], message: str) -> None:
    values = {"features": {"fbank": {"num_mels": FEATURES}}, "model": {"kind": kind, **changes}}
    with pytest.raises(ValueError, match=message):
        build_model(configuration.parse(values), UNITS)


def test_few_features_are_refused() -> None:
    config = configuration.parse(
        {"features": {"fbank": {"num_mels": 6}}, "model": {"kind": "transformer_ctc_attention"}}
    )
    with pytest.raises(ValueError, match="at least 7 features, got 6"):
        build_model(config, UNITS)
