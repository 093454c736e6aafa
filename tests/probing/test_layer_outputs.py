"""The outputs read from each layer are what the network computes there, for every chain and head."""

import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, blstm, make, make_batch

from asr_topdown import layers
from asr_topdown.probing.layer_outputs import outputs, readable_layers


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_the_networks_own(name):
    model, batch = make(name).eval(), make_batch()
    found = dict(outputs(model, batch))
    assert tuple(found) == readable_layers(model)
    assert set(found) <= set(layers.layer_names(model))
    for place, stage in enumerate(model.stage_names, 1):
        expected, lengths = model.encode(batch.feats, batch.feat_lengths, stop=place)
        assert torch.equal(found[stage].values, expected)
        assert torch.equal(found[stage].lengths, lengths)
    assert ("softmax" in found) == (model.ctc is not None)
    if model.ctc is not None:
        memory, lengths = model.encode(batch.feats, batch.feat_lengths)
        values = F.log_softmax(found["softmax"].values.float(), -1)
        assert torch.allclose(values, model.ctc.log_probs(memory), atol=1e-6)
        assert torch.equal(found["softmax"].lengths, lengths)


def test_the_mean_of_a_label_networks_softmax_is_what_it_decides_by():
    model = make({"encoder": [blstm(1, 4)], "label": {}}).eval()
    batch = make_batch(labels=[[2], [3], [4], [5]])
    frames = dict(outputs(model, batch))["softmax"]
    means = torch.stack(
        [row[:size].mean(0) for row, size in zip(frames.values, frames.lengths.tolist(), strict=True)]
    )
    memory, lengths = model.encode(batch.feats, batch.feat_lengths)
    assert torch.allclose(F.log_softmax(means, -1), model.label.log_probs(memory, lengths), atol=1e-5)
