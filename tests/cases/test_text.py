"""Transcripts that need joiners, or that come from Windows; the same letter written in two ways."""

from pathlib import Path

import pytest

from asr_topdown import datadir

from .conftest import Command, data_dir, sound

BOM = "\ufeff"
TEXTS = {
    "the case: a non-joiner in Persian": ("می\u200cخواهم بروم", "می\u200cخواهم بروم"),
    "a joiner in Hindi": ("क्\u200dष", "क्\u200dष"),
    "marks of direction, which nobody says": ("\u200fשלום\u200e עולם", "שלום עולם"),
    "a soft hyphen": ("Donau\u00addampf", "Donaudampf"),
    "an ideographic space": ("今日\u3000は", "今日 は"),
    "decomposed letters": ("cafe\u0301", "café"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_spelling_needs_is_kept(name: str, config: Path, tmp_path: Path, command: Command) -> None:
    written, read = TEXTS[name]
    wavs = {name: sound(tmp_path / f"{name}.wav") for name in ("a", "b")}
    folder = data_dir(tmp_path / "set", wavs, text=f"a {written}\nb {read}\n")
    tokens = tmp_path / "tokens.txt"
    assert command("tokens", "--config", config, "--train", folder, "--out", tokens).code == 0
    units = [line.rsplit(" ", 1)[0] for line in tokens.read_text(encoding="utf-8").split("\n")[3:-1]]
    assert units == sorted({"<space>" if letter == " " else letter for letter in read})
    # However it is written, it is the same transcript.
    (tmp_path / "hyp").write_text(f"a {read}\nb {written}\n", encoding="utf-8")
    said = command("score", folder, tmp_path / "hyp", "--resamples", "10")
    assert said.code == 0
    assert [line.split()[7] for line in said.out.splitlines()[2:4]] == ["0.00", "0.00"]
    other = tmp_path / "other"
    assert command("prepare", "kaldi", "--source", folder, "--out", other).code == 0
    assert set(datadir.read_table(other / "text").values()) == {read}
    assert command("validate", other).code == 0


WINDOWS = {
    "the case: a byte-order mark in text": {"text": lambda text: BOM + text},
    "in utt2spk": {"utt2spk": lambda text: BOM + text},
    "carriage returns in wav.scp": {"wav.scp": lambda text: text.replace("\n", "\r\n")},
    "both, everywhere": dict.fromkeys(
        ("text", "utt2spk", "wav.scp", "spk2utt"), lambda text: BOM + text.replace("\n", "\r\n")
    ),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_tables_from_windows(name: str, config: Path, tmp_path: Path, command: Command) -> None:
    wavs = {name: sound(tmp_path / f"{name}.wav") for name in ("a", "b")}
    folder = data_dir(tmp_path / "set", wavs, text="a one two\nb three\n", spk2utt="s a b\n")
    expected = datadir.read(folder)
    for table, changed in WINDOWS[name].items():
        content = (folder / table).read_text(encoding="utf-8")
        (folder / table).write_text(changed(content), encoding="utf-8", newline="")
    assert datadir.read(folder) == expected
    assert command("features", folder, "--config", config, "--nj", "1").code == 0
    said = command("validate", folder)
    assert said.code == 1
    for table in WINDOWS[name]:
        assert f"{folder / table}:1: " in said.out
    said = command("validate", "--fix", folder)
    assert said.code == 0
    assert f"{folder}: kept 2 utterances, dropped 0" in said.out
    assert datadir.read(folder).text == expected.text


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("bom", ["", BOM])
@pytest.mark.parametrize("empty", ["u2", "u2 ", "u2\t"])
def test_an_empty_hypothesis_is_one(end: str, bom: str, empty: str, tmp_path: Path, command: Command) -> None:
    (tmp_path / "ref").write_text("u1 good morning\nu2 hello there\n")
    hypothesis = f"{bom}u1 good morning{end}{empty}{end}"
    (tmp_path / "hyp").write_text(hypothesis, encoding="utf-8", newline="")
    said = command("score", tmp_path / "ref", tmp_path / "hyp", "--units", "word", "--resamples", "10")
    assert said.code == 0, said.err
    assert said.out.splitlines()[2].split()[:6] == ["WER", "4", "2", "0", "2", "0"]


@pytest.mark.parametrize("name", ["text", "utt2spk", "wav.scp"])
def test_a_file_that_is_not_utf8_is_named(name: str, tmp_path: Path, command: Command) -> None:
    folder = data_dir(tmp_path / "set", {"a": sound(tmp_path / "a.wav")}, text="a caf\u00e9\n")
    content = (folder / name).read_text(encoding="utf-8")
    (folder / name).write_bytes(content.encode() + b"b \xe9\n")
    said = command("validate", folder)
    assert said.code == 1
    assert f"{folder / name}:2: not UTF-8 text" in said.out
