"""What macOS leaves on foreign disks, `._NAME` beside NAME and `.DS_Store`, belongs to no corpus."""

from pathlib import Path

import pytest

from asr_topdown.corpora import calls, prompts
from asr_topdown.corpora.swbd import transcripts
from asr_topdown.corpora.table import lhotse, reading, texts
from asr_topdown.corpora.table.recordings import Recordings
from asr_topdown.corpora.wsj.tree import Tree

APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.sph", "sw2001A-ms98-a-trans.text", "5-7.trans.txt", "supervisions.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "sw-ms98-dict.text").write_text("")
    folder = tmp_path / "wsj1" / "trans"
    folder.mkdir(parents=True)
    (folder / "4k0c0300.dot").write_text("")
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)
    (tmp_path / ".DS_Store").write_bytes(APPLE_DOUBLE)
    return tmp_path


def test_each_list_of_files_leaves_it_out(disk: Path) -> None:
    assert [path.name for path in Recordings(disk, disk).all] == ["a.wav", "b.sph"]
    assert [path.name for path in texts.librispeech_files(disk)] == ["5-7.trans.txt"]
    assert [sound.name for sound, _ in texts.texts_beside(disk)] == ["a.wav"]
    assert [path.name for path in lhotse.find(disk)] == ["supervisions.jsonl"]
    assert calls.find_calls(disk) == {"b": disk.resolve() / "b.sph"}
    assert prompts.find_recordings(disk, {"a": "a text"}) == {"a": disk / "a.wav"}
    assert transcripts.read(disk) == []
    tree = Tree([disk])
    assert tree.dots("4k0c0300") == [disk / "wsj1" / "trans" / "4k0c0300.dot"]
    assert tree.dots("._4k0c0300") == []


def test_a_table_is_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "._t.csv").write_bytes(APPLE_DOUBLE)
    with pytest.raises(ValueError, match="no transcripts found"):
        reading.kind_of(tmp_path)
