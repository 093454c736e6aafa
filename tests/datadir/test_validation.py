"""Each error names its line."""

import os
from pathlib import Path

import pytest

from asr_topdown import datadir

TEXT = "ann-1 one\nann-2 two three\nbob-1 four\n"
SPK2UTT = "ann ann-1 ann-2\nbob bob-1\n"


def problems(folder: Path, **needs: bool) -> list[str]:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        datadir.validate(folder, **needs)
    return str(error.value).replace(f"{folder}{os.sep}", "").splitlines()


@pytest.mark.parametrize("files", ["plain", "segments", "features"])
def test_sound_directories_pass(make, files):
    datadir.validate(make(files))


def test_features_are_asked_for(make):
    datadir.validate(make("features"), need_feats=True)
    folder = make("features", **{"feats.scp": None, "utt2num_frames": None})
    assert problems(folder, need_feats=True) == ["feats.scp: missing", "utt2num_frames: missing"]


def test_text_and_sound_can_be_forgone(make):
    folder = make("plain", text=None, **{"wav.scp": None})
    assert problems(folder) == ["text: missing", "wav.scp: missing"]
    datadir.validate(folder, need_text=False, need_wav=False)


def test_what_follows_from_others_may_be_missing(make):
    datadir.validate(make("plain", spk2utt=None))
    datadir.validate(make("features", spk2utt=None, **{"wav.scp": None}))
    datadir.validate(make("features", **{"wav.scp": None}), need_feats=True)
    folder = make("features", **{"wav.scp": None, "feats.scp": "ann-1 x |\nann-2 y |\nbob-1 |z\n"})
    assert all("a command; features are read from files only" in line for line in problems(folder))


def test_faults_of_one_table_do_not_hide_those_of_others(make):
    folder = make(
        "plain",
        text="ann-1 a\nann-2 b\x07\n",
        utt2spk="ann-1 ann\nann-2 ann\nbob-1 bob\nbob-2 bob\n",
        **{"wav.scp": "ann-1 /nowhere/1.wav\nann-2 /nowhere/2.wav\nbob-1 cat |\n"},
    )
    found = problems(folder)
    for part in (
        "text:2: ann-2: unprintable",
        "text: no line for utterance bob-1",
        "wav.scp:1: ann-1: no such file",
        "wav.scp:2: ann-2: no such file",
        "wav.scp: no line for recording bob-2",
        "spk2utt:2: speaker bob has other utterances",
    ):
        assert any(part in line for line in found), part


def test_many_faults_are_counted(make):
    names = [f"u{n:03}" for n in range(50)]
    folder = make(
        "plain",
        text="".join(f"{name} a\n" for name in names),
        utt2spk="".join(f"{name} {name}\n" for name in names),
        spk2utt=None,
        **{"wav.scp": "".join(f"{name} /nowhere/{name}.wav\n" for name in names)},
    )
    found = problems(folder)
    assert len(found) == 11
    assert found[-1] == "... and 40 more"


@pytest.mark.parametrize("name", ["text", "utt2spk", "spk2utt", "wav.scp"])
def test_marks_of_windows_are_named_and_repaired(make, name):
    folder = make("plain")
    expected = datadir.read(folder)
    content = (folder / name).read_text(encoding="utf-8").replace("\n", "\r\n")
    (folder / name).write_text("\ufeff" + content, encoding="utf-8", newline="")
    others = content.count("\n") - 1
    assert problems(folder) == [
        f"{name}:1: begins with a byte-order mark; `asr-topdown validate --fix` removes it",
        f"{name}:1: carriage return at the end of the line, and of {others} others (a file from Windows?); "
        "`asr-topdown validate --fix` removes it",
    ]
    assert datadir.fix(folder) == (3, ())
    datadir.validate(folder)
    assert datadir.read(folder) == expected


def test_features_are_found_where_the_directory_was_moved(make):
    entries = (f"{utterance} old/dir/feats/f.ark:5\n" for utterance in ("ann-1", "ann-2", "bob-1"))
    folder = make("features", **{"feats.scp": "".join(entries)})
    assert len(problems(folder)) == 3
    (folder / "feats").mkdir()
    (folder / "feats" / "f.ark").write_text("x")
    datadir.validate(folder, need_feats=True)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            {"text": "ann-2 a\nann-1 b\nbob-1 c\n"},
            ["text:2: ann-1 is not sorted: it must come before ann-2 (byte order"],
        ),
        ({"text": "ann-1 a\nann-1 a\nann-2 b\nbob-1 c\n"}, ["text:2: ann-1 occurs twice in this file"]),
        ({"text": "ann-1 a\nann-2\nbob-1 c\n"}, ["text:2: ann-2: empty transcript"]),
        ({"text": "ann-1 a\nann-2 b\r\nbob-1 c\n"}, ["text:2: carriage return at the end of the line"]),
        ({"text": "ann-1 a\nann-2 b\u3000c\nbob-1 c\n"}, ["text:2: ann-2: white space other than one blank"]),
        ({"text": "ann-1 a\nann-2 b\x07\nbob-1 c\n"}, ["text:2: ann-2: unprintable character '\\x07'"]),
        (
            {"text": "ann-1 a\nann-2 <s>\nbob-1 #0\n"},
            ["text:2: ann-2: reserved word <s>", "text:3: bob-1: reserved"],
        ),
        ({"text": "ann-1 a\nann-2 b\nbob-1 c"}, ["text:3: the last line does not end in a line feed"]),
        ({"text": "ann-1 a\n\nann-2 b\nbob-1 c\n"}, ["text:2: empty line"]),
        ({"text": "ann-1 a\nann-2 \udcff\nbob-1 c\n"}, ["text:2: not UTF-8 text"]),
        ({"text": ""}, ["text: empty"]),
        ({"text": "ann-1 a\nbob-1 c\n"}, ["text: no line for utterance ann-2"]),
        ({"text": TEXT + "zoe-1 z\n"}, ["text:4: utterance zoe-1 is not in utt2spk"]),
        (
            {"utt2spk": "ann-1 ann\nann-2 a b\nbob-1 bob\n"},
            ["utt2spk:2: ann-2: needs exactly 2 fields, has 3"],
        ),
        (
            {"utt2spk": "ann-1 ann\r\nann-2 ann\nbob-1 bob\n"},
            ["utt2spk:1: carriage return at the end of the line"],
        ),
        (
            {"utt2spk": "ann-1 zoe\nann-2 ann\nbob-1 bob\n", "spk2utt": "ann ann-2\nbob bob-1\nzoe ann-1\n"},
            [
                "utt2spk:2: speaker ann comes after zoe: sorted by utterance",
                "utt2spk:3: speaker bob comes after zoe",
            ],
        ),
        ({"spk2utt": "ann ann-1\nbob bob-1\n"}, ["spk2utt:1: speaker ann has other utterances in utt2spk"]),
        ({"spk2utt": "ann ann-1 ann-2\n"}, ["spk2utt: no line for speaker bob"]),
        ({"spk2utt": SPK2UTT + "zoe zoe-1\n"}, ["spk2utt:3: speaker zoe has other utterances"]),
        (
            {"wav.scp": "ann-1 /nowhere/a.wav\nann-2 cat x |\nbob-1 ~/b.wav\n"},
            [
                "wav.scp:1: ann-1: no such file: /nowhere/a.wav",
                "wav.scp:3: bob-1: a path cannot start with ~",
            ],
        ),
        ({"wav.scp": "ann-1 cat |\nann-2 cat |\n"}, ["wav.scp: no line for recording bob-1"]),
        ({"utt2speed": "zoe-1 1.1\n"}, ["utt2speed:1: utterance zoe-1 is not in utt2spk"]),
        ({"utt2speed": "ann-1 -1\n"}, ["utt2speed:1: ann-1: needs a number above 0, got '-1'"]),
        ({"spk2gender": "ann f\n"}, ["spk2gender: no line for speaker bob"]),
        (
            {"reco2file_and_channel": "ann-1 x A\nann-2 x B\nzed x A\n"},
            [
                "reco2file_and_channel:3: recording zed is not",
                "reco2file_and_channel: no line for recording bob-1",
            ],
        ),
    ],
)
def test_each_fault_has_its_line(make, changed, found):
    lines = problems(make("plain", **changed))
    assert len(lines) == len(found)
    for line, start in zip(lines, found, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (
            {"segments": "ann-1 rec1 0.5 0.25\nann-2 rec1 0.2 0.5\nbob-1 rec2 0 1\n"},
            "segments:1: ann-1: segment from 0.5 to 0.25 s",
        ),
        (
            {"segments": "ann-1 rec1 0 1\nann-2 rec1 0 1\nbob-1 rec3 0 1\n"},
            "wav.scp:2: recording rec2 is not in segments",
        ),
        (
            {"segments": "ann-1 rec1 0 1\nann-2 rec1 0 1\n", "wav.scp": "rec1 {wav}\n"},
            "segments: no line for utterance bob-1",
        ),
        ({"wav.scp": None}, "segments: there is no wav.scp to take segments from"),
    ],
)
def test_faults_of_segments(make, changed, found):
    assert problems(make("segments", **changed), need_wav=False)[0].startswith(found)


def test_features_whose_ark_is_gone(make):
    folder = make("features", **{"feats.scp": "ann-1 gone.ark:5\nann-2 {wav}:5\nbob-1 {wav}:9\n"})
    assert problems(folder) == ["feats.scp:1: ann-1: no such file: gone.ark:5"]


def test_ten_problems_are_enough(make):
    many = "".join(f"zoe-{i:02} z\n" for i in range(13))
    lines = problems(make("plain", text=TEXT + many))
    assert len(lines) == 11
    assert lines[9].startswith("text:13: utterance zoe-09")
    assert lines[10] == "... and 3 more"
