"""about.json: a training's layers, data and machine."""

import dataclasses
import json
from pathlib import Path

import pytest

from asr_topdown.runs import about


def test_what_was_written_is_read(tmp_path: Path) -> None:
    size = {"name": "train", "utterances": 3, "words": 9, "hours": 0.5}
    values = {"layers": [["b", 2], ["a", 1]], "train": size, "dev": {**size, "name": "dev"}, "machine": "m"}
    (tmp_path / about.NAME).write_text(json.dumps(values))
    found = about.read(tmp_path)
    assert found is not None
    assert list(found.layers) == ["b", "a"]  # input first, whatever the alphabet says
    assert (found.parameters, found.train, found.dev.name) == (3, about.DataSize("train", 3, 9, 0.5), "dev")
    assert (found.products, found.adapted) == ("", ())
    about.add_products(tmp_path, "torch")
    assert about.read(tmp_path) == dataclasses.replace(found, products="torch")
    (tmp_path / about.NAME).write_text(json.dumps({**values, "adapted": ["b"]}))
    assert about.read(tmp_path) == dataclasses.replace(found, adapted=("b",))


UNKNOWN_HOURS = {"name": "train", "utterances": 3, "words": 9, "hours": None}
OTHERS = [{}, [], {"layers": 3}, {"layers": [], "train": {"name": 1}, "dev": {"name": 1}, "machine": "m"}]
OTHERS += [{"layers": [], "train": UNKNOWN_HOURS, "dev": UNKNOWN_HOURS, "machine": "m"}]


@pytest.mark.parametrize("content", ["", *map(json.dumps, OTHERS)])
def test_another_versions_file_is_as_none(tmp_path: Path, content: str) -> None:
    assert about.read(tmp_path) is None
    (tmp_path / about.NAME).write_text(content)
    assert about.read(tmp_path) is None
