"""Compiled blocks compute the same, under the same names."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import BLOCKS, CONFORMER, CONV2D, DECODER, make, make_batch
from toy_training import trained, trainer

from asr_topdown.train import compiled

ONE = {"num_layers": 1}
NETWORK: dict[str, Any] = {
    "encoder": [CONV2D, {**CONFORMER, **ONE}, {"kind": "transformer", "d_model": 8, **BLOCKS, **ONE}],
    "ctc": {"weight": 0.3},
    "attention": {**DECODER, **ONE},
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_compiled_network_gives_the_same_losses_and_gradients(backend: str) -> None:
    """With `eager` what has been traced runs as it is, with dropout; the compiler draws it otherwise."""
    plain = make(NETWORK).train(backend == "eager")
    fused = copy.deepcopy(plain)
    assert compiled.compile_blocks(fused, backend) == 3
    assert list(fused.state_dict()) == list(plain.state_dict())
    for sizes in ((45, 30), (33, 21)):
        batch = make_batch(sizes, ([2, 3, 3, 5], [1]))
        for network in (plain, fused):
            torch.manual_seed(1)
            network.zero_grad()
            network.forward_with_loss(batch).loss.backward()
        for ours, theirs in zip(plain.parameters(), fused.parameters(), strict=True):
            torch.testing.assert_close(theirs.grad, ours.grad, rtol=1e-3, atol=1e-4)
    assert list(copy.deepcopy(fused).state_dict()) == list(plain.state_dict())


def test_nothing_to_compile_trains_as_before(tmp_path: Path) -> None:
    """The toy network has LSTMs alone."""
    with_it, without = (trainer(tmp_path / str(one), compile=one, epochs=1) for one in (True, False))
    assert trained(with_it).scores == trained(without).scores


def test_the_blocks_are_found() -> None:
    """Blocks are compiled when they first run, which they do not here."""
    assert compiled.compile_blocks(make(NETWORK)) == 3
    assert compiled.compile_blocks(make("blstm")) == 0
