"""Each of other toolkits' formats of recordings and transcripts, from a handmade miniature.

The miniatures are written as the toolkits' own documentation shows them; none of the toolkits is needed.
"""

import gzip
import json
import math
import shutil

import numpy as np
import pytest
import soundfile

from asr_topdown import audio, datadir
from asr_topdown.corpora.table import Options, prepare

SECONDS = 1.5


def write_sound(path, rate=16000, channels=1, seconds=SECONDS, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(rate * seconds)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, tone if channels == 1 else np.stack([tone] * channels, 1), rate, **how)


def take(tmp_path, source, **options):
    """The one data directory made of `source`, validated and read back."""
    (data,) = prepare(tmp_path / "out", source=source, options=Options(**options))
    datadir.validate(data.path)
    assert datadir.read(data.path) == data
    for clip in data.clips().values():
        samples, _ = audio.read(clip)
        assert len(samples)
    return data


def test_common_voice(tmp_path, capsys):
    ann, bob = "0a" * 64, "b1" * 64
    rows = [
        ("client_id", "path", "sentence_id", "sentence", "up_votes", "age", "accents", "locale"),
        (ann, "common_voice_fr_1.mp3", "x", 'Il dit : "L’été est là…"', "2", "", "", "fr"),
        (ann, "common_voice_fr_2.mp3", "y", "N'est-ce pas ?", "2", "", "", "fr"),
        (bob, "common_voice_fr_3.mp3", "z", "Oui!", "2", "", "", "fr"),
    ]
    table = tmp_path / "cv" / "fr" / "train.tsv"
    for _, name, *_ in rows[1:]:
        write_sound(table.parent / "clips" / name, rate=32000, format="MP3")
    table.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    data = take(tmp_path, table, normalise="basic")
    assert data.text == {
        "0a0a0a0a0a0a0a0a-common_voice_fr_1": "il dit l'été est là",
        "0a0a0a0a0a0a0a0a-common_voice_fr_2": "n'est ce pas",
        "b1b1b1b1b1b1b1b1-common_voice_fr_3": "oui",
    }
    assert len(set(data.utt2spk.values())) == 2
    taken = "sound from `path`, text from `sentence`, speaker from `client_id`"
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{table}: table with tabs between its columns: {taken}; 3 rows, sound in {table.parent}/clips"
    )


def test_common_voice_whose_clips_became_wav(tmp_path):
    table = tmp_path / "train.tsv"
    write_sound(tmp_path / "wav" / "cv_1.wav")
    table.write_text("client_id\tpath\tsentence\nann\tcv_1.mp3\tOui\n")
    data = take(tmp_path, table, sounds=tmp_path / "wav")
    assert data.wavs == {"ann-cv_1": str(tmp_path / "wav" / "cv_1.wav")}


def test_only_hashes_of_clients_are_shortened(tmp_path):
    """The first 16 characters of other names may be those of several speakers."""
    table = tmp_path / "table.tsv"
    lines = ["client_id\tpath\tsentence\n"]
    for number in (1, 2):
        write_sound(tmp_path / f"{number}.wav")
        lines.append(f"speaker_of_company_{number}\t{number}.wav\tOui\n")
    table.write_text("".join(lines))
    assert set(take(tmp_path, table).utt2spk.values()) == {"speaker_of_company_1", "speaker_of_company_2"}


def test_a_channel_is_a_whole_number(tmp_path):
    table = tmp_path / "table.csv"
    write_sound(tmp_path / "1.wav")
    table.write_text("path,sentence,channel\n1.wav,Oui,0.5\n")
    with pytest.raises(ValueError, match=r"table\.csv:2: `channel` must be a whole number, got 0\.5"):
        take(tmp_path, table)


@pytest.mark.parametrize("named", ["folder", "file"])
def test_hugging_face_audiofolder_csv(tmp_path, named):
    root = tmp_path / "set"
    for name in ("data/one.ogg", "two.flac"):
        write_sound(root / name)
    (root / "metadata.csv").write_text('file_name,transcription\ndata/one.ogg,"one, two"\ntwo.flac,three\n')
    data = take(tmp_path, root if named == "folder" else root / "metadata.csv")
    assert data.text == {"data_one": "one, two", "two": "three"}


def test_hugging_face_audiofolder_jsonl(tmp_path):
    root = tmp_path / "set"
    write_sound(root / "one.opus", rate=48000, format="OGG", subtype="OPUS")
    (root / "metadata.jsonl").write_text('{"file_name": "one.opus", "text": "un"}\n')
    assert take(tmp_path, root).text == {"one": "un"}


def test_nemo_manifest(tmp_path):
    """Absolute paths; a duration that is rounded is the whole file, an offset cuts one."""
    for name in ("a/1.wav", "b/1.wav"):
        write_sound(tmp_path / "sound" / name)
    manifest = tmp_path / "elsewhere" / "train_manifest.json"
    manifest.parent.mkdir()
    lines = [
        {"audio_filepath": str(tmp_path / "sound/a/1.wav"), "text": "one", "duration": 1.5},
        {"audio_filepath": str(tmp_path / "sound/b/1.wav"), "text": "two", "duration": 0.5},
        {"audio_filepath": str(tmp_path / "sound/b/1.wav"), "text": "three", "duration": 0.75, "offset": 0.5},
    ]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = take(tmp_path, manifest)
    assert data.segments == {
        "a_1-0000000-0001500": ("a_1", 0.0, 1.5),
        "b_1-0000000-0000500": ("b_1", 0.0, 0.5),
        "b_1-0000500-0001250": ("b_1", 0.5, 1.25),
    }
    manifest.write_text(json.dumps(lines[0]) + "\n")
    assert take(tmp_path, manifest).segments is None


def test_nemo_manifest_that_was_made_on_another_machine(tmp_path):
    write_sound(tmp_path / "here" / "clips" / "a" / "1.wav")
    write_sound(tmp_path / "here" / "clips" / "b" / "1.wav")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio_filepath": "/gone/clips/a/1.wav", "text": "one"}\n')
    data = take(tmp_path, manifest, sounds=tmp_path / "here")
    assert list(data.wavs.values()) == [str(tmp_path / "here" / "clips" / "a" / "1.wav")]


def test_speechbrain_csv(tmp_path):
    write_sound(tmp_path / "LibriSpeech" / "19" / "19-198-0000.flac")
    table = tmp_path / "train.csv"
    table.write_text(
        "ID,duration,wav,spk_id,wrd\n"
        "19-198-0000,1.5,$data_root/LibriSpeech/19/19-198-0000.flac,19-198,NORTHANGER ABBEY\n"
    )
    data = take(tmp_path, table)
    assert data.text == {"19_198-19-198-0000": "NORTHANGER ABBEY"}
    assert data.utt2spk == {"19_198-19-198-0000": "19_198"}


def test_speechbrain_csv_with_samples(tmp_path):
    write_sound(tmp_path / "talk.wav")
    (tmp_path / "t.csv").write_text("ID,duration,wav,start,stop,wrd\nu1,0.5,talk.wav,8000,16000,hi\n")
    assert take(tmp_path, tmp_path / "t.csv").segments == {"u1": ("talk", 0.5, 1.0)}


def test_speechbrain_json(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.json").write_text(
        json.dumps({"u1": {"wav": "{data_root}/a.wav", "length": 1.5, "words": "hi"}}, indent=1)
    )
    assert take(tmp_path, tmp_path / "t.json").text == {"u1": "hi"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_numbers_that_were_said_are_texts_as_they_are_written(tmp_path, end):
    lines = []
    for number, said in enumerate(("1.50", "1e3", "12"), 1):
        write_sound(tmp_path / f"{number}.wav")
        lines.append(f'{{"audio_filepath": "{number}.wav", "text": {said}, "offset": 0.0}}{end}')
    (tmp_path / "t.jsonl").write_bytes("".join(lines).encode())
    assert list(take(tmp_path, tmp_path / "t.jsonl").text.values()) == ["1.50", "1e3", "12"]


def test_nan_is_a_missing_value(tmp_path, capsys):
    """Python writes NaN for a missing number, as pandas has them in any column."""
    for name in ("a", "b"):
        write_sound(tmp_path / f"{name}.wav")
    lines = [
        {"file": "a.wav", "text": math.nan, "speaker": "ann", "duration": 1.0},
        {"file": "b.wav", "text": "hi", "speaker": math.nan, "duration": math.nan},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert take(tmp_path, tmp_path / "t.jsonl").text == {"b": "hi"}
    assert "left out: 1 recordings whose transcript is empty (a.wav)" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [True, False])
def test_lhotse(tmp_path, packed):
    root = tmp_path / "manifests"
    root.mkdir()
    write_sound(tmp_path / "call.wav", channels=2)
    write_sound(tmp_path / "word.wav")
    recordings = [
        {
            "id": "call",
            "sources": [{"type": "file", "channels": [0, 1], "source": str(tmp_path / "call.wav")}],
            "sampling_rate": 16000,
            "num_samples": 24000,
            "duration": 1.5,
            "channel_ids": [0, 1],
        },
        {
            "id": "word",
            "sources": [{"type": "file", "channels": [0], "source": str(tmp_path / "word.wav")}],
            "sampling_rate": 16000,
            "num_samples": 24000,
            "duration": 1.5,
        },
    ]
    supervisions = [
        {"id": "c1", "recording_id": "call", "start": 0.0, "duration": 0.5, "channel": 0, "text": "hello"}
        | {"speaker": "ann"},
        {"id": "c2", "recording_id": "call", "start": 0.5, "duration": 0.5, "channel": [1], "text": "hi"}
        | {"speaker": "bob"},
        {"id": "w1", "recording_id": "word", "start": 0.0, "duration": 1.5, "channel": 0, "text": "word"}
        | {"speaker": "ann"},
    ]
    for name, lines in (("recordings", recordings), ("supervisions", supervisions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        if packed:
            (root / f"demo_{name}_train.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (root / f"demo_{name}_train.jsonl").write_text(text)
    data = take(tmp_path, root)
    assert data.segments == {
        "ann-c1": ("call-A", 0.0, 0.5),
        "ann-w1": ("word", 0.0, 1.5),
        "bob-c2": ("call-B", 0.5, 1.0),
    }
    assert data.clips()["bob-c2"].channel == 1
    assert data.utt2spk == {"ann-c1": "ann", "ann-w1": "ann", "bob-c2": "bob"}


def test_lhotse_itself_agrees(tmp_path):
    """Manifests written by lhotse can be read."""
    lhotse = pytest.importorskip("lhotse")
    write_sound(tmp_path / "a.wav")
    recording = lhotse.Recording.from_file(tmp_path / "a.wav")
    supervision = lhotse.SupervisionSegment(
        id="u", recording_id=recording.id, start=0.25, duration=0.5, text="hi", speaker="ann"
    )
    lhotse.RecordingSet.from_recordings([recording]).to_file(tmp_path / "recordings.jsonl.gz")
    lhotse.SupervisionSet.from_segments([supervision]).to_file(tmp_path / "supervisions.jsonl.gz")
    assert take(tmp_path, tmp_path / "supervisions.jsonl.gz").segments == {"ann-u": ("a", 0.25, 0.75)}


def test_lhotse_sound_that_is_no_file_is_refused(tmp_path):
    source = {"id": "r", "sources": [{"type": "command", "channels": [0], "source": "touch x; cat a.wav"}]}
    (tmp_path / "recordings.jsonl").write_text(json.dumps(source))
    (tmp_path / "supervisions.jsonl").write_text(
        '{"id": "u", "recording_id": "r", "start": 0, "duration": 1}'
    )
    with pytest.raises(ValueError, match=r"recordings.jsonl:1: recording r must have one source of type"):
        take(tmp_path, tmp_path / "supervisions.jsonl")
    (tmp_path / "cuts.jsonl.gz").write_bytes(b"")
    with pytest.raises(ValueError, match="lhotse cut decompose"):
        take(tmp_path, tmp_path / "cuts.jsonl.gz")


def write_lhotse(root, recording, supervision):
    """A manifest of one recording, of a stereo file, and one supervision."""
    write_sound(root / "a.wav", channels=2)
    source = {"type": "file", "channels": [0, 1], "source": str(root / "a.wav")}
    whole = {"id": "r", "sources": [source]} | recording
    (root / "recordings.jsonl").write_text(json.dumps(whole))
    said = {"id": "u", "recording_id": "r", "start": 0, "duration": 1, "channel": 0, "text": "x"}
    (root / "supervisions.jsonl").write_text(json.dumps(said | supervision))
    return root / "supervisions.jsonl"


def test_lhotse_says_which_channel_of_a_file_a_recording_is(tmp_path):
    source = {"type": "file", "channels": [1], "source": str(tmp_path / "a.wav")}
    data = take(tmp_path, write_lhotse(tmp_path, {"sources": [source]}, {"channel": 1}))
    assert data.clips()["u"].channel == 1


@pytest.mark.parametrize(
    ("recording", "supervision", "problem"),
    [
        (
            {"transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]},
            {},
            r"recordings\.jsonl:1: recording r has transforms, which must be in its file",
        ),
        ({"sources": ["a.wav"]}, {}, r"recordings\.jsonl:1: recording r must have one source of type `file`"),
        (
            {"sources": [{"type": "file", "channels": None, "source": "a.wav"}]},
            {},
            r"recordings\.jsonl:1: recording r: channels must be a list of numbers, got None",
        ),
        ({}, {"channel": None}, r"supervisions\.jsonl:1: no `channel`, but recording r has 2 channels"),
        ({}, {"channel": []}, r"supervisions\.jsonl:1: no `channel`"),
        ({}, {"channel": "A"}, r"supervisions\.jsonl:1: `channel` must be a number of at least 0, got 'A'"),
        ({}, {"text": ["x"]}, r"supervisions\.jsonl:1: `text` must be a text, got list"),
        (
            {},
            {"start": -0.01},
            r"supervisions\.jsonl:1: `start` must be a number of at least 0, got '-0\.01'",
        ),
        ({}, {"start": None}, r"supervisions\.jsonl:1: must have id, start and duration \(no `start`\)"),
        ({}, {"recording_id": "s"}, r"supervisions\.jsonl:1: no recording s"),
    ],
)
def test_faults_of_lhotse_manifests_are_named(tmp_path, recording, supervision, problem):
    with pytest.raises(ValueError, match=problem):
        take(tmp_path, write_lhotse(tmp_path, recording, supervision))
    assert not (tmp_path / "out").exists()


def test_lhotse_recordings_with_one_id_are_refused(tmp_path):
    supervisions = write_lhotse(tmp_path, {}, {})
    recordings = tmp_path / "recordings.jsonl"
    recordings.write_text(f"{recordings.read_text()}\n{recordings.read_text()}")
    with pytest.raises(ValueError, match=r"recordings\.jsonl:2: duplicate recording r"):
        take(tmp_path, supervisions)


def test_librispeech(tmp_path, capsys):
    root = tmp_path / "LibriSpeech" / "dev-clean"
    for name in ("19/198/19-198-0000", "19/198/19-198-0001", "26/495/26-495-0000"):
        write_sound(root / f"{name}.flac")
    (root / "19/198/19-198.trans.txt").write_text(
        "19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS LITTLE WORK\n"
    )
    (root / "26/495/26-495.trans.txt").write_text("26-495-0000 ONE\n")
    data = take(tmp_path, root, normalise="basic")
    assert data.text == {
        "19-198-0000": "northanger abbey",
        "19-198-0001": "this little work",
        "26-495-0000": "one",
    }
    assert set(data.utt2spk.values()) == {"19", "26"}
    assert "left out" not in capsys.readouterr().out


def test_names_with_colons(tmp_path, capsys):
    """As in Asterisk's lists of prompts, with comments and a subfolder."""
    for name in ("activated", "digits/1"):
        write_sound(tmp_path / f"{name}.wav")
    table = tmp_path / "core-sounds-fr.txt"
    table.write_text("; Français\n\nactivated: Activé\ndigits/1: un : deux\n# the end\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"core-sounds-fr\.txt is a list of names and texts"):
        take(tmp_path, tmp_path)
    data = take(tmp_path, table)
    assert data.text == {"activated": "Activé", "digits_1": "un : deux"}
    assert f"{table}: lines of a name, a colon and a text; 2 rows" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".txt", ".lab"])
def test_a_text_beside_each_sound(tmp_path, suffix, capsys):
    root = tmp_path / "rec"
    for name in ("ann/1.wav", "bob/1.wav", "bob/2.wav"):
        write_sound(root / name)
    (root / "ann" / f"1{suffix}").write_text("hello\nthere\n")
    (root / "bob" / f"1{suffix}").write_text("Hi")
    data = take(tmp_path, root, speaker_from="folder")
    assert data.text == {"ann-ann_1": "hello there", "bob-bob_1": "Hi"}
    assert f"left out: 1 recordings that are not in the table ({root}/bob/2.wav)" in capsys.readouterr().out


def test_label_files_with_times_are_no_transcripts(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "a.lab").write_text("0 500000 sil\n500000 900000 a\n")
    with pytest.raises(ValueError, match=r"a\.lab:1: must be a transcript, got a label file with times"):
        take(tmp_path, tmp_path)


@pytest.mark.parametrize("complete", [True, False])
def test_a_kaldi_directory_is_read_with_or_without_utt2spk(tmp_path, complete):
    """ESPnet's own tools need no utt2spk."""
    root = tmp_path / "data" / "train"
    root.mkdir(parents=True)
    write_sound(tmp_path / "a.wav")
    (root / "wav.scp").write_text(f"u1 {tmp_path}/a.wav\n")
    (root / "text").write_text("u1 Bon’jour !\n")
    if complete:
        (root / "utt2spk").write_text("u1 u\n")
    data = take(tmp_path, root if complete else root / "wav.scp", normalise="basic", sample_rate=8000)
    assert data.text == {"u1": "bon'jour"}
    assert data.utt2spk == {"u1": "u" if complete else "u1"}
    assert audio.read(data.clips()["u1"])[1] == 8000


def test_options_that_a_kind_does_not_use_are_refused(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "text").write_text("a x\n")
    given = {
        "columns": {"text": "foo"},
        "sounds": tmp_path,
        "encoding": "latin-1",
        "speaker_from": "folder",
        "channel": 0,
        "skip_bad": True,
    }
    options = "--columns, --audio, --encoding, --speaker-from, --channel, --skip-bad"
    with pytest.raises(ValueError, match=rf"a source of the kind `kaldi` must be read without {options}$"):
        take(tmp_path, tmp_path, **given)
    for name, value in given.items():
        with pytest.raises(ValueError, match=r"must be read without --[a-z-]+$"):
            take(tmp_path, tmp_path, **{name: value})
    with pytest.raises(
        ValueError, match=r"text: a source of the kind `lines` must be read without --columns$"
    ):
        take(tmp_path, tmp_path / "text", columns={"text": "foo"})


def test_odd_headings_can_be_named(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text("Datei;Wer;Text roh;Text\na.wav;eva;x;Hallo\n")
    data = take(
        tmp_path, tmp_path / "t.csv", columns={"sound": "datei", "text": "Text roh", "speaker": "wer"}
    )
    assert (data.text, data.utt2spk) == ({"eva-a": "x"}, {"eva-a": "eva"})
    with pytest.raises(ValueError, match=r"t.csv:1: no column `nase` for the sound"):
        take(tmp_path, tmp_path / "t.csv", columns={"sound": "nase"})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_tables_are_read_in_every_encoding(tmp_path, encoding):
    write_sound(tmp_path / "é.wav")
    (tmp_path / "t.csv").write_bytes("file,text\r\né.wav,Été\r\n".encode(encoding))
    data = take(tmp_path, tmp_path / "t.csv", encoding="latin-1" if encoding == "latin-1" else None)
    assert data.text == {"é": "Été"}


def test_decomposed_text_is_composed(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.tsv").write_text("file\ttext\na.wav\te\u0301te\u0301\n", encoding="utf-8")
    assert take(tmp_path, tmp_path / "t.tsv").text == {"a": "été"}


def test_the_exact_path_wins(tmp_path):
    """A file at the top and one with the same name in a subfolder can both be named."""
    root = tmp_path / "a"
    for name in ("activated.wav", "sub/activated.wav", "sub/sub/other.wav"):
        write_sound(root / name)
    names = ["activated.wav", "./sub/activated.wav", str(root / "sub/sub/other.wav")]
    for table_names in (names, ["activated", "sub/activated", "other"]):
        (tmp_path / "t.tsv").write_text("file\ttext\n" + "".join(f"{name}\tx\n" for name in table_names))
        data = take(tmp_path, tmp_path / "t.tsv", sounds=root)
        assert sorted(data.wavs) == ["activated", "sub_activated", "sub_sub_other"]
    (root / "activated.wav").unlink()
    shutil.copy(root / "sub/activated.wav", root / "sub/sub/activated.wav")
    with pytest.raises(ValueError, match=r"t.tsv:2: 'activated' names 2 recordings"):
        take(tmp_path, tmp_path / "t.tsv", sounds=root)
    # A folder that does not fit is no end of a path.
    (tmp_path / "t.tsv").write_text("file\ttext\nelse/other.wav\tx\n")
    with pytest.raises(ValueError, match=r"'else/other.wav' names no recording"):
        take(tmp_path, tmp_path / "t.tsv", sounds=root)


def test_stereo_needs_a_channel(tmp_path):
    write_sound(tmp_path / "a.wav", channels=2)
    (tmp_path / "t.tsv").write_text("file\ttext\na.wav\tx\n")
    with pytest.raises(ValueError, match=r"t.tsv:2: .*a.wav: has 2 channels; --channel 0 takes the first"):
        take(tmp_path, tmp_path / "t.tsv")
    data = take(tmp_path, tmp_path / "t.tsv", channel=1)
    assert data.clips()["a-B"].channel == 1
    (tmp_path / "t.tsv").write_text("file\ttext\tchannel\na.wav\tx\t2\n")
    with pytest.raises(ValueError, match="no channel 2"):
        take(tmp_path, tmp_path / "t.tsv")


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_no_sound_has_is_refused_where_all_is_mono(tmp_path, channel):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.tsv").write_text("file\ttext\na.wav\tx\n")
    assert take(tmp_path, tmp_path / "t.tsv", channel=1).text == {"a": "x"}
    with pytest.raises(ValueError, match=f"--channel {channel}: must be 0 or 1"):
        take(tmp_path, tmp_path / "t.tsv", channel=channel)


@pytest.mark.parametrize("rows", ["", "a.wav\t\n"])
def test_a_table_without_transcripts_is_named(tmp_path, rows):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.tsv").write_text(f"file\ttext\n{rows}")
    with pytest.raises(ValueError, match=r"t\.tsv: has no transcripts"):
        take(tmp_path, tmp_path / "t.tsv")


def test_bad_sound_is_named_or_left_out(tmp_path, capsys):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("no sound")
    (tmp_path / "t.tsv").write_text("file\ttext\nb.wav\tx\na.wav\ty\nc.wav\tz\n")
    with pytest.raises(
        ValueError, match=r"t.tsv:2: .*b.wav: cannot be decoded.* \(and 1 more rows; --skip-bad"
    ):
        take(tmp_path, tmp_path / "t.tsv")
    assert take(tmp_path, tmp_path / "t.tsv", skip_bad=True).text == {"a": "y"}
    assert "left out: 2 rows without usable sound (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", 'id,text\na,one\nb,"two\nc,three\n', r"t\.csv:3: a quotation mark opens a field"),
        ("t.csv", 'id,text\na,one\nb,"two\nc",x\n', r"t\.csv:3: a quotation mark opens a field"),
        ("t.csv", 'id,text\na,"one"two\n', r"t\.csv:2: a quotation mark"),
        ("t.csv", "file,text,TEXT\na.wav,x,y\n", r"t\.csv:1: duplicate heading `text`"),
        (
            "t.csv",
            "file,text,start\na.wav,x,soon\n",
            r"t\.csv:2: `start` must be a number of at least 0, got 'soon'",
        ),
        (
            "t.csv",
            "file,text,start,end\na.wav,x,1,1\n",
            r"t\.csv:2: .*a\.wav: must be start < end <= 1\.500 s, got 1 to 1",
        ),
        (
            "t.csv",
            "file,text,duration\na.wav,x,1500\n",
            r"t\.csv:2: .*must be start < end <= 1\.500 s, got 0 to 1500 s",
        ),
        (
            "t.csv",
            "file,text\na.wav,x\r\nb.wav,y\rc.wav,z\n",
            r"t\.csv:3: a carriage return in the line",
        ),
        ("t.csv", "", r"t\.csv:1: must have a column"),
        ("t.jsonl", '{"file": "a.wav", "text": "x"}\n{"file"\n', r"t\.jsonl:2: not JSON"),
        ("t.jsonl", '{"file": "a.wav", "text": "x"}\n[1]\n', r"t\.jsonl:2: must be a JSON object, got list"),
        ("t.jsonl", '{"file": "a.wav", "text": ["x"]}\n', r"t\.jsonl:1: `text` must be a text, got list"),
        ("t.jsonl", '{"file": "a.wav", "text": true}\n', r"t\.jsonl:1: `text` must be a text, got bool"),
        (
            "t.jsonl",
            '{"file": "a.wav", "text": "x"}\n{"file": "a.wav", "text": "x", "text": "y"}\n',
            r"t\.jsonl:2: duplicate key `text`",
        ),
        (
            "t.json",
            '{\n"u": {"wav": "a.wav", "words": "x"},\n"u": {"wav": "a.wav", "words": "y"}\n}',
            r"t\.json: duplicate key `u`",
        ),
        ("t.jsonl", '{"file": "a.wav", "text": "x"}\n{"text": "y"}\n', r"t\.jsonl:2: no `file`"),
        ("t.jsonl", "", r"t\.jsonl: empty"),
        ("t.jsonl", "[" * 100_000, r"t\.jsonl:1: not JSON"),
        ("t.json.gz", "\x1f\x8bdamaged", r"t\.json\.gz: damaged gzip"),
        ("t.tsv", "file\ttext\ntouch x; cat a.wav |\tx\n", r"t\.tsv:2: 'touch x; cat a.wav \|' is a command"),
    ],
)
def test_faults_are_named(tmp_path, name, content, problem):
    write_sound(tmp_path / "a.wav")
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=problem) as error:
        take(tmp_path, tmp_path / name)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_folders_that_say_too_little(tmp_path):
    with pytest.raises(ValueError, match="no transcripts found"):
        take(tmp_path, tmp_path)
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text("path\tsentence\n")
    with pytest.raises(ValueError, match=r"several tables, dev.tsv, train.tsv"):
        take(tmp_path, tmp_path)
    for part in ("dev", "train"):
        (tmp_path / f"x_supervisions_{part}.jsonl.gz").write_bytes(b"")
    with pytest.raises(ValueError, match="several supervisions"):
        take(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        take(tmp_path, tmp_path / "nowhere")


def test_a_very_long_field(tmp_path):
    write_sound(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text(f"file,text,note\na.wav,x,{'y' * 200_000}\n")
    assert take(tmp_path, tmp_path / "t.csv").text == {"a": "x"}
