"""The transducer head: its loss by hand, and under bfloat16."""

import itertools

import pytest
import torch
from networks import TRANSDUCER, blstm, make
from torch import Tensor

from asr_topdown.data.batch import SpeechBatch
from asr_topdown.losses import ctc_loss
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.nn import precision


def by_hand(head: TransducerHead, memory: Tensor, target: list[int]) -> float:
    """Sum over the orders of blanks and labels, with the predictor run label by label."""
    outputs, state = head.predictor.start(1)
    read = [outputs]
    for label in target:
        outputs, state = head.predictor.step(state, torch.tensor([label]))
        read.append(outputs)
    total = -torch.inf
    for places in itertools.combinations(range(len(memory) - 1 + len(target)), len(target)):
        frame = label = 0
        score = 0.0
        for place in range(len(memory) + len(target)):
            log_probs = head.joiner(memory[frame : frame + 1], read[label]).log_softmax(-1)[0]
            if place in places:
                score += log_probs[target[label]].item()
                label += 1
            else:
                score += log_probs[0].item()
                frame = min(frame + 1, len(memory) - 1)
        total = torch.logaddexp(torch.tensor(total), torch.tensor(score)).item()
    return total


@pytest.mark.parametrize("with_ctc", [False, True])
def test_the_loss_sums_over_all_alignments(with_ctc: bool) -> None:
    encoder = [blstm(2, 3, projection_size=4, stack=2, subsample=(2,))]
    heads = {"transducer": TRANSDUCER} | ({"ctc": {"weight": 0.3}} if with_ctc else {})
    model = make({"encoder": encoder, **heads}).eval()
    feats = torch.randn(1, 12, 9)
    memory, lengths = model.encode(feats, torch.tensor([12]))
    assert lengths.item() == 3
    target = [2, 2, 1][: 2 if with_ctc else 3]  # CTC would need four frames for the third
    labels, count = torch.tensor([target]), torch.tensor([len(target)])
    expected = -by_hand(model.transducer, memory[0], target)
    if with_ctc:
        expected = 0.3 * ctc_loss(model.ctc.log_probs(memory), lengths, labels, count).item() + 0.7 * expected
    output = model.forward_with_loss(SpeechBatch(("u",), feats, torch.tensor([12]), labels, count))
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)
    assert output.losses.tolist() == pytest.approx([expected], rel=1e-5)


def test_it_learns_a_batch_by_heart_under_bfloat16() -> None:
    """Or in float32, on a CPU without it."""
    head = {"predictor": {"embedding_size": 8, "hidden_size": 16}, "joiner_size": 16}
    model = make({"encoder": [blstm(1, 12, projection_size=12, stack=4)], "transducer": head})
    feats = torch.randn(4, 40, 9)
    tokens, counts = torch.tensor([[1, 2, 3], [4, 4, 0], [3, 1, 2], [2, 0, 0]]), torch.tensor([3, 2, 3, 1])
    batch = SpeechBatch(("a", "b", "c", "d"), feats, torch.full((4,), 40), tokens, counts)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    first = last = 0.0
    for step in range(90):
        optimizer.zero_grad()
        with precision.autocast("bfloat16", torch.device("cpu")):
            loss = model.forward_with_loss(batch).loss
        assert loss.dtype == torch.float32
        loss.backward()
        optimizer.step()
        first, last = (loss.item(), loss.item()) if step == 0 else (first, loss.item())
    assert last < 0.1 * first
