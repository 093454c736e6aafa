"""The head that labels whole utterances: its softmax written out, padding, what cannot be learnt."""

import pytest
import torch
import torch.nn.functional as F
from networks import CONFORMER, CONV2D, VOCAB, alone, blstm, make, make_batch

from asr_topdown import layers
from asr_topdown.decode.greedy import best_labels

CHAINS = {
    "blstm": [blstm(2, 4, stack=2, subsample=(2,), dropout=0.2)],
    "conformer": [CONV2D, CONFORMER],
}
LABELS = ([2], [5], [4], [2])
every_chain = pytest.mark.parametrize("chain", CHAINS)


def network(chain, **head):
    return make({"encoder": CHAINS[chain], "label": head})


@every_chain
def test_layers_are_a_partition(chain):
    model = network(chain)
    layers.check_partition(model)
    *below, top = layers.layer_names(model)
    assert top == "softmax"
    assert tuple(below) == model.stage_names
    softmax = layers.tensors_by_layer(model)["softmax"]
    assert softmax["heads.label.output.weight"].shape[0] == VOCAB - 2  # neither <blank> nor <unk>


@every_chain
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_mean_frame(chain, smoothing):
    """One utterance at a time through PyTorch's own functions; in a batch the padding changes nothing."""
    model = network(chain, label_smoothing=smoothing).eval()
    batch = make_batch(labels=LABELS)
    together = model.forward_with_loss(batch)
    output = model.label.output
    for row, (label,) in enumerate(LABELS):
        one = alone(batch, row)
        memory, lengths = model.encode(one.feats, one.feat_lengths)
        mean = memory[0, : int(lengths)].mean(0, keepdim=True)
        expected = F.cross_entropy(
            F.linear(mean, output.weight, output.bias), torch.tensor([label - 2]), label_smoothing=smoothing
        )
        assert together.losses[row].item() == pytest.approx(expected.item(), rel=1e-5)
        assert model.forward_with_loss(one).loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert together.loss.item() == pytest.approx(together.losses.mean().item())


def test_gradient_of_the_softmax_is_probabilities_less_the_labels_times_the_mean_frames():
    model = network("blstm").eval()
    batch = make_batch(labels=LABELS)
    output = model.forward_with_loss(batch)
    output.loss.backward()
    sizes = output.lengths.tolist()
    means = torch.stack([frames[:size].mean(0) for frames, size in zip(output.memory, sizes, strict=True)])
    probabilities = model.label.log_probs(output.memory, output.lengths).exp()
    targets = F.one_hot(torch.tensor(LABELS)[:, 0] - 2, VOCAB - 2)
    expected = (probabilities - targets).T @ means / len(LABELS)
    assert torch.allclose(model.label.output.weight.grad, expected, atol=1e-6)


@every_chain
def test_the_encoder_in_two_parts_is_the_encoder(chain):
    model = network(chain).eval()
    batch = make_batch(labels=LABELS)
    whole = model.forward_with_loss(batch)
    for cut in range(len(model.stage_names) + 1):
        hidden, lengths = model.encode(batch.feats, batch.feat_lengths, stop=cut)
        entering = model.forward_with_loss(batch._replace(feats=hidden, feat_lengths=lengths, start=cut))
        assert torch.equal(entering.losses, whole.losses)


def test_what_is_no_label_has_no_loss_and_no_gradient_that_is_not_a_number():
    model = network("conformer")
    batch = make_batch(sizes=(45, 30, 21, 2, 40), labels=([2], [1], [2, 3], [2], []))
    output = model.forward_with_loss(batch)
    assert output.losses.isfinite().tolist() == [True, False, False, False, False]
    assert int(output.lengths[3]) == 0
    model.forward_with_loss(batch).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    found = best_labels(model.label.log_probs(output.memory, output.lengths), output.lengths, 1)
    assert [len(one.best.ids) for one in found] == [1, 1, 1, 0, 1]


def test_best_labels_come_in_order_with_their_log_probabilities():
    log_probs = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]).log()
    first, second = best_labels(log_probs, torch.tensor([4, 7]), 2)
    assert [one.ids for one in first.hypotheses] == [(3,), (4,)]
    assert [one.ids for one in second.hypotheses] == [(2,), (4,)]
    assert [one.score for one in first.hypotheses] == pytest.approx(log_probs[0, [1, 2]].tolist())
    assert len(best_labels(log_probs, torch.tensor([4, 7]), 9)[0].hypotheses) == 3
    with pytest.raises(ValueError, match="utterance 1 of the batch"):
        best_labels(torch.tensor([[0.0, 0.0], [0.0, torch.nan]]), torch.tensor([1, 1]), 1)
