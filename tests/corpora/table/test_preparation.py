"""From your own table to a data directory: names, speakers, omissions and errors."""

import numpy as np
import pytest
import soundfile

from asr_topdown import datadir
from asr_topdown.corpora.split import Division
from asr_topdown.corpora.table import Options
from asr_topdown.corpora.table import prepare as prepare_table


@pytest.fixture
def sounds(tmp_path):
    """Three speakers' folders: ann/1.wav, ann/2.flac, bob/x y.wav, bob-b/1.wav."""
    root = tmp_path / "sounds"
    for name in ("ann/1.wav", "ann/2.flac", "bob/x y.wav", "bob-b/1.wav", "notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (root / name).write_text("not sound")
        else:
            soundfile.write(root / name, np.full(800, 0.1), 8000)
    return root


TSV = (
    'file\tspeaker\ttext\nann/1.wav\tann\tHello, 1 "world"\n\n'
    "2\tann\t two\nx y.wav\tbob\t three\nbob-b/1\tbob b\tfour\n"
)


def prepare(tmp_path, sounds, table, name="table.tsv", division=None, **options):
    (tmp_path / name).write_text(table, encoding="utf-8")
    chosen = Options(sounds=sounds, **options)
    return prepare_table(tmp_path / "data", source=tmp_path / name, options=chosen, division=division)


def test_a_table_with_speakers(tmp_path, sounds):
    (data,) = prepare(tmp_path, sounds, TSV)
    assert data.text == {
        "ann-ann_1": 'Hello, 1 "world"',
        "ann-ann_2": "two",
        "bob-bob_x_y": "three",
        "bob_b-bob-b_1": "four",
    }
    assert data.utt2spk == {
        "ann-ann_1": "ann",
        "ann-ann_2": "ann",
        "bob-bob_x_y": "bob",
        "bob_b-bob-b_1": "bob_b",
    }
    assert data.wavs["bob-bob_x_y"] == str(sounds / "bob" / "x y.wav")
    datadir.validate(data.path)
    assert datadir.read(data.path) == data


def test_comma_separated_with_quotes_and_a_byte_order_mark(tmp_path, sounds):
    table = '\ufeffID,Transcript\n2,"one, two"\n"bob-b/1.wav",three\n'
    (data,) = prepare(tmp_path, sounds, table, "table.csv")
    assert data.text == {"ann_2": "one, two", "bob-b_1": "three"}
    assert data.utt2spk == {"ann_2": "ann_2", "bob-b_1": "bob-b_1"}
    datadir.validate(data.path)


def test_lines_of_id_and_text(tmp_path, sounds, capsys):
    (data,) = prepare(tmp_path, sounds, "2 one  two\n\nann/1\nbob-b/1 three\n", "text")
    assert data.text == {"ann_2": "one two", "bob-b_1": "three"}
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/text: lines of a name and a text; 3 rows, sound in {sounds}",
        "left out: 1 recordings whose transcript is empty (ann/1)",
        f"left out: 1 recordings that are not in the table ({sounds}/bob/x y.wav)",
        "transcripts: 7 different characters: ehnortw",
    ]


@pytest.mark.parametrize(
    ("source", "speakers"),
    [
        ("column", ["ann", "ann", "bob", "bob_b"]),
        ("folder", ["ann", "ann", "bob", "bob_b"]),
        ("name", ["1", "1", "2", "x_y"]),
        ("none", ["ann_1", "ann_2", "bob-b_1", "bob_x_y"]),
    ],
)
def test_speakers_come_from_where_speaker_from_says(tmp_path, sounds, source, speakers):
    (data,) = prepare(tmp_path, sounds, TSV, speaker_from=source)
    assert sorted(data.utt2spk.values()) == speakers
    datadir.validate(data.path)


@pytest.mark.parametrize("name", ["C:\\data\\sounds\\ann\\1.wav", "ann\\1", "bob\\x y.wav"])
def test_paths_of_windows(name, tmp_path, sounds):
    (data,) = prepare(tmp_path, sounds, f"file\ttext\n{name}\thello\n")
    (source,) = data.wavs.values()
    assert source == str(sounds / ("bob/x y.wav" if "bob" in name else "ann/1.wav"))


def test_names_of_macos_are_those_of_a_table_with_composed_accents(tmp_path, sounds):
    decomposed = sounds / "rene\u0301" / "e\u0301te\u0301.wav"
    decomposed.parent.mkdir()
    (sounds / "ann" / "1.wav").rename(decomposed)
    (data,) = prepare(tmp_path, sounds, "file\ttext\nren\u00e9/\u00e9t\u00e9.wav\thello\n")
    assert list(data.wavs.values()) == [str(decomposed)]
    with pytest.raises(ValueError, match=r"^.*table\.tsv:2: 'rene/.*' names no recording$"):
        prepare(tmp_path, sounds, "file\ttext\nrene/\u00e9t\u00e9.wav\thello\n")


def test_text_can_be_normalised_and_split(tmp_path, sounds):
    halves = Division({"train": 0.5, "test": 0.5})
    parts = prepare(tmp_path, sounds, TSV, normalise="english", division=halves)
    assert [part.path for part in parts] == [tmp_path / "data" / "train", tmp_path / "data" / "test"]
    texts = {u: text for part in parts for u, text in part.text.items()}
    assert texts["ann-ann_1"] == "hello one world"
    assert len(texts) == 4


@pytest.mark.parametrize(
    ("table", "options", "problem"),
    [
        (
            "name\ttext\n",
            {},
            r"table\.tsv:1: must have a column for the sound .* got \['name', 'text'\]",
        ),
        ("", {}, r"table\.tsv:1: must have a column"),
        ("id\ttext\n2\tx\n2\n", {}, r"table\.tsv:3: must have 2 columns, got 1"),
        ("id\ttext\n\n7\tx\n", {}, r"table\.tsv:3: '7' names no recording"),
        ("id\ttext\n1\tx\n", {}, r"table\.tsv:2: '1' names 2 recordings: .*ann/1\.wav, .*bob-b/1\.wav"),
        ("id\ttext\n2\tx\nann/2\ty\n", {}, r"table\.tsv:3: 'ann/2': .*ann/2\.flac already has a transcript"),
        ("id\ttext\n2\tx\n", {"speaker_from": "column"}, r"the table must have a speaker in each row"),
        ("id\ttext\n2\t</s>\n", {}, r"utterance ann_2: reserved word </s>"),
        ("id\ttext\n2\t\n", {}, r"table\.tsv: has no transcripts"),
        ("id\ttext\n2\tx\n", {"sample_rate": 0}, r"--sample-rate 0: must be at least 1"),
        ("id\ttext\n2\tx\n", {"sample_rate": -8000}, r"--sample-rate -8000: must be at least 1"),
    ],
)
def test_faults_have_their_line(tmp_path, sounds, table, options, problem):
    with pytest.raises(ValueError, match=problem) as error:
        prepare(tmp_path, sounds, table, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "data").exists()


def test_ids_that_fall_together_are_named(tmp_path, sounds):
    (sounds / "bob" / "x_y.wav").write_bytes((sounds / "bob" / "x y.wav").read_bytes())
    with pytest.raises(ValueError, match=r"table\.tsv:3: x_y: duplicate utterance bob_x_y"):
        prepare(tmp_path, sounds, "id\ttext\nx y\ta\nx_y\tb\n")


def test_speakers_that_fall_together_are_named(tmp_path, sounds):
    """Spaces around a name, and how its accents are coded, make no other speaker."""
    table = "id\tspeaker\ttext\nann/1\tAnna K\u00e9\ta\n2\t Anna Ke\u0301 \tb\nx y\tAnna-K\u00e9\tc\n"
    with pytest.raises(ValueError, match=r"tsv:4: speakers 'Anna Ké' and 'Anna-Ké' would both be Anna_Ké"):
        prepare(tmp_path, sounds, table)
    (data,) = prepare(tmp_path, sounds, table.replace("Anna-K", "Anna_L"))
    assert set(data.utt2spk.values()) == {"Anna_Ké", "Anna_Lé"}


def test_ids_keep_the_marks_of_all_scripts(tmp_path):
    """Vowel signs of Hindi are marks, neither letters nor part of re's words."""
    for name in ("कि", "की"):
        soundfile.write(tmp_path / f"{name}.wav", np.full(800, 0.1), 8000)
    (data,) = prepare(tmp_path, tmp_path, "id\tspeaker\ttext\nकि\tरवि\ta\nकी\tरवी\tb\n")
    assert data.utt2spk == {"रवि-कि": "रवि", "रवी-की": "रवी"}
    datadir.validate(data.path)


def test_tables_that_are_not_utf8_or_not_there(tmp_path, sounds):
    (tmp_path / "t.tsv").write_bytes(b"id\ttext\n2\t\xff\n")
    with pytest.raises(ValueError, match=r"t\.tsv:2: not UTF-8 text; --encoding"):
        prepare_table(tmp_path / "data", source=tmp_path / "t.tsv", options=Options(sounds=sounds))
    with pytest.raises(FileNotFoundError):
        prepare_table(tmp_path / "data", source=tmp_path / "nowhere.tsv")


def test_sound_must_be_alike(tmp_path, sounds):
    soundfile.write(sounds / "bob" / "x y.wav", np.full(800, 0.1), 16000)
    with pytest.raises(ValueError, match=r"x y\.wav: 16000 Hz, but .*1\.wav has 8000 Hz; --sample-rate 8000"):
        prepare(tmp_path, sounds, TSV)
    soundfile.write(sounds / "bob" / "x y.wav", np.full((800, 2), 0.1), 8000)
    with pytest.raises(ValueError, match=r"table.tsv:5: .*x y\.wav: has 2 channels; --channel 0"):
        prepare(tmp_path, sounds, TSV)
    (sounds / "bob" / "x y.wav").write_text("corrupt")
    with pytest.raises(ValueError, match=r"x y\.wav: cannot be decoded"):
        prepare(tmp_path, sounds, TSV)


def test_folders_without_sound(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        prepare(tmp_path, tmp_path / "nowhere", TSV)
    with pytest.raises(ValueError, match=r"table.tsv:2: 'ann/1.wav' names no recording \(and 3 more rows"):
        prepare(tmp_path, tmp_path, TSV)


def test_it_is_said_what_will_be_resampled_and_what_band_is_then_empty(tmp_path, sounds, capsys):
    soundfile.write(sounds / "ann" / "2.flac", np.full(4410, 0.1), 44100)
    prepare(tmp_path, sounds, TSV, sample_rate=16000)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("resampled")]
    assert lines == [
        "resampled when read: 3 utterances from 8000 to 16000 Hz; above 4000 Hz there is no sound in them",
        "resampled when read: 1 utterances from 44100 to 16000 Hz",
    ]
