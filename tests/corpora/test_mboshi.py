"""`prepare mboshi`: division, transcripts and errors; the real corpus if available."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.corpora import mboshi

SENTENCES = 40


@pytest.fixture
def corpus(tmp_path: Path, write_tones) -> Path:
    """A small copy: every sentence twice, one transcript in decomposed form, one wrong header."""
    root = tmp_path / "clone" / "full_corpus_newsplit"
    for part, count in (("train", 2 * SENTENCES), ("dev", 4)):
        for number in range(count):
            speaker = mboshi.SPEAKERS[number % 3]
            name = f"{speaker}_2015-09-08-11-18-39_samsung-SM-T530_mdw_elicit_Dico18_{part}{number}"
            text = f"ókó{number // 2} wó adí" if part == "train" else f"pórá{number} yá"
            write_tones(root / part / f"{name}.wav", "ab", rate=16000)
            (root / part / f"{name}.mb.cleaned").write_text(text, encoding="utf-8")
    first = min((root / "train").glob("*.mb.cleaned"))
    decomposed = unicodedata.normalize("NFD", first.read_text(encoding="utf-8"))
    first.write_text(f" {decomposed}  \n", encoding="utf-8")
    wav = first.with_name(first.name.replace(".mb.cleaned", ".wav"))
    wav.write_bytes(wav.read_bytes()[:-1000])
    return root


def test_no_sentence_is_in_two_sets(corpus, tmp_path, capsys):
    train, dev, test = mboshi.prepare(tmp_path / "data", mboshi=corpus.parent, partial=True)
    assert len(train.text) + len(dev.text) == 2 * SENTENCES
    assert not set(train.text.values()) & set(dev.text.values())
    assert sorted(test.text.values()) == sorted(f"pórá{number} yá" for number in range(4))
    assert set(train.utt2spk.values()) == set(mboshi.SPEAKERS)
    for part in (train, dev, test):
        datadir.validate(part.path)
        assert all(unicodedata.is_normalized("NFC", text) for text in part.text.values())
        assert all(" ".join(text.split()) == text for text in part.text.values())
    assert set(Counter(train.text.values()).values()) == {2}  # both takes of a sentence are together
    shown = capsys.readouterr().out
    assert shown.startswith("warning: 1 recordings differ from their headers, such as ")
    assert "train0.wav: " in shown


def test_a_copy_that_differs_is_refused(corpus, tmp_path, capsys):
    command = ["prepare", "mboshi", "--mboshi", str(corpus), "--out", str(tmp_path / "data")]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{corpus / 'train'}: must have 4616 transcripts, got 80 (see --partial)")
    assert not (tmp_path / "data").exists()
    assert main([*command, "--partial"]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_text(" "), "the transcript is empty"),
        (lambda path: path.write_bytes(b"w\xf3"), "not UTF-8 (unexpected end of data at byte 1)"),
        (
            lambda path: path.rename(path.with_name("anna_1.mb.cleaned")),
            "must be one of abiayi, kouarata, martial, got 'anna'",
        ),
        (
            lambda path: path.with_name(path.name.replace(".mb.cleaned", ".wav")).unlink(),
            "no sound next to it",
        ),
    ],
)
def test_a_file_that_is_wrong_is_named(change, message, corpus, tmp_path):
    path = sorted((corpus / "train").glob("*.mb.cleaned"))[7]
    change(path)
    with pytest.raises(ValueError, match=r"\.mb\.cleaned: ") as caught:
        mboshi.prepare(tmp_path / "data", mboshi=corpus, partial=True)
    assert message in str(caught.value)


def test_a_folder_without_the_corpus_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no full_corpus_newsplit with train and dev in it"):
        mboshi.prepare(tmp_path / "data", mboshi=tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        mboshi.prepare(tmp_path / "data", mboshi=tmp_path / "nowhere")


@pytest.fixture(scope="session")
def real() -> Path:
    folder = os.environ.get("ASR_TOPDOWN_MBOSHI")
    if not folder:
        pytest.skip("set ASR_TOPDOWN_MBOSHI to a folder with the Mboshi corpus")
    return Path(folder)


def test_the_real_corpus(real, tmp_path):
    """Sizes: Godard et al. 2018, and the corpus's own division."""
    parts = mboshi.prepare(tmp_path, mboshi=real)
    summaries = [datadir.summarise(part.path) for part in parts]
    assert [s.utterances for s in summaries] == [4156, 460, 514]
    assert sum(s.seconds for s in summaries[:2]) / 3600 == pytest.approx(4.02, abs=0.01)
    assert summaries[2].seconds / 3600 == pytest.approx(0.44, abs=0.01)
    spoken = [Counter(part.utt2spk.values()) for part in parts]
    assert spoken[0] + spoken[1] == {"abiayi": 3330, "kouarata": 1108, "martial": 178}
    assert spoken[2] == {"abiayi": 351, "kouarata": 126, "martial": 37}
    letters = {letter for part in parts[:2] for text in part.text.values() for letter in text}
    assert len(letters) == 32
    sentences = [set(part.text.values()) for part in parts]
    assert not sentences[0] & sentences[1]
    assert not (sentences[0] | sentences[1]) & sentences[2]
