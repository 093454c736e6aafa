"""Recognisers of all chains and heads: layers, lengths, padding, losses, gradients, a batch in the middle."""

import pytest
import torch
import torch.nn.functional as F
from networks import (
    DECODER,
    FEATURES,
    LABELS,
    LSTM,
    NETWORKS,
    SIZES,
    VOCAB,
    alone,
    blstm,
    blstm_ctc,
    make,
    make_batch,
    within,
)
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import build_model
from asr_topdown.models.recognizer import Recognizer, loss_weights

every_network = pytest.mark.parametrize("name", NETWORKS)

NAMES = {
    "blstm_ctc": "blstm.0 blstm.1 softmax",
    "vgg_ctc": "vgg blstm.0 softmax",
    "conformer_ctc": "subsample enc.0 enc.1 softmax",
    "conv2d_blstm_ctc": "subsample blstm.0 blstm.1 softmax",
    "blstm": "blstm.0 blstm.1 decoder softmax",
    "vgg": "vgg blstm.0 blstm.1 decoder softmax",
    "transformer": "subsample enc.0 enc.1 dec.0 dec.1 softmax",
    "conformer": "subsample enc.0 enc.1 dec.0 softmax",
    "conformer_batch": "subsample enc.0 enc.1 dec.0 softmax",
    "e_branchformer": "subsample enc.0 enc.1 dec.0 softmax",
    "attention": "blstm.0 decoder softmax",
    "vgg_transformer_attention": "vgg enc.0 enc.1 dec.0 dec.1 softmax",
    "transducer": "blstm.0 blstm.1 predictor softmax",
    "ctc_transducer": "vgg blstm.0 predictor softmax",
    "transformer_transducer": "subsample enc.0 enc.1 predictor softmax",
    "hybrid": "subsample enc.0 enc.1 enc.2 dec.0 dec.1 predictor softmax",
}


@every_network
def test_layers_are_a_partition(name: str) -> None:
    model = make(name)
    layers.check_partition(model)
    assert " ".join(layers.layer_names(model)) == NAMES[name]
    assert set(model.heads) == NETWORKS[name].keys() - {"encoder"}
    softmax = layers.tensors_by_layer(model)["softmax"]
    outputs = {
        "ctc": "ctc.output",
        "attention": "attention.output.linear",
        "transducer": "transducer.joiner.output",
    }
    sizes = {head: len(softmax[f"heads.{outputs[head]}.weight"]) for head in model.heads}
    assert sizes == {head: VOCAB + (head == "attention") for head in model.heads}


@every_network
def test_freezing_everything_leaves_nothing_random(name: str) -> None:
    """Every dropout is in a layer: the decoder's positions, for one."""
    model = make(name)
    layers.freeze(model, layers.layer_names(model), dropout=False)
    model.train()
    with torch.no_grad():
        first, second = (model.forward_with_loss(make_batch()).losses for _ in range(2))
    assert torch.equal(first, second)


def test_kinds_that_occur_twice_are_counted_through() -> None:
    conv2d = {"kind": "conv2d", "channels": 2, "output_size": 8}
    encoder = [conv2d, blstm(2, 4), conv2d, blstm(1, 4)]
    model = make({"encoder": encoder, "ctc": {}})
    layers.check_partition(model)
    assert layers.layer_names(model) == (
        "subsample.0", "blstm.0", "blstm.1", "subsample.1", "blstm.2", "softmax",
    )  # fmt: skip
    assert model.output_lengths(torch.tensor([100])).item() == 5


@every_network
def test_length_formula_is_the_real_length(name: str) -> None:
    """From the shortest legal length on; below it, a convolutional front end has no frame to give."""
    model = make(name).eval()
    for time in range(1, 40):
        memory, lengths = model.encode(torch.randn(1, time, FEATURES), torch.tensor([time]))
        assert lengths.item() == model.output_lengths(torch.tensor([time])).item()
        if lengths.item():
            assert memory.shape[:2] == (1, lengths.item())
        else:
            assert "subsample" in NAMES[name]
            assert time < 7
        assert torch.isfinite(memory).all()


@every_network
def test_padding_changes_no_utterance(name: str) -> None:
    model = make(name).eval()
    batch = make_batch()
    together = model.forward_with_loss(batch)
    for row, labels in enumerate(LABELS):
        one = model.forward_with_loss(alone(batch, row))
        length = int(one.lengths)
        assert together.lengths[row] == length
        assert torch.allclose(together.memory[row, :length], one.memory[0, :length], atol=1e-5)
        assert torch.allclose(together.losses[row], one.losses[0], atol=1e-4)
        if model.attention is not None:
            assert together.correct[row] == one.correct[0]
            assert together.labels[row] == one.labels[0] == len(labels) + 1


@every_network
def test_the_encoder_in_two_parts_is_the_encoder(name: str) -> None:
    """Wherever it is cut, bit for bit; also for losses of a batch that enters in the middle."""
    model = make(name).eval()
    batch = make_batch()
    whole = model.forward_with_loss(batch)
    for cut in range(len(model.stage_names) + 1):
        hidden, lengths = model.encode(batch.feats, batch.feat_lengths, stop=cut)
        memory, out = model.encode(hidden, lengths, start=cut)
        assert torch.equal(out, whole.lengths)
        assert torch.equal(memory, whole.memory)
        entering = model.forward_with_loss(batch._replace(feats=hidden, feat_lengths=lengths, start=cut))
        assert torch.equal(entering.losses, whole.losses)


@every_network
def test_an_utterance_without_frames_makes_no_nan(name: str) -> None:
    """Two frames, in a batch and alone: no NaN in any output or gradient."""
    model = make(name)
    heads = [model.ctc, model.attention, model.transducer]
    ctc, attention, transducer = heads
    for sizes in ((40, 2), (2,)):
        model.zero_grad()
        batch = make_batch(sizes, [[1, 2]] * len(sizes))
        output = model.forward_with_loss(batch)
        impossible = (ctc or transducer) and not output.lengths[-1]
        assert output.losses[-1].isinf() if impossible else output.losses[-1].isfinite() or ctc
        assert torch.isfinite(output.losses[:-1]).all()
        memory, lengths = model.encode(batch.feats, batch.feat_lengths)
        assert torch.isfinite(memory).all()
        total = memory.sum()
        if ctc:
            total = total + ctc.log_probs(memory).sum()
        if attention:
            outputs = attention.decoder(memory, lengths.clamp(min=1), batch.tokens[:, :2])
            total = total + attention.output(outputs).sum()
        if transducer:
            joined = transducer.joiner(memory[:, :, None], transducer.predictor(batch.tokens[:, :2])[:, None])
            total = total + joined.log_softmax(-1).sum()
        total.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@every_network
def test_losses_are_the_weighted_sums_of_the_heads(name: str) -> None:
    model = make(name).eval()
    batch = make_batch()
    output = model.forward_with_loss(batch)
    inputs = (output.memory, output.lengths, batch.tokens, batch.token_lengths)
    assert sum(model.weights.values()) == pytest.approx(1)
    expected = sum(model.weights[head] * model.heads[head].loss(*inputs).losses for head in model.heads)
    assert torch.allclose(output.losses, expected, rtol=1e-6)
    assert output.loss.item() == pytest.approx(output.losses.mean().item(), rel=1e-6)
    assert output.loss.requires_grad
    assert not output.losses.requires_grad
    assert output.hidden_state == ()


def value(model: Recognizer, feats: Tensor) -> Tensor:
    """Of every head's outputs, in the precision of the features; losses are float32 by contract."""
    batch = make_batch()
    memory, lengths = model.encode(feats, batch.feat_lengths)
    frames = within(lengths, memory.shape[1])
    total = torch.zeros((), dtype=feats.dtype)
    if model.ctc is not None:
        total = total + (model.ctc.output(memory).log_softmax(-1)[..., 0] * frames).sum()
    if model.attention is not None:
        read, predict, mask = model.attention.with_ends(batch.tokens, batch.token_lengths)
        outputs = model.attention.decoder(memory, lengths.clamp(min=1), read)
        logits = model.attention.output.linear(model.attention.output.norm(outputs))
        total = total - (logits.log_softmax(-1).gather(-1, predict[..., None])[..., 0] * mask).sum()
    if model.transducer is not None:
        tokens = batch.tokens.clamp(min=0)
        logits = model.transducer.joiner(memory[:, :, None], model.transducer.predictor(tokens)[:, None])
        read = within(batch.token_lengths + 1, logits.shape[2])
        total = total + (logits.log_softmax(-1)[..., 1] * frames[:, :, None] * read[:, None]).sum()
    return total


@every_network
def test_gradients_are_those_of_central_differences(name: str) -> None:
    """In double precision, along a random direction in each layer; small steps, for ReLUs and poolings."""
    model = make(name).double().eval()
    feats = make_batch().feats.double()
    value(model, feats).backward()
    for layer, tensors in layers.tensors_by_layer(model).items():
        parameters = [tensor for tensor in tensors.values() if tensor.requires_grad]
        assert all(tensor.grad is not None for tensor in parameters), layer
        directions = [torch.randn_like(tensor) for tensor in parameters]
        slope = sum(
            (tensor.grad * direction).sum() for tensor, direction in zip(parameters, directions, strict=True)
        )
        ends = []
        for sign in (1, -2, 1):
            with torch.no_grad():
                for tensor, direction in zip(parameters, directions, strict=True):
                    tensor += sign * 1e-7 * direction
                ends.append(value(model, feats).item())
        assert (ends[0] - ends[1]) / 2e-7 == pytest.approx(slope.item(), rel=2e-4, abs=1e-5), layer


LEARNERS = [
    "vgg_ctc", "blstm", "vgg", "transformer", "conformer", "conformer_batch", "transducer", "hybrid",
]  # fmt: skip


@pytest.mark.parametrize("name", LEARNERS)
def test_a_small_batch_is_nearly_learnt_by_heart(name: str) -> None:
    """By every head: at first a decoder guesses one of the seven labels right."""
    settings = {head: {**part, "label_smoothing": 0.0} if head == "attention" else part
                for head, part in NETWORKS[name].items()}  # fmt: skip
    model = make(settings)
    batch = make_batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    model.eval()  # without dropout
    first = model.forward_with_loss(batch).loss.item()
    for _ in range(80):
        optimizer.zero_grad()
        model.forward_with_loss(batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    output = model.forward_with_loss(batch)
    assert output.loss.item() < 0.5 * first
    if model.attention is not None:
        assert output.correct.sum() >= 0.8 * output.labels.sum()


@every_network
def test_gradient_flows_through_a_frozen_top(name: str) -> None:
    model = make(name)
    names = layers.layer_names(model)
    top = [one for one in names if one.startswith(("dec", "predictor", "softmax"))]
    before = layers.fingerprint(model, top)
    layers.freeze(model, top, dropout=False)
    model.train()
    model.forward_with_loss(make_batch()).loss.backward()
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
    model.forward_with_loss(make_batch())
    assert layers.fingerprint(model, ["enc.0"]) == frozen
    assert layers.fingerprint(model, ["enc.1"]) != free


def test_a_norm_is_in_the_layer_that_reads_it() -> None:
    for name, owner in (("transformer", "dec.0"), ("conformer_ctc", "softmax"),
                        ("transformer_transducer", "softmax"), ("hybrid", "dec.0")):  # fmt: skip
        groups = layers.tensors_by_layer(make(name))
        assert [layer for layer, tensors in groups.items() if "norm.weight" in tensors] == [owner]
    for name in ("blstm", "vgg", "transducer"):
        assert not [key for key in make(name).state_dict() if key.startswith("norm.")]


def test_what_can_be_trained_depends_on_the_heads() -> None:
    """Attention and a transducer need no frame for each label."""
    for name, needed in (("attention", 1), ("transducer", 1), ("blstm", 5), ("ctc_transducer", 5)):
        assert make(name).frames_needed([1, 1, 1]) == needed
    output = make("attention").forward_with_loss(make_batch([9], [[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]]))
    assert torch.isfinite(output.losses).all()


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({"ctc": None}, {"ctc": 1.0}),
        ({"ctc": 1.0}, {"ctc": 1.0}),
        ({"ctc": 0.2, "attention": None}, {"ctc": 0.2, "attention": 0.8}),
        ({"ctc": None, "transducer": 0.75}, {"ctc": 0.25, "transducer": 0.75}),
        (
            {"ctc": 0.2, "attention": 0.3, "transducer": 0.5},
            {"ctc": 0.2, "attention": 0.3, "transducer": 0.5},
        ),
    ],
)
def test_a_weight_that_is_left_open_is_what_is_left(
    given: dict[str, float | None], weights: dict[str, float]
) -> None:
    assert loss_weights(given) == weights
    assert list(loss_weights(given)) == list(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no head: give ctc, attention or transducer"),
        ({"ctc": 0.3}, r"must be above 0 and add up to 1, got ctc 0\.3"),
        (
            {"ctc": None, "attention": None},
            "weight of one head at most may be left open, not those of ctc and attention",
        ),
        ({"ctc": 0.3, "attention": 0.3}, r"add up to 1, got ctc 0\.3, attention 0\.3"),
        ({"ctc": 1.0, "attention": None}, "above 0 and add up to 1, got ctc 1, attention 0"),
        ({"ctc": 0.6, "attention": 0.6, "transducer": None}, r"transducer -0\.2"),
    ],
)
def test_weights_that_make_no_sense(given: dict[str, float | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss_weights(given)


BLSTM = blstm(4, 320, projection_size=320)
TRANSFORMER = [{"kind": "conv2d"}, {"kind": "transformer"}]


@pytest.mark.parametrize(
    ("model", "espnet", "more"),
    [
        # ESPnet 202511 with 83 features and 50 units. Ours has one unit more in the decoder, `<sos/eos>`,
        # which ESPnet counts among the 50: a row in the embedding and one in the output (with its bias).
        # The energy of location attention has no bias here: it cancels in the softmax.
        ({"encoder": [BLSTM], "attention": {"kind": "lstm"}}, 8_277_951, 320 + 321 - 1),
        ({"encoder": [{"kind": "vgg"}, BLSTM], "attention": {"kind": "lstm"}}, 15_205_759, 320 + 321 - 1),
        ({"encoder": TRANSFORMER, "attention": {"kind": "transformer"}}, 27_196_516, 256 + 257),
    ],
)  # fmt: skip
def test_parameters_beside_espnet(model: dict[str, object], espnet: int, more: int) -> None:
    values = {"features": {"fbank": {"num_mels": 83}}, "model": {**model, "ctc": {"weight": 0.3}}}
    with torch.device("meta"):
        network = build_model(configuration.parse(values), 50)
    assert sum(parameter.numel() for parameter in network.parameters()) == espnet + more


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"encoder": [{"kind": "vgg", "channels": 2}], "ctc": {}},
         r"model\.encoder\.0 \(vgg\): .*9 features cannot be cut into 2 channels"),
        ({"encoder": [{"kind": "conv2d"}, {"kind": "conformer", "d_model": 10}], "ctc": {}},
         r"model\.encoder\.1 \(conformer\): num_heads must divide the size of a frame, 10, got 4"),
        ({"encoder": [{"kind": "conformer", "kernel_size": 4}], "ctc": {}}, "kernel_size must be odd, got 4"),
        ({"encoder": [{"kind": "transformer", "d_model": 9}], "ctc": {}}, "must be even, got 9"),
        ({"encoder": [{"kind": "e_branchformer", "cgmlp_dim": 9}], "ctc": {}}, "cgmlp_dim must be even"),
        ({"encoder": [{"kind": "e_branchformer", "merge_kernel_size": 4}], "ctc": {}},
         "merge_kernel_size must be odd, got 4"),
        ({"encoder": TRANSFORMER, "attention": {**DECODER, "num_heads": 3}},
         r"model\.attention \(transformer\): num_heads must divide the size of a frame, 256, got 3"),
        (blstm_ctc(1, 4, subsample=(2, 2)), "at most num_layers = 1 factors, got 2"),
        ({"encoder": [blstm(1, 4)], "attention": {**LSTM, "hiden_size": 3}},
         r"unknown key model\.attention\.hiden_size; did you mean model\.attention\.hidden_size"),
        ({"encoder": [{"kind": "rnn"}], "ctc": {}}, r"model\.encoder\.0\.kind: must be one of.*got 'rnn'$"),
        ({"encoder": [], "ctc": {}}, r"model\.encoder: .*at least 1 item"),
        ({"encoder": [blstm(1, 4)]}, "model: no head: give ctc, attention or transducer"),
        ({"encoder": [blstm(1, 4)], "ctc": {"weight": 0.5}}, "model: the weights of the heads' losses must"),
        ({"encoder": [blstm(1, 4)], "ctc": {"weight": 0}}, r"model\.ctc\.weight: .*greater than 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(model: dict[str, object], message: str) -> None:
    values = {"features": {"fbank": {"num_mels": FEATURES}}, "model": model}
    with pytest.raises(ValueError, match=message):
        build_model(configuration.parse(values), VOCAB)


def test_few_features_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 features, got 6"):
        make({"encoder": TRANSFORMER, "ctc": {}}, features=6)


def test_losses_are_their_definitions() -> None:
    """CTC by PyTorch, attention with smoothed targets written out."""
    for name in ("blstm", "vgg", "transformer"):
        model = make(name).eval()
        ctc_head, head = model.ctc, model.attention
        batch = make_batch()
        output = model.forward_with_loss(batch)
        frames = ctc_head.log_probs(output.memory)
        for row, labels in enumerate(LABELS):
            size = output.lengths[row]
            ctc = F.ctc_loss(
                frames[row, :size], torch.tensor(labels, dtype=torch.long), size, batch.token_lengths[row],
                reduction="sum",
            )  # fmt: skip
            read = torch.tensor([[VOCAB, *labels]])
            log_probs = head.output(head.decoder(output.memory[row : row + 1], size[None], read))[0]
            prior = head.prior if head.prior is not None else torch.full((VOCAB + 1,), 1 / (VOCAB + 1))
            attention = 0.0
            for predicted, label in zip(log_probs, [*labels, VOCAB], strict=True):
                target = head.label_smoothing * prior
                target[label] += 1 - head.label_smoothing
                attention -= (target @ predicted).item()
            assert output.losses[row].item() == pytest.approx(0.3 * ctc.item() + 0.7 * attention, rel=1e-5)


def test_sizes_of_the_batch_are_what_the_tests_say() -> None:
    assert make_batch().feat_lengths.tolist() == list(SIZES)
