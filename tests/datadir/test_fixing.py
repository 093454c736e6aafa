"""Repairs: what is fixed, and what must not change."""

import errno
import os
import re
import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr_topdown import datadir

UTT2SPK = "ann-1 ann\nann-2 ann\nbob-1 bob\n"
SPK2UTT = "ann ann-1 ann-2\nbob bob-1\n"


def test_fix_repairs_what_validate_finds(make, tmp_path):
    folder = make(
        "segments",
        **{
            "wav.scp": "rec3 {wav}\nrec2 {wav}\nrec1 {wav}\nrec1 other.wav\n",
            "segments": "cid-1 rec9 0 1\nbob-1 rec2 0.1 0.4\nann-1 rec1 0 0.25\n"
            "ann-2 rec1 0.25 0.5\nann-3 rec1 1 0\n",
            "text": "bob-1 four\r\nann-2 two\u00a0 three\nann-1 one\n\nann-1 uno\nann-4\ncid-1 x",
            "utt2spk": "ann-1 ann\nbob-1 bob\nann-2 ann\nann-3 ann\nann-4 ann\ncid-1 cid\ndee-1 dee\n",
            "spk2utt": "nonsense",
            "spk2gender": "zoe f\nbob m\nann f\n",
            "utt2lang": "ann-1 en\nann-2 en\nbob-1 en\ndee-1 de\n",
        },
    )
    old = (folder / "text").read_bytes()
    fixed = datadir.fix(folder)
    assert fixed == (3, ("ann-3", "ann-4", "cid-1", "dee-1"))
    datadir.validate(folder)
    wav = tmp_path / "tone.wav"
    assert (folder / "wav.scp").read_text() == f"rec1 {wav}\nrec2 {wav}\n"
    assert (folder / "text").read_text() == "ann-1 one\nann-2 two three\nbob-1 four\n"
    assert (folder / "spk2utt").read_text() == SPK2UTT
    assert (folder / "spk2gender").read_text() == "ann f\nbob m\n"
    assert (folder / ".backup" / "text").read_bytes() == old


def test_fix_leaves_a_sound_directory_alone(make):
    folder = make("features")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert datadir.fix(folder) == (3, ())
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()} == before


def test_a_full_disk_cuts_no_earlier_backup(make, monkeypatch, leave_half):
    """An earlier one was overwritten by a part of the next, and the error named the table itself."""
    folder = make("plain")
    first = b"bob-1 four\nann-1 one\nann-2 two\n"
    (folder / "text").write_bytes(first)
    datadir.fix(folder)
    leave_half(folder / ".backup" / "text")
    (folder / "text").write_bytes(first.replace(b"one", b"won"))

    def full(source, target):
        target.write_text("cut")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copy2", full)
        problem = f"cannot write {folder / '.backup' / 'text'}: No space left on device"
        with pytest.raises(OSError, match=re.escape(problem)):
            datadir.fix(folder)
    assert {path.name: path.read_bytes() for path in (folder / ".backup").iterdir()} == {"text": first}


@pytest.mark.parametrize("room", range(4))
def test_a_full_disk_leaves_the_tables_as_they_were(make, monkeypatch, room):
    """Those before the one without room were repaired, and what had been dropped was never said."""
    folder = make("plain", text="bob-1 four\nann-1 one\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    left = room

    def full(handle):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            datadir.fix(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert not list((folder / ".backup").iterdir())
    assert datadir.fix(folder) == (2, ("ann-2",))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"text": "zoe-1 x\n"}, "no utterance is complete"),
        ({"utt2spk": "ann-1 zoe\nann-2 ann\nbob-1 bob\n"}, "utt2spk: ann-2: speaker ann comes after zoe"),
    ],
)
def test_fix_changes_nothing_that_it_cannot_repair(make, changed, problem):
    folder = make("plain", **changed)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=problem):
        datadir.fix(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


broken_rows = st.lists(
    st.tuples(
        st.sampled_from(["ann-1", "ann-2", "bob-1", "zoe"]), st.sampled_from(["", " x", "  a\tb", " 5", "\r"])
    ),
    max_size=6,
).map(lambda rows: "".join(f"{key}{value}\n" for key, value in rows))


@settings(max_examples=50)
@example(
    {
        "text": "ann-1 x\n",
        "wav.scp": "ann-1 x\n",
        "utt2num_frames": "ann-1 5\n",
        "utt2lang": "ann-1  a\tb\nann-2 a\rb\n",
    }
)
@example(
    {
        "text": "ann-1 x\nann-2 y\n",
        "wav.scp": "ann-1 x\nann-2 x\n",
        "utt2num_frames": "ann-1 5\nann-2 5\n",
        "utt2lang": "ann-1 x\nann-2 a\rb\n",
    }
)
@given(st.fixed_dictionaries(dict.fromkeys(("text", "wav.scp", "utt2num_frames", "utt2lang"), broken_rows)))
def test_what_fix_leaves_validates(tmp_path_factory, tables):
    folder = tmp_path_factory.getbasetemp() / "fixed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tables["wav.scp"] = (
        tables["wav.scp"].replace(" x", " cat x |").replace(" a\tb", " a b |").replace(" 5", " 5|")
    )
    for name, content in {**tables, "utt2spk": UTT2SPK}.items():
        (folder / name).write_text(content, newline="\n")
    try:
        kept, _ = datadir.fix(folder)
    except ValueError as error:
        assert "no utterance is complete" in str(error)  # noqa: PT017
    else:
        assert kept > 0
        datadir.validate(folder)
