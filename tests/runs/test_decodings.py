"""Transcripts are compared only if decoded with the same settings from what is on disk now."""

import json
from pathlib import Path

import numpy as np
import pytest

from asr_topdown import datadir
from asr_topdown.features import ark
from asr_topdown.runs.decodings import check_decodings, differences


def write_data(folder: Path, value: float = 0.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "feats.ark", "wb") as file:
        offset = ark.save(file, "a", np.full((3, 2), value, np.float32))
    (folder / "feats.scp").write_text(f"a {folder}/feats.ark:{offset}\n")
    return folder


def decoding(folder: Path, **recorded: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(recorded))
    return folder


def test_decodings_of_the_same_features_with_the_same_decoder_can_be_compared(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    features = datadir.features_hash(data)
    folders = [decoding(tmp_path / name, features=features, decoder="d", model=name) for name in "ab"]
    check_decodings(folders, data)
    (tmp_path / "text").write_text("a b\n")
    check_decodings([*folders, tmp_path / "text", tmp_path / "elsewhere"], data)  # another program's
    check_decodings(folders, tmp_path)  # no features to compare with


@pytest.mark.parametrize("how", ["features", "decoder", "no record"])
def test_what_differs_is_named(how: str, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    features = datadir.features_hash(data)
    first = decoding(tmp_path / "a", features=features, decoder="greedy")
    if how == "decoder":
        second = decoding(tmp_path / "b", features=features, decoder="beam")
        message = f"{first} and {second} were decoded with different settings"
    elif how == "features":
        second = decoding(tmp_path / "b", features=features, decoder="greedy")
        write_data(tmp_path / "data", 1.0)
        message = f"{first}: decoded from other features than {data} has now"
    else:
        second = decoding(tmp_path / "b", decoder="greedy")
        message = f"{second}: decoded from other features than {data} has now"
    with pytest.raises(ValueError, match=message):
        check_decodings([first, second], data)


def test_all_differences_are_told(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    old = datadir.features_hash(data)
    write_data(tmp_path / "data", 1.0)
    new = datadir.features_hash(data)
    made = {"a": (old, "greedy"), "b": (new, "greedy"), "c": (old, "beam")}
    folders = [decoding(tmp_path / k, features=f, decoder=d) for k, (f, d) in made.items()]
    told = list(differences(folders, data))
    assert [line.split(":")[0] for line in told[:2]] == [str(folders[0]), str(folders[2])]
    assert "were decoded with different settings" in told[2]
    assert len(told) == 3
