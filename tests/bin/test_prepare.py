"""`asr-topdown prepare`, `validate` and `tokens` on the command line."""

import fcntl
import os

import numpy as np
import pytest
import soundfile

from asr_topdown import datadir
from asr_topdown.bin import main
from asr_topdown.corpora import licences
from asr_topdown.text import Vocabulary


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A folder `data` made from two recordings and a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sounds").mkdir()
    for name in ("one", "two"):
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", np.full(3600, 0.1), 8000)
    (tmp_path / "text").write_text("one One!\ntwo Two 2\n")
    command = "prepare table --source text --audio sounds --normalise english --out data"
    assert main.main(command.split()) == 0
    return tmp_path / "data"


def test_prepare_tells_what_it_made(prepared, capsys):
    capsys.readouterr()
    command = "prepare table --source text --audio sounds --normalise english --out data"
    assert main.main(command.split()) == 0
    assert capsys.readouterr().out.splitlines() == [
        "text: lines of a name and a text; 2 rows, sound in sounds",
        "transcripts: 5 different characters: enotw",
        "directory  utterances  speakers  hours  words  characters",
        "data                2         2  0.000      3          10",
    ]
    assert (prepared / "text").read_text() == "one one\ntwo two two\n"


@pytest.mark.parametrize(
    "command",
    ["prepare table --source text --audio sounds --out data", "data subset data --first 1 --out sub"],
)
def test_what_was_written_is_checked_while_nobody_else_can_write_it(prepared, monkeypatch, command):
    """Another command may be dividing the same corpus otherwise: this one would find a table missing."""
    checked = []

    def validate(path, **_):
        handle = os.open(path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        checked.append(path.name)

    monkeypatch.setattr(datadir, "validate", validate)
    assert main.main(command.split()) == 0
    assert checked == [command.split()[-1]]


def test_the_licence_goes_with_the_data(prepared):
    command = ["prepare", "table", "--source", "text", "--audio", "sounds", "--out", "data", "--licence"]
    assert main.main([*command, "CC BY 4.0,  ours"]) == 0
    datadir.copy_tables(prepared, prepared.parent / "copy")
    assert licences.read(prepared.parent / "copy") == "CC BY 4.0, ours"
    assert licences.read(prepared.parent) == ""


@pytest.mark.parametrize(
    "corpus",
    ["prompts", "fsdd", "an4", "mboshi", "wsj", "swbd", "eval2000", "rt03", "table", "kaldi"],
)
def test_every_corpus_has_help_with_an_example(corpus, capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["prepare", corpus, "--help"])
    assert left.value.code == 0
    assert f"example:\n  asr-topdown prepare {corpus} --" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--seed 0", "--split-by transcript"])
def test_how_to_split_is_refused_where_nothing_is_split(option, prepared, capsys):
    command = f"prepare table --audio sounds --source text --out other {option}"
    assert main.main(command.split()) == 1
    error = capsys.readouterr().err
    assert error == f"asr-topdown prepare: error: {option.split()[0]} needs --split\n"


def test_a_wrong_split_is_one_line(prepared, capsys):
    command = "prepare table --audio sounds --source text --out other --split train:0.5"
    assert main.main(command.split()) == 1
    error = capsys.readouterr().err
    assert error == "asr-topdown prepare: error: --split train:0.5: names must differ and shares sum to 1\n"


def test_kaldi_directories(prepared):
    assert main.main(["prepare", "kaldi", "--source", "data", "--out", "taken"]) == 0
    assert (prepared.parent / "taken" / "wav.scp").read_text() == (prepared / "wav.scp").read_text()


def test_validate_lists_problems_and_goes_on(prepared, capsys):
    capsys.readouterr()
    assert main.main(["validate", "data"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["data", "2", "2", "0.000", "3", "10"]
    (prepared / "text").write_text("two x\none y\n")
    assert main.main(["validate", "nowhere", "data"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "nowhere: no such data directory",
        "data/text:2: one is not sorted: it must come before two (byte order, LC_ALL=C sort)",
    ]
    assert main.main(["validate", "--fix", "data"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "data: kept 2 utterances, dropped 0"


def test_fix_says_what_it_drops(prepared, capsys):
    (prepared / "text").write_text("two x\n")
    capsys.readouterr()
    assert main.main(["validate", "--fix", "data"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "data: kept 1 utterances, dropped 1: one"


def test_features_and_text_can_be_asked_for_or_not(prepared, capsys):
    assert main.main(["validate", "--feats", "data"]) == 1
    assert "data/feats.scp: missing" in capsys.readouterr().out
    for name in ("text", "wav.scp"):
        (prepared / name).unlink()
    assert main.main(["validate", "--no-text", "--no-wav", "data"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["data", "2", "2", "?", "0", "0"]


def test_tokens(prepared, capsys):
    (prepared.parent / "c.yaml").write_text("text: {unit: char}\n")
    command = ["tokens", "--config", "c.yaml", "--train", "data", "--out", "exp/tokens.txt"]
    capsys.readouterr()
    assert main.main(command) == 0
    assert capsys.readouterr().out == "exp/tokens.txt: 8 units of kind char, <blank> and <unk> among them\n"
    vocabulary = Vocabulary.load(prepared.parent / "exp" / "tokens.txt")
    assert vocabulary.units[2:] == ("<space>", "e", "n", "o", "t", "w")
    assert main.main([*command, "--set", "text.unit=word"]) == 0
    assert Vocabulary.load(prepared.parent / "exp" / "tokens.txt").units[2:] == ("one", "two")


@pytest.mark.parametrize(
    ("text", "problem"), [("", "all transcripts are empty"), ("one <blank>\n", "a transcript holds <blank>")]
)
def test_tokens_names_the_file(prepared, capsys, text, problem):
    (prepared.parent / "c.yaml").write_text("")
    (prepared / "text").write_text(text)
    assert main.main(["tokens", "--config", "c.yaml", "--train", "data", "--out", "tokens.txt"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("asr-topdown tokens: error: data/text: ")
    assert problem in error


def test_tokens_of_pieces(prepared, capsys):
    (prepared.parent / "c.yaml").write_text("text: {unit: bpe, vocab_size: 9}\n")
    command = ["tokens", "--config", "c.yaml", "--train", "data", "--out", "exp/tokens.txt"]
    capsys.readouterr()
    assert main.main(command) == 0
    assert capsys.readouterr().out == "exp/tokens.txt: 9 units of kind bpe, <blank> and <unk> among them\n"
    vocabulary = Vocabulary.load(prepared.parent / "exp" / "tokens.txt")
    assert vocabulary.decode(vocabulary.encode("two one")) == "two one"
    assert main.main([*command, "--set", "text.vocab_size=900"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("asr-topdown tokens: error: data/text: text.vocab_size 900 is too large: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "read"),
    [
        ("tokens --config c.yaml --train data --out data/text", "data/text"),
        ("tokens --config c.yaml --train data --out c.yaml", "c.yaml"),
        ("prepare lm-text --tokens tokens.txt --train lm/train.txt --dev data --out lm", "lm/train.txt"),
        ("prepare lm-text --tokens lm/units.txt --train data --dev data --out lm", "lm/units.txt"),
    ],
)
def test_what_is_read_is_not_overwritten(prepared, capsys, command, read):
    root = prepared.parent
    (root / "lm").mkdir()
    (root / "lm" / "train.txt").write_text("one two\n")
    (root / "c.yaml").write_text("{}")
    for tokens in ("tokens.txt", "lm/units.txt"):
        Vocabulary.build(["one two"], "char").save(root / tokens)
    before = (root / read).read_text()
    assert main.main(command.split()) == 1
    assert f"error: {read}: is read by this command, which would overwrite it" in capsys.readouterr().err
    assert (root / read).read_text() == before
