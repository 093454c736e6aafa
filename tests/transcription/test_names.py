"""The files that a user names, and the names of their results."""

import pytest

from asr_topdown.transcription.names import expand, result_names


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "calls/b.mp3", "calls/deep/c.FLAC", "calls/notes.txt", "odd[1].wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_folders_patterns_and_a_list(here):
    assert expand(["a.wav", "gone.wav"], ()) == ["a.wav", "gone.wav"]
    assert expand(["calls"], ()) == ["calls/b.mp3", "calls/deep/c.FLAC"]
    assert expand(["calls/*.mp3", "**/c.*"], ()) == ["calls/b.mp3", "calls/deep/c.FLAC"]
    assert expand(["odd[1].wav"], ()) == ["odd[1].wav"]
    assert expand(["-", "a.wav"], ["calls/b.mp3\n", "\n", " x y.wav \r\n"]) == [
        "calls/b.mp3",
        "x y.wav",
        "a.wav",
    ]


def test_lists_of_other_programs(here):
    assert expand(["-"], ["\ufeffa.wav\r\n", "b.wav\r\n"]) == ["a.wav", "b.wav"]
    assert expand(["-"], ["a b.wav\0calls/c.wav\0"]) == ["a b.wav", "calls/c.wav"]


def test_what_macos_leaves_in_folders_is_no_sound(here):
    (here / "calls" / "._b.mp3").touch()
    assert expand(["calls"], ()) == ["calls/b.mp3", "calls/deep/c.FLAC"]
    assert expand(["calls/._b.mp3"], ()) == ["calls/._b.mp3"]


def test_what_holds_no_sound_is_said(here):
    (here / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no sound files in it"):
        expand(["empty"], ())
    with pytest.raises(ValueError, match=r"\*\.ogg: matches no file"):
        expand(["*.ogg"], ())


def test_names_of_results_differ():
    assert result_names(["x/a.wav", "y/b.mp3"]) == ["a", "b"]
    assert result_names(["x/a.wav", "/y/a.mp3", "b.wav"]) == ["x_a", "y_a", "b"]
    assert result_names(["../x/a.wav", "../y/a.mp3", "../../y/a.wav"]) == ["x_a", "y_a", "y_a-2"]
    assert result_names(["a.wav", "a.mp3", "a.wav"]) == ["a", "a-2", "a-3"]
    names = ["x_a", "x_a-3", "x_a-2", "x_a-4", "x_a-2-2"]
    assert result_names(["x/a.wav", "x/a.flac", "x/a-2.wav", "x/a.wav", "x/a-2.mp3"]) == names
