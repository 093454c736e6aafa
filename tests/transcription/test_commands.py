"""`asr-topdown transcribe` and `align` on the command line."""

import errno
import io
import json
import os
import re
from concurrent.futures import Future

import pytest
import soundfile
import torch

from asr_topdown import audio, datadir
from asr_topdown.bin.main import main
from asr_topdown.engines.job import JobError
from asr_topdown.transcription import forced, side_by_side
from asr_topdown.transcription.transcript import Failure

from .conftest import EACH, RATE


@pytest.fixture
def sounds(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a.wav", "ab cab"), ("more/b.wav", "c"), ("more/deep/c.wav", "ba a")):
        toy.write(tmp_path / name, text)
    return tmp_path


def test_transcribe_prints_a_line_per_file_also_below_folders(toy, sounds, capsys):
    assert main(["transcribe", str(toy.model), "a.wav", "more"]) == 0
    assert capsys.readouterr().out == "a.wav: ab cab\nmore/b.wav: c\nmore/deep/c.wav: ba a\n"


def test_names_on_the_standard_input(toy, sounds, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("more/b.wav\na.wav\n"))
    assert main(["transcribe", str(toy.model), "-"]) == 0
    assert capsys.readouterr().out == "more/b.wav: c\na.wav: ab cab\n"


def test_a_bad_file_costs_a_line_and_the_exit_code(toy, sounds, capsys):
    assert main(["transcribe", str(toy.model), "a.wav", "missing.wav", "more/b.wav"]) == 1
    said = capsys.readouterr()
    assert said.out == "a.wav: ab cab\nmore/b.wav: c\n"
    assert "asr-topdown transcribe: error: missing.wav: no such file\n" in said.err
    assert "1 of 3 files failed" in said.err


def test_another_rate_and_stereo_are_said_once(toy, sounds, capsys):
    for name in ("x", "y"):
        sound, _ = soundfile.read(toy.write(sounds / "high.wav", "ab c", rate=2 * RATE))
        soundfile.write(f"{name}.wav", [[s, s] for s in sound], 2 * RATE)
    assert main(["transcribe", str(toy.model), "x.wav", "y.wav"]) == 0
    said = capsys.readouterr()
    assert said.out == "x.wav: ab c\ny.wav: ab c\n"
    assert said.err.count("resampled to the model's 8000 Hz") == 1
    assert said.err.count("2 channels, mixed into one") == 1
    assert main(["transcribe", str(toy.model), "x.wav", "--channel", "1"]) == 0
    said = capsys.readouterr()
    assert "mixed" not in said.err
    assert said.out == "x.wav: ab c\n"


def test_processes_decide_no_bit_of_what_is_found(toy, sounds, capsys, monkeypatch):
    """Groups of at most two files, one missing; what all processes would log is logged once."""
    for number in range(6):
        toy.write(sounds / f"{number}.wav", "ab c b"[: number + 1], rate=2 * RATE)
    files = [*(f"{number}.wav" for number in range(6)), "missing.wav", "a.wav", "more"]
    monkeypatch.setattr(side_by_side, "GROUP_FILES", 2)
    found = []
    for nj in ("1", "2"):
        command = ["transcribe", str(toy.model), *files, "--nj", nj, "--format", "json", "--beam", "4"]
        assert main(command) == 1
        said = capsys.readouterr()
        assert said.err.count("missing.wav: no such file") == 1
        assert said.err.count("resampled to the model's 8000 Hz") == 1
        assert "1 of 10 files failed" in said.err
        found.append(said.out)
    assert found[0] == found[1]
    assert [json.loads(line)["file"] for line in found[0].splitlines()][5:7] == ["5.wav", "a.wav"]


def test_files_are_grouped_by_size(sounds, monkeypatch):
    monkeypatch.setattr(side_by_side, "GROUP_BYTES", 100)
    for name, size in zip("stuvw", (60, 30, 20, 300, 1), strict=True):
        (sounds / name).write_bytes(bytes(size))
    assert side_by_side.groups([*"stuv", "missing", "w"]) == [["s", "t"], ["u"], ["v"], ["missing", "w"]]
    assert side_by_side.groups([]) == []


def test_a_file_that_a_process_dies_of_costs_itself_alone(toy, sounds, monkeypatch):
    class Pool:
        def __init__(self, workers):
            self.closed = False

        def submit(self, job):
            future = Future()
            if "b.wav" in str(job.work):
                future.set_exception(JobError(job.name, "its process was killed", lost=True))
            else:
                future.set_result(job.work())
            return future

        def close(self):
            self.closed = True

    monkeypatch.setattr(side_by_side, "LocalPool", Pool)
    monkeypatch.setattr(side_by_side, "GROUP_FILES", 2)
    settings = {"device": "cpu", "beam": None, "nbest": None, "channel": None, "longest": 30.0}
    request = side_by_side.Request(toy.model, settings)
    names = ["a.wav", "more/b.wav", "more/deep/c.wav"]
    first, second, third = side_by_side.transcripts(request, names, 2)
    assert (first.text, third.text) == ("ab cab", "ba a")
    assert second == Failure("more/b.wav", "more/b.wav: its process was killed")


def test_json_and_n_best(toy, sounds, capsys):
    command = ["transcribe", str(toy.model), "a.wav", "more/b.wav", "--format", "json", "--nbest", "3"]
    assert main(command) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["file"], first["text"], second["text"]) == ("a.wav", "ab cab", "c")
    assert [word["text"] for word in first["segments"][0]["words"]] == ["ab", "cab"]
    assert len(first["segments"][0]["hypotheses"]) == 3


def test_files_for_each_sound(toy, sounds, capsys, leave_half):
    leave_half(sounds / "out" / "a.txt")
    for kind, suffix in (("text", "txt"), ("ctm", "ctm"), ("srt", "srt"), ("json", "json")):
        assert main(["transcribe", str(toy.model), ".", "--format", kind, "--out", "out"]) == 0
        assert sorted(path.name for path in (sounds / "out").glob(f"*.{suffix}")) == [
            f"{name}.{suffix}" for name in "abc"
        ]
    assert capsys.readouterr().out == ""
    assert not list((sounds / "out").glob(".*"))
    lines = (sounds / "out" / "a.ctm").read_text().splitlines()
    assert [line.split()[:2] + line.split()[4:5] for line in lines] == [["a", "1", "ab"], ["a", "1", "cab"]]
    assert float(lines[1].split()[2]) == pytest.approx(3 * EACH, abs=0.1)
    assert re.fullmatch(
        r"1\n00:00:00,\d{3} --> 00:00:00,\d{3}\nab cab\n\n", (sounds / "out" / "a.srt").read_text()
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["a.wav", "more", "--format", "srt"], "--format srt: subtitles of 3 files need --out DIR"),
        (["a.wav", "--beam", "0"], "--beam 0: must be at least 1"),
        (["a.wav", "--longest", "0.1"], "--longest 0.1: must be a number of seconds, at least 1"),
        (["a.wav", "--longest", "inf"], "--longest inf: must be a number of seconds, at least 1"),
        (["a.wav", "--precision", "int4"], "--precision 'int4': must be one of float32, bfloat16, int8"),
        (["a.wav", "--channel", "-1"], "--channel -1: channels are counted from 0"),
        (["no*.wav"], "no*.wav: matches no file"),
    ],
)
def test_wrong_options(toy, sounds, capsys, options, problem):
    assert main(["transcribe", str(toy.model), *options]) == 1
    assert f"asr-topdown transcribe: error: {problem}\n" in capsys.readouterr().err


def read_ctm(path):
    return [line.split() for line in path.read_text().splitlines()]


def test_a_transcript_next_to_its_sound_is_not_overwritten(toy, sounds, capsys):
    (sounds / "more" / "b.txt").write_text("what was said\n")
    command = ["transcribe", str(toy.model), "more", "--out"]
    assert main([*command, "more"]) == 1
    assert "error: more/b.txt: there already next to its sound" in capsys.readouterr().err
    assert (sounds / "more" / "b.txt").read_text() == "what was said\n"
    assert main([*command, "more", "--format", "srt"]) == 0
    assert main([*command, "out"]) == main([*command, "out"]) == 0
    assert (sounds / "out" / "b.txt").read_text() == "more/b.wav: c\n"


def test_align_finds_each_word_where_it_was_put(toy, tmp_path, capsys):
    """The words of a data directory, where they are known to be: each letter is a tenth of a second."""
    dev = toy.root / "data" / "dev"
    assert main(["align", str(dev), "--model", str(toy.model), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/dev: 12 of 12 utterances\n"
    texts = datadir.read_table(dev / "text")
    lines = read_ctm(tmp_path / "dev" / "ctm")
    assert [word for *_, word, _ in lines] == [word for text in texts.values() for word in text.split()]
    wanted = [
        (len(" ".join(text.split()[:number])) + (number > 0), len(word))
        for text in texts.values()
        for number, word in enumerate(text.split())
    ]
    for (_, channel, start, duration, _, confidence), (letters, length) in zip(lines, wanted, strict=True):
        assert channel == "1"
        assert letters * EACH - 0.04 <= float(start)
        assert float(start) + float(duration) <= (letters + length) * EACH + 0.04
        assert 0.3 < float(confidence) <= 1.0
    scores = datadir.read_table(tmp_path / "dev" / "scores")
    assert scores.keys() == texts.keys()
    assert all(-1.0 < float(score) <= 0.0 for score in scores.values())
    grids = sorted((tmp_path / "dev" / "textgrid").iterdir())
    assert [grid.stem for grid in grids] == list(texts)
    text = grids[0].read_text()
    assert 'name = "toy - words"' in text
    assert 'name = "toy - units"' in text


def test_align_computes_on_one_thread(toy, tmp_path, monkeypatch):
    """As decoding does: several wait for each other beside other work."""
    used = []
    of_sound = forced.of_sound
    monkeypatch.setattr(
        forced, "of_sound", lambda *given: used.append(torch.get_num_threads()) or of_sound(*given)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        dev = toy.root / "data" / "dev"
        assert main(["align", str(dev), "--model", str(toy.model), "--out", str(tmp_path)]) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == 12 * [1]


def test_what_is_left_of_recordings_that_are_gone_is_said(toy, tmp_path, capsys, leave_half):
    """It may have been corrected by hand, and stays; not what a killed process was writing."""
    dev = toy.root / "data" / "dev"
    old = tmp_path / "dev" / "textgrid" / "gone.1.TextGrid"
    old.parent.mkdir(parents=True)
    old.write_text("by hand")
    for name in ("ctm", "textgrid/gone.2.TextGrid"):
        leave_half(tmp_path / "dev" / name)
    assert main(["align", str(dev), "--model", str(toy.model), "--out", str(tmp_path)]) == 0
    assert old.read_text() == "by hand"
    said = f"{old.parent}: left there, and not of recordings aligned now: gone.1\n"
    assert capsys.readouterr().err.endswith(said)
    assert not list((tmp_path / "dev").rglob(".*"))


def test_a_full_disk_leaves_the_times_that_were_there(toy, tmp_path, capsys, monkeypatch):
    """New times of the words were left beside the old ones of the units."""
    dev = toy.root / "data" / "dev"
    grids = tmp_path / "dev" / "textgrid"
    grids.mkdir(parents=True)
    old = {grids / f"{name}.TextGrid": "by hand" for name in datadir.read(dev).utt2spk}
    old |= {tmp_path / "dev" / name: "old" for name in ("ctm", "scores")}
    for path, content in old.items():
        path.write_text(content)
    fsync, left = os.fsync, len(old) - 1

    def full(handle):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(["align", str(dev), "--model", str(toy.model), "--out", str(tmp_path)]) == 1
    problem = f"cannot write {tmp_path / 'dev' / 'ctm'}: No space left on device"
    assert f"asr-topdown align: error: {problem}" in capsys.readouterr().err
    assert {path: path.read_text() for path in (tmp_path / "dev").rglob("*") if path.is_file()} == old


def test_alignments_of_two_directories_of_one_name_are_refused(toy, tmp_path, capsys):
    dev = toy.root / "data" / "dev"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dev").symlink_to(dev)
    command = ["align", str(dev), str(tmp_path / "other" / "dev"), "--model", str(toy.model)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 1
    assert f"{dev} and {tmp_path}/other/dev: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_align_in_the_time_of_a_recording(toy, tmp_path):
    """Two segments of one side of a call, and a speed: times are those of the file."""
    sound, _ = soundfile.read(toy.write(tmp_path / "w.wav", "ab c"))
    silence = [0.0] * RATE
    both = [*silence, *sound, *silence, *sound]
    soundfile.write(tmp_path / "call.wav", [[0.0, s] for s in both], RATE)
    folder = tmp_path / "call"
    folder.mkdir()
    length = len(sound) / RATE
    for name, content in {
        "wav.scp": f"call-B {tmp_path}/call.wav\n",
        "reco2file_and_channel": "call-B call B\n",
        "segments": f"s-1 call-B 1.0 {1 + length}\ns-2 call-B {2 + length} {2 + 2 * length}\n",
        "text": "s-1 ab c\ns-2 ab c\n",
        "utt2spk": "s-1 s\ns-2 s\n",
        "spk2utt": "s s-1 s-2\n",
    }.items():
        (folder / name).write_text(content)
    assert main(["align", str(folder), "--model", str(toy.model), "--out", str(tmp_path)]) == 0
    lines = read_ctm(tmp_path / "call" / "ctm")
    words = ("ab", "c", "ab", "c")
    assert [(line[0], line[1], line[4]) for line in lines] == [("call", "B", word) for word in words]
    starts = [float(line[2]) for line in lines]
    assert starts == pytest.approx([1.0, 1.3, 2 + length, 2 + length + 0.3], abs=0.08)


def write_data(folder, sound, **tables):
    """A data directory of one utterance, "ab c", which is the whole of a recording."""
    folder.mkdir()
    known = {"wav.scp": f"s-1 {sound}", "text": "s-1 ab c", "utt2spk": "s-1 s", "spk2utt": "s s-1"}
    for name, line in (known | tables).items():
        (folder / name).write_text(f"{line}\n")
    return folder


@pytest.mark.parametrize("place", ["{}/elsewhere", "../../elsewhere"])
def test_what_a_recording_is_called_does_not_lead_out_of_the_folder(toy, tmp_path, capsys, place):
    """The TextGrid was written beside the sound, whose path was the recording's id."""
    recording = place.format(tmp_path)
    sound = toy.write(tmp_path / "w.wav", "ab c")
    folder = write_data(
        tmp_path / "data", sound, **{"wav.scp": f"{recording} {sound}", "segments": f"s-1 {recording} 0 -1"}
    )
    out = tmp_path / "out"
    assert main(["align", str(folder), "--model", str(toy.model), "--out", str(out)]) == 0
    assert not list(tmp_path.glob("elsewhere*")) + list(out.glob("elsewhere*"))
    (grid,) = (out / "data" / "textgrid").iterdir()
    assert grid.name == recording.replace("/", "%2F") + ".TextGrid"
    assert "left there" not in capsys.readouterr().err


def test_align_in_the_time_of_a_recording_that_is_played_faster(toy, tmp_path):
    """Times are of the recording at its own speed."""
    sound, _ = soundfile.read(toy.write(tmp_path / "w.wav", "ab c"), dtype="float32")
    soundfile.write(tmp_path / "slow.wav", audio.change_speed(sound, RATE, 0.8), RATE)
    folder = write_data(tmp_path / "slow", tmp_path / "slow.wav", utt2speed="s-1 1.25")
    assert main(["align", str(folder), "--model", str(toy.model), "--out", str(tmp_path)]) == 0
    starts = [float(line[2]) for line in read_ctm(tmp_path / "slow" / "ctm")]
    assert starts == pytest.approx([0.0, 0.3 * 1.25], abs=0.08)
    grid = (tmp_path / "slow" / "textgrid" / "s-1.TextGrid").read_text()
    assert f"xmax = {len(sound) / RATE * 1.25:g}\n" in grid


def test_align_hears_what_a_data_directorys_rate_leaves_of_the_sound(toy, tmp_path):
    """With half the network's rate, all above a quarter of it is gone, as in training."""
    sound, _ = soundfile.read(toy.write(tmp_path / "w.wav", "ab c"), dtype="float32")
    narrow = audio.resample(audio.resample(sound, RATE, RATE // 2), RATE // 2, RATE)
    soundfile.write(tmp_path / "narrow.wav", narrow, RATE, subtype="FLOAT")
    whole = write_data(tmp_path / "whole", tmp_path / "w.wav")
    half = write_data(tmp_path / "half", tmp_path / "w.wav", sample_rate=RATE // 2)
    same = write_data(tmp_path / "same", tmp_path / "narrow.wav")
    sets = [str(folder) for folder in (whole, half, same)]
    assert main(["align", *sets, "--model", str(toy.model), "--out", str(tmp_path)]) == 0
    full, cut, expected = (
        float(datadir.read_table(folder / "scores")["s-1"]) for folder in (whole, half, same)
    )
    assert cut == pytest.approx(expected, abs=2e-4)
    assert full > cut + 0.1


def test_what_cannot_be_aligned_costs_a_line_and_the_exit_code(toy, tmp_path, capsys):
    folder = tmp_path / "data"
    toy.write(tmp_path / "a.wav", "a")
    (tmp_path / "t.tsv").write_text(f"file\ttext\na.wav\t{'abc ' * 20}\n")
    toy.write(tmp_path / "b.wav", "ab")
    with (tmp_path / "t.tsv").open("a") as table:
        table.write("b.wav\tab\n")
    assert main(["prepare", "table", "--source", str(tmp_path / "t.tsv"), "--out", str(folder)]) == 0
    capsys.readouterr()
    assert main(["align", str(folder), "--model", str(toy.model), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert re.search(r"error: a: cannot be aligned: \d+ frames are too few for 79 labels", said.err)
    assert "1 of 2 utterances" in said.out
    assert [line[4] for line in read_ctm(tmp_path / "out" / "data" / "ctm")] == ["ab"]
