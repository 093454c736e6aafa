"""Checkpoints: if the newest file is damaged in any way, the previous one's state is loaded."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_topdown.train.checkpoint import CheckpointPair


def state(step: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    return {"model": {"weight": torch.randn(40, 10, generator=generator)}, "progress": {"step": step}}


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right


@pytest.fixture
def pair(tmp_path: Path) -> CheckpointPair:
    pair = CheckpointPair(tmp_path)
    pair.save(state(1))
    pair.save(state(2))
    return pair


def test_the_newest_state_is_loaded(pair: CheckpointPair) -> None:
    loaded, remark = pair.load()
    assert equal(loaded, state(2))
    assert remark == ""


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_noticed_or_changes_nothing(pair: CheckpointPair, seed: int) -> None:
    whole, generator, noticed = pair.newest.read_bytes(), random.Random(seed), 0
    for _ in range(50):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        pair.newest.write_bytes(damaged)
        loaded, remark = pair.load()
        assert equal(loaded, state(1 if remark else 2))
        noticed += bool(remark)
    assert noticed > 20  # nearly half of such a small file is padding


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: random.Random(1).randbytes(len(raw)),
        lambda raw: raw + b"more",
        lambda raw: b"\x80\x04}\x94.",  # a pickled {}
    ],
)
def test_a_damaged_file_is_named_and_the_one_before_is_taken(pair: CheckpointPair, damage: Any) -> None:
    pair.newest.write_bytes(damage(pair.newest.read_bytes()))
    loaded, remark = pair.load()
    if remark:
        assert "last.pt: truncated or corrupt checkpoint (" in remark
        assert "\n" not in remark
    assert equal(loaded, state(1 if remark else 2))


@pytest.mark.parametrize("other", [[1, 2], {"progress": {}}, {"format": 99, "model": {}}])
def test_what_is_no_checkpoint_of_this_version_is_not_taken(pair: CheckpointPair, other: Any) -> None:
    torch.save(other, pair.newest)
    loaded, remark = pair.load()
    assert equal(loaded, state(1))
    assert "not of format 1" in remark


def test_what_is_damaged_never_takes_the_place_of_the_one_before(pair: CheckpointPair) -> None:
    pair.newest.write_bytes(b"damaged")
    pair.load()
    pair.save(state(3))
    pair.newest.write_bytes(b"damaged as well")
    assert equal(pair.load()[0], state(1))


@pytest.mark.parametrize("writer", ["CheckpointPair(folder).save(state)", "save_state(state, folder / 'x')"])
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path: Path, writer: str) -> None:
    """PyTorch and safetensors raise errors of their own; a limit on the size of files stands for the disk."""
    program = (
        "import resource, sys\nfrom pathlib import Path\nimport torch\n"
        "from asr_topdown.train.checkpoint import CheckpointPair\n"
        "from asr_topdown.weights import save_state\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        f"folder, state = Path({str(tmp_path)!r}), {{'weight': torch.zeros(40000)}}\n"
        f"try:\n    {writer}\nexcept OSError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    name = "x" if "save_state" in writer else "last.pt"
    assert done.stdout == f"[Errno 27] cannot write {tmp_path / name}: File too large\n"
    assert not list(tmp_path.iterdir())
