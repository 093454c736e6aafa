"""Directories are read back as written; errors name the line."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_topdown import audio, datadir
from asr_topdown.audio import Clip
from asr_topdown.datadir import DataDir
from asr_topdown.datadir.transcripts import tidy
from asr_topdown.features import ark

ids = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8)
words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5).filter(
    lambda word: word not in ("<s>", "</s>", "#0")
)
texts = st.lists(words, max_size=4).map(" ".join)
seconds = st.floats(0, 1e5, allow_nan=False)


@st.composite
def directories(draw):
    speakers = draw(st.dictionaries(ids, ids, min_size=1, max_size=6))
    cut = draw(st.booleans())
    recordings = draw(st.lists(ids, min_size=1, max_size=3, unique=True)) if cut else list(speakers)
    segments = {}
    for utterance in speakers:
        start, length = draw(seconds), draw(st.floats(0.01, 1e3))
        segments[utterance] = (draw(st.sampled_from(recordings)), start, start + length)
    return {
        "utt2spk": speakers,
        "wavs": {
            recording: draw(st.sampled_from(["/a b/c.wav", "sox x  y |", "z.wav"]))
            for recording in recordings
        },
        "text": {utterance: draw(texts) for utterance in speakers},
        "segments": segments if cut else None,
        "speed": dict.fromkeys(list(speakers)[:1], 0.9),
        "feats": {utterance: f"/f/x.ark:{n}" for n, utterance in enumerate(speakers)},
        "num_frames": {utterance: n + 1 for n, utterance in enumerate(speakers)},
    }


@settings(max_examples=30)  # each is seven files, and each file waits for the disk
@given(directories())
def test_what_is_written_is_read(tmp_path_factory, tables):
    data = DataDir(path=tmp_path_factory.getbasetemp() / "round_trip", **tables)
    datadir.write(data)
    written = {name: tidy(transcript) for name, transcript in data.text.items()}
    assert datadir.read(data.path) == dataclasses.replace(data, text=written)
    for table in data.path.iterdir():
        keys = [line.split(b" ")[0] for line in table.read_bytes().removesuffix(b"\n").split(b"\n")]
        assert keys == sorted(set(keys)), table


def test_a_directory_with_segments_is_read(make):
    data = datadir.read(make("segments"))
    assert data.utterances() == ["ann-1", "ann-2", "bob-1"]
    assert data.spk2utt() == {"ann": ["ann-1", "ann-2"], "bob": ["bob-1"]}
    assert data.clips()["ann-2"] == Clip(data.wavs["rec1"], 0.25, 0.5)
    assert data.recording("bob-1") == "rec2"


def test_a_segment_that_ends_at_minus_one_goes_on_to_the_end_of_its_recording(make, tmp_path):
    """As in Kaldi's extract-segments."""
    lines = "ann-1 rec1 0.0 0.25\nann-2 rec1 0.2 -1\nbob-1 rec2 0.1 -1.00\n"
    folder = make("segments", segments=lines)
    datadir.validate(folder)
    data = datadir.read(folder)
    assert data.clips()["ann-2"] == Clip(data.wavs["rec1"], 0.2, None)
    assert {name: audio.info(clip)[1] for name, clip in data.clips().items()} == {
        "ann-1": 2000,
        "ann-2": 4000 - 1600,
        "bob-1": 4000 - 800,
    }
    assert datadir.durations(data) == pytest.approx({"ann-1": 0.25, "ann-2": 0.3, "bob-1": 0.4})
    datadir.write(dataclasses.replace(data, path=tmp_path / "copy"))
    assert datadir.read(tmp_path / "copy").segments == data.segments


def test_tabs_and_blanks_part_fields(make):
    folder = make(
        "plain", **{"text": "ann-1\tone  two \nann-2 \t x\nbob-1\n", "wav.scp": "ann-1 \tcat  'a  b' |\n"}
    )
    data = datadir.read(folder)
    assert data.text == {"ann-1": "one two", "ann-2": "x", "bob-1": ""}
    assert data.wavs == {"ann-1": "cat  'a  b' |"}


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("kind", ["plain", "segments", "features"])
def test_every_table_may_come_from_windows(make, kind, bom, end):
    folder = make(kind)
    expected = datadir.read(folder)
    for table in folder.iterdir():
        content = table.read_text(encoding="utf-8")
        table.write_text(bom + content.replace("\n", end), encoding="utf-8", newline="")
    assert datadir.read(folder) == expected
    assert datadir.read_transcripts(folder / "text") == expected.text
    for table in folder.iterdir():
        table.write_text(table.read_text(encoding="utf-8"), encoding="utf-16", newline="")
    assert datadir.read(folder) == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("caf\u0065\u0301", "caf\u00e9"),  # composed, as the same word elsewhere
        ("\u025b\u0301", "\u025b\u0301"),  # which Mboshi has, and of which there is no composed form
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        ("a\u3000b\u00a0 c\td", "a b c d"),
        ("\u200fa\u00adb\ufeff \u200b", "ab"),
        ("a\rb", "a b"),
    ],
)
def test_transcripts_are_read_in_one_form(make, written, read):
    folder = make("plain", text=f"ann-1 {written}\nann-2 x\nbob-1\n")
    for text in (datadir.read(folder).text, datadir.read_transcripts(folder / "text")):
        assert text == {"ann-1": read, "ann-2": "x", "bob-1": ""}


def test_decomposed_transcripts_are_told_once(make, caplog):
    folder = make("plain", text="ann-1 e\u0301\nann-2 \u00e9\nbob-1 a\u0308\n")
    for _ in range(3):
        datadir.read(folder)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        f"{folder / 'text'}: 2 of 3 transcripts are not in Unicode's composed form (NFC); they are read in it"
    )


@pytest.mark.parametrize(
    ("table", "content", "problem"),
    [
        ("text", "ann-1 a\nann-1 b\n", "text:2: ann-1 occurs twice in this file"),
        ("text", "ann-1 a\x07\n", "text:1: ann-1: unprintable character '\\x07'"),
        ("text", "ann-1 \udcff\n", "text:1: not UTF-8"),
        ("wav.scp", "ann-1 a\nann-2\n", "wav.scp:2: ann-2: nothing follows it"),
        ("utt2spk", "ann-1 ann b\n", "utt2spk:1: ann-1: needs exactly 2 fields, has 3"),
        ("utt2spk", "ann-1\n", "utt2spk:1: ann-1: needs exactly 2 fields, has 1"),
        (
            "segments",
            "ann-1 rec 0\n",
            "segments:1: ann-1: needs 4 fields (utterance, recording, start, end), has 3",
        ),
        ("segments", "ann-1 rec x 1\n", "segments:1: ann-1: start 'x' and end '1' must be seconds"),
        (
            "segments",
            "\nann-1 rec 1 1\n",
            "segments:2: ann-1: segment from 1 to 1 s: the end must come after",
        ),
        ("segments", "ann-1 rec nan 1\n", "segment from nan to 1 s"),
        ("segments", "ann-1 rec nan -1\n", "segment from nan to -1 s"),
        ("segments", "ann-1 rec -1 -1\n", "segment from -1 to -1 s"),
        ("segments", "ann-1 rec 0 -2\n", "segment from 0 to -2 s"),
        (
            "segments",
            "ann-1 rec 0 1 1\n",
            "segments:1: ann-1: has a fifth field, '1': for Kaldi the channel, counted from 0",
        ),
        ("segments", "ann-1 rec 0 1_000\n", "segments:1: ann-1: start '0' and end '1_000' must be seconds"),
        ("utt2speed", "ann-1 0\n", "utt2speed:1: ann-1: needs a number above 0, got '0'"),
        ("utt2speed", "ann-1 1_1\n", "utt2speed:1: ann-1: needs a number above 0, got '1_1'"),
        ("utt2num_frames", "ann-1 1.5\n", "utt2num_frames:1: ann-1: needs a whole number above 0, got '1.5'"),
    ],
)
def test_read_names_the_line(make, table, content, problem):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        datadir.read(make("plain", **{table: content}))
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_directory_is_told_from_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a data directory"):
        datadir.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no such data directory"):
        datadir.validate(tmp_path / "nowhere")


def test_clips_name_what_is_missing(make):
    data = datadir.read(make("plain", **{"wav.scp": "ann-1 x\n"}))
    with pytest.raises(ValueError, match=r"wav\.scp: no recording ann-2 \(utterance ann-2\)"):
        data.clips()
    data = datadir.read(make("segments", segments="ann-1 rec1 0 1\n"))
    with pytest.raises(ValueError, match="segments: no segment for utterance ann-2"):
        data.clips()


@pytest.fixture
def features(make, tmp_path):
    """A function that writes a data directory with constant features of given lengths."""

    def write(value: float = 0.0, **changed: str) -> Path:
        with open(tmp_path / "other.ark", "wb") as file:
            places = {
                name: ark.save(file, name, np.full((frames, 2), value, np.float32))
                for name, frames in (("ann-1", 23), ("ann-2", 48), ("bob-1", 30))
            }
        scp = "".join(f"{name} {tmp_path}/other.ark:{offset}\n" for name, offset in places.items())
        return make("features", **{"feats.scp": scp, **changed})

    return write


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"text": "ann-1 one\nann-2 two\nbob-1 four\n"}, False),
        ({"utt2num_frames": "ann-1 23\nann-2 48\nbob-1 31\n"}, False),
        ({"value": 1.0}, False),
        ({"wav.scp": "ann-1 x\nann-2 x\nbob-1 x\n"}, True),
        ({"text": "bob-1 four\nann-1 one\nann-2  two  three\n"}, True),
    ],
)
def test_content_hash_is_of_features_and_text(features, changed, same):
    before = datadir.content_hash(features())
    assert (datadir.content_hash(features(**changed)) == before) is same


def test_content_hash_knows_no_path(features, tmp_path):
    before = datadir.content_hash(features())
    scp = tmp_path / "dir" / "feats.scp"
    (tmp_path / "other.ark").rename(tmp_path / "moved.ark")
    scp.write_text(scp.read_text().replace("other.ark", "moved.ark"))
    (tmp_path / "dir").rename(tmp_path / "elsewhere")
    assert datadir.content_hash(tmp_path / "elsewhere") == before


def test_content_hash_wants_features(make):
    with pytest.raises(ValueError, match="utt2num_frames: no line for ann-1; compute features first"):
        datadir.content_hash(make("plain"))
