"""A model's folder whose weights do not do is refused in one line, which names the tensor."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.decode.model import content_hash, load_trained
from asr_topdown.text import Vocabulary
from asr_topdown.weights import load_weights, save_state, save_weights, weight_shapes, weights_hash

State = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As written by a training."""
    config = configuration.parse(
        {
            "features": {"cmvn": "none", "fbank": {"num_mels": 20}},
            "model": {"encoder": [{"kind": "blstm", "num_layers": 2, "hidden_size": 4}], "ctc": {}},
        }
    )
    vocabulary = Vocabulary.build(["abc"], "char")
    (tmp_path / "config.yaml").write_text(configuration.dump(config))
    vocabulary.save(tmp_path / "tokens.txt")
    save_weights(fresh_model(config, len(vocabulary), init_seed=1), tmp_path / "epoch-1.safetensors")
    (tmp_path / "done.json").write_text(json.dumps({"best_epoch": 1}))
    return tmp_path


def number(value: float) -> Callable[[State], State]:
    def changed(state: State) -> State:
        state["heads.ctc.output.bias"][1] = value
        return state

    return changed


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (number(torch.nan), r"epoch-1.safetensors: heads.ctc.output.bias holds NaN: nothing can be computed"),
        (number(torch.inf), r"epoch-1.safetensors: heads.ctc.output.bias holds infinity"),
        (
            lambda state: {key: tensor for key, tensor in state.items() if "heads" not in key},
            r"epoch-1.safetensors does not fit .*config.yaml: heads.ctc.output.\w+ is missing "
            r"and 1 more$",
        ),
        (
            lambda state: {**state, "heads.ctc.output.bias": torch.zeros(9)},
            r"config.yaml: heads.ctc.output.bias must be \(\d,\), got \(9,\)$",
        ),
        (lambda state: {**state, "extra": torch.zeros(1)}, r"config.yaml: extra is not in the network$"),
    ],
)
def test_weights_that_do_not_do(folder: Path, change: Callable[[State], State], problem: str) -> None:
    assert load_trained(folder).config.model is not None
    save_state(change(load_weights(folder / "epoch-1.safetensors")), folder / "epoch-1.safetensors")
    with pytest.raises(ValueError, match=problem) as caught:
        load_trained(folder)
    assert "\n" not in str(caught.value)


def test_weights_that_may_not_be_read_are_not_said_to_be_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "epoch-1.safetensors"

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(weights))

    monkeypatch.setattr(Path, "open", refuse)
    for read in (load_weights, weight_shapes, weights_hash):
        with pytest.raises(ValueError, match=r"^.*/epoch-1\.safetensors: Permission denied$"):
            read(weights)


def test_a_folder_whose_name_is_not_utf8_is_read(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(folder, other)
    one, two = (load_trained(path).network.state_dict() for path in (folder, other))
    assert all(torch.equal(one[key], two[key]) for key in one)
    weights = other / "epoch-1.safetensors"
    assert weight_shapes(weights) == weight_shapes(folder / weights.name)
    weights.write_bytes(weights.read_bytes()[:-5])
    for read in (load_weights, weight_shapes):
        with pytest.raises(ValueError, match="truncated or corrupt weights"):
            read(weights)


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
def test_a_configuration_that_a_crash_has_cut_is_not_one_of_defaults(folder: Path, share: float) -> None:
    path, known = folder / "config.yaml", content_hash(folder)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: int(share * len(lines))]))
    for read in (load_trained, content_hash):
        with pytest.raises(ValueError, match=rf"{path}: damaged: it ends before its last section, run$"):
            read(folder)
    path.write_text("".join(lines))
    assert content_hash(folder) == known
