"""WSJ from the discs: layouts, quirks, every rule of the transcripts, counts."""

import shutil

import numpy as np
import pytest

from asr_topdown import audio, datadir
from asr_topdown.corpora import wsj
from asr_topdown.corpora.fake import speech
from asr_topdown.corpora.fake import wsj as fake
from asr_topdown.corpora.wsj import preparation, sets, speakers, transcripts
from asr_topdown.corpora.wsj.sets import Entry
from asr_topdown.corpora.wsj.tree import Tree
from asr_topdown.text import Vocabulary

LAYOUTS = ("discs", "nested", "merged")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A fake WSJ in each layout."""
    folder = tmp_path_factory.mktemp("wsj")
    write = fake.write
    return {
        layout: write(folder / layout, layout=layout, engine="tones", seconds_each=0.02) for layout in LAYOUTS
    }


@pytest.fixture
def copied(made, tmp_path):
    """A copy that a test may change."""
    for corpus in ("wsj0", "wsj1"):
        shutil.copytree(getattr(made["discs"], corpus), tmp_path / corpus)
    return tmp_path


# Each rule of Kaldi's normalize_transcript.pl with its example, in its order.
RULES = {
    "the": "THE",  # 1: upper case
    "T\\.": "T.",
    "didn\\'t": "DIDN'T",
    "\\,comma": ",COMMA",
    '\\"double\\-quote': '"DOUBLE-QUOTE',
    "\\.period": ".PERIOD",
    "\\%percent": "PERCENT",  # 2
    "\\.point": "POINT",
    ".points": ".POINTS",  # exactly these
    "[<door_slam]": "",  # 3
    "[door_slam>]": "",
    "[phone_ring/]": "",
    "[/phone_ring]": "",
    "word[phone_ring/]": "",  # whatever stands before
    "~": "",
    ".": "",
    "\\~": "",
    "..": "..",
    "[loud_breath]": "<NOISE>",  # 4
    "un[noise]": "<NOISE>",
    "[tongue_click]s": "<NOISE>",
    "[tongue-click]": "[TONGUE-CLICK]",  # a name has no hyphen
    "[<door_slam]s": "[<DOOR_SLAM]S",
    "<and>": "AND",  # 5
    "<don't>": "DON'T",
    "<and>s": "<AND>S",
    "<one-two>": "<ONE-TWO>",
    "\\-\\-dash": "-DASH",  # 6
    "--dash": "-DASH",
    "--dashes": "--DASHES",
    "*bought*": "*BOUGHT*",  # kept
    "incorp(orated)-": "INCORP(ORATED)-",
    "po:licy": "PO:LICY",
    "!exclamation\\-point": "!EXCLAMATION-POINT",
}


@pytest.mark.parametrize("word", RULES)
def test_each_rule_of_the_transcripts(word):
    assert transcripts.normalise(word) == RULES[word]
    assert transcripts.normalise(f" a  {word}\tb ") == " ".join(["A", RULES[word], "B"]).replace("  ", " ")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "[loud_breath] The board didn\\'t say what T\\. V\\. ads will cost [tongue_click]",
            "<NOISE> THE BOARD DIDN'T SAY WHAT T. V. ADS WILL COST <NOISE>",
        ),
        (
            "Shares rose two \\.point five \\%percent \\,comma he said \\.period",
            "SHARES ROSE TWO POINT FIVE PERCENT ,COMMA HE SAID .PERIOD",
        ),
        (
            "We *bought* it <and> sold . it ~ [phone_ring/] then [/phone_ring] [<door_slam]",
            "WE *BOUGHT* IT AND SOLD IT THEN",
        ),
    ],
)
def test_whole_transcripts(line, text):
    assert transcripts.normalise(line) == text


def test_dot_files_are_read_verbatim_and_may_not_contradict_themselves(tmp_path):
    path = tmp_path / "4K0C0300.DOT"
    path.write_bytes(b"One (two) three (4k0c0301)\r\n\n[noise] (4K0C0302)\n")
    assert transcripts.read_dot(path) == {"4k0c0301": "One (two) three", "4k0c0302": "[noise]"}
    path.write_text("one (4k0c0301)\ntwo\n")
    with pytest.raises(ValueError, match=r"4K0C0300\.DOT:2: not `words \(utterance\)`: 'two'"):
        transcripts.read_dot(path)
    path.write_text("one (4k0c0301)\none (4K0C0301)\ntwo (4k0c0301)\n")
    with pytest.raises(ValueError, match=r"DOT:3: 4k0c0301 occurs twice, with different transcripts"):
        transcripts.read_dot(path)


def test_index_files(tmp_path):
    path = tmp_path / "a.ndx"
    path.write_bytes(
        b"; a comment\r\n;; another\n\n"
        b"11_1_1:wsj0/si_tr_s/01i/01ic0201.wv1\n"
        b"13_1_1: wsj1/si_tr_s/46c/46cc0201.wv1\r\n"
        b"13_16_1:/WSJ1/SI_DT_20/4K0/4K0C0301.WV1\n"
        b"11_14_1:wsj0/si_et_20/440/440c0401\n"
        b"11_2_1:wsj0/si_tr_s/401/401c0201.wv1\n"
        b"13-16.1:wsj1/si_dt_20/4k0/4k0c0302.wv1\n"
    )
    assert sets.read_index(path) == [
        Entry("11_1_1", "wsj0/si_tr_s/01i/01ic0201.wv1"),
        Entry("13_1_1", "wsj1/si_tr_s/46c/46cc0201.wv1"),
        Entry("13_16_1", "wsj1/si_dt_20/4k0/4k0c0301.wv1"),
        Entry("11_14_1", "wsj0/si_et_20/440/440c0401.wv1"),
        Entry("13_16_1", "wsj1/si_dt_20/4k0/4k0c0302.wv1"),
    ]
    path.write_text("; fine\nwsj0/si_tr_s/01i/01ic0201.wv1\n")
    with pytest.raises(ValueError, match=r"a\.ndx:2: not `disc:path`"):
        sets.read_index(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same(made, layout, tmp_path):
    parts = {p.path.name: p for p in wsj.prepare(tmp_path, roots=[made[layout].wsj0, made[layout].wsj1])}
    texts = made[layout].texts
    assert parts.keys() == {part.name for part in wsj.SETS}
    for name in texts.keys() - {"train_wsj1"}:
        assert parts[name].text == texts[name]
    assert parts["train_si284"].text == {**texts["train_si84"], **texts["train_wsj1"]}
    assert sorted(parts["train_si284"].text)[:60] == sorted(texts["train_si84"])  # si84 comes first in si284
    assert parts["dev_dt_20"].text == texts["test_dev93"]
    assert set(parts["train_si284"].utt2spk.values()) == {u[:3] for u in parts["train_si284"].text}
    for part in parts.values():
        datadir.validate(part.path)
        genders = datadir.read_table(part.path / "spk2gender")
        assert genders.keys() == set(part.utt2spk.values())
        assert set(genders.values()) == {"m", "f"}


def test_the_quirks_are_there(made):
    """The fake must have all of them."""
    names = [str(path) for corpus in made["discs"][:2] for path in corpus.rglob("*")]
    assert any("13_34.1" in name for name in names)
    assert any("13-16.1/WSJ1/SI_DT_20/4K0/4K0C0301.WV1" in name for name in names)
    assert not any("si_tr_s/401" in name for name in names)
    index = {p.name: p.read_bytes() for p in made["discs"].wsj0.rglob("*.ndx")}
    assert index["tr_s_wv1.ndx"].count(b"si_tr_s/401/") == 98
    assert b"wsj0/si_et_20/440/440c0401\n" in index["si_et_20.ndx"]
    raw = "".join(p.read_text() for p in made["discs"].wsj0.rglob("*.dot"))
    for token in (
        "[<door_slam]",
        "\\,comma",
        "\\.period",
        "[phone_ring/]",
        "~",
        "*faced*",
        "be:ad",
        "A\\. B\\.",
    ):
        assert f" {token} " in raw
    assert "\\,comma" not in "".join(p.read_text() for p in made["discs"].wsj1.rglob("*.dot"))


def test_the_sound_is_the_one_that_was_put_there(made, tmp_path):
    part, *_ = wsj.prepare(tmp_path, roots=made["discs"][:2], sets=["test_dev93"])
    utterance = "4k0c0306"
    assert part.text[utterance] == "CAB EACH AGE"
    sound = speech.say("cab each age", speaker="4k0", engine="tones", seconds_each=0.02)
    read, rate = audio.read(part.clips()[utterance])
    assert rate == 16000
    np.testing.assert_array_equal(read, sound.astype(np.float32) / 32768)
    content = (tmp_path / "test_dev93" / "wav.scp").read_text()
    assert "4K0C0306.WV1" in content  # no copy is made


def test_discs_one_by_one_and_folders_with_misleading_names(made, tmp_path):
    discs = [*made["discs"].wsj0.iterdir(), *made["discs"].wsj1.iterdir()]
    roots = [disc for disc in discs if disc.is_dir()]
    one = wsj.prepare(tmp_path / "a", roots=roots, sets=["train_si284"])[0]
    (tmp_path / "WSJ0" / "wsj1").mkdir(parents=True)
    for disc in roots:
        (tmp_path / "WSJ0" / "wsj1" / disc.name).symlink_to(disc)
    (tmp_path / "WSJ0" / "loop").symlink_to(tmp_path / "WSJ0")
    other = wsj.prepare(tmp_path / "b", roots=[tmp_path / "WSJ0"], sets=["train_si284"])[0]
    assert one.text == other.text
    assert len(one.text) == 120


def test_gender_needs_the_list_of_the_web_page(copied, tmp_path, capsys):
    listed = copied / "wsj0" / "wsj0-train-spkrinfo.txt"
    lines = listed.read_text().splitlines()
    assert len(lines) == 134
    listed.write_text("\n".join(lines[:-1]) + "\n")
    roots = [copied / "wsj0", copied / "wsj1"]
    wsj.prepare(tmp_path / "out", roots=roots, sets=["train_si84"])
    assert "133 lines, but LDC's wsj0-train-spkrinfo.txt has 134" in capsys.readouterr().out
    assert (tmp_path / "out/train_si84/spk2gender").read_text() == "011 m\n012 f\n013 m\n014 f\n"
    listed.unlink()
    wsj.prepare(tmp_path / "out", roots=roots, sets=["train_si84"])
    assert "spk2gender: not written, since 4 of 4 speakers are not listed" in capsys.readouterr().out
    assert not (tmp_path / "out/train_si84/spk2gender").exists()


def test_speaker_lists(tmp_path):
    path = tmp_path / "spkrinfo.txt"
    path.write_text("; id sex\n011  M  NYC\n4K0 f\n--- 012 m\n01x ?\n013 -- m\n\n0123 m\n")
    assert speakers.read_speakers(path) == {"011": "m", "4k0": "f"}


def test_the_speaker_whom_the_lists_forget(made):
    assert speakers.genders(Tree(made["discs"][:2]))["01l"] == "m"


def test_counts_of_the_distribution():
    expected = {part.name: part.utterances for part in wsj.SETS}
    assert expected["train_si84"] == (7138,)
    assert expected["train_si284"] == (37416,)
    assert expected["test_eval93_5k"] == (215, 213)
    dev, test = (next(p for p in wsj.SETS if p.name == name) for name in ("test_dev93", "test_eval92"))
    assert (dev.utterances, dev.words, dev.characters) == ((503,), 8234, 48634)
    assert (test.utterances, test.words, test.characters) == ((333,), 5643, 33341)


def test_words_and_characters_are_counted_as_espnet_does():
    # ESPnet drops the token <NOISE> and keeps the tokens <space> beside it
    assert transcripts.count(["AB C", "<NOISE> A <NOISE> B.", ""]) == (4, 4 + 6)


def test_other_counts_are_a_warning_with_a_table(made, tmp_path, capsys):
    wsj.prepare(tmp_path, roots=made["discs"][:2], sets=["test_dev93", "test_eval93_5k"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    start = lines.index(["expected", "found"])
    assert "known copies" in " ".join(lines[start - 1])
    assert lines[start + 1] == ["utterances,", "test_dev93", "503", "16"]
    assert lines[start + 2][:2] == ["words,", "test_dev93"]
    assert lines[-1] == ["utterances,", "test_eval93_5k", "215", "or", "213", "4"]


def test_right_counts_say_nothing(made, tmp_path, capsys, monkeypatch):
    text = made["discs"].texts["test_dev93"]
    words = sum(len([w for w in t.split() if w != "<NOISE>"]) for t in text.values())
    characters = transcripts.count(text.values())[1]
    small = sets.WsjSet("test_dev93", utterances=(16,), words=words, characters=characters)
    monkeypatch.setitem(preparation._BY_NAME, "test_dev93", small._replace(indices=wsj.SETS[2].indices))
    wsj.prepare(tmp_path, roots=made["discs"][:2], sets=["test_dev93"])
    assert "warning" not in capsys.readouterr().out


def test_what_is_missing_is_left_out_and_said(copied, tmp_path, capsys):
    roots = [copied / "wsj0", copied / "wsj1"]
    (copied / "wsj0/11-14.1/wsj0/si_et_20/440/440c0401.wv1").unlink()
    dot = copied / "wsj0/11-14.1/wsj0/si_et_20/440/440c0400.dot"
    dot.write_text(dot.read_text().replace("(440c0402)", "(440c04zz)").replace("440c0403)", "440c04yy)"))
    lines = dot.read_text().splitlines()
    dot.write_text("\n".join(["~ . (440c0403)", *lines]) + "\n")
    part, *_ = wsj.prepare(tmp_path / "out", roots=roots, sets=["test_eval92"])
    assert len(part.text) == 13
    shown = capsys.readouterr().out
    assert "test_eval92: left out 1, each is not on the discs (wsj0/si_et_20/440/440c0401.wv1)" in shown
    assert "left out 1, each has no transcript (440c0402)" in shown
    assert "left out 1, each has no words (440c0403)" in shown


def test_an_empty_set_is_an_error(copied, tmp_path):
    roots = [copied / "wsj0", copied / "wsj1"]
    shutil.rmtree(copied / "wsj1/13-16.1/WSJ1/SI_DT_20")
    with pytest.raises(ValueError, match="test_dev93: no utterances found"):
        wsj.prepare(tmp_path / "out", roots=roots)
    assert not (tmp_path / "out").exists()  # nothing half done
    with pytest.raises(FileNotFoundError, match="dev_dt_20: no folder wsj1/si_dt_20 with recordings"):
        wsj.prepare(tmp_path / "out", roots=roots, sets=["dev_dt_20"])


def test_a_part_of_wsj(copied, tmp_path, capsys):
    with pytest.raises(
        FileNotFoundError, match=r"train_si284: no index file .*si_tr_s\.ndx \(disc 13-34\.1 of WSJ1\)"
    ):
        wsj.prepare(tmp_path / "out", roots=[copied / "wsj0"])
    parts = wsj.prepare(tmp_path / "out", roots=[copied / "wsj0"], sets=["train_si84", "test_eval92"])
    assert [part.path.name for part in parts] == ["train_si84", "test_eval92"]
    shutil.rmtree(copied / "wsj1/13-32.1")
    capsys.readouterr()
    parts = wsj.prepare(tmp_path / "out", roots=[copied / "wsj0", copied / "wsj1"])
    assert {"train_si284", "test_dev93"} <= {part.path.name for part in parts}
    assert "no test_eval93: its index file or folder is missing" in capsys.readouterr().out


def test_wrong_folders_and_sets(tmp_path, made):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        wsj.prepare(tmp_path / "out", roots=[tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match="nothing of WSJ found"):
        wsj.prepare(tmp_path / "out", roots=[tmp_path])
    with pytest.raises(ValueError, match="--sets dev93: must be one of train_si84,"):
        wsj.prepare(tmp_path / "out", roots=made["discs"][:2], sets=["dev93"])


def test_the_vocabulary_has_noise_as_one_unit(made):
    texts = made["discs"].texts
    units = Vocabulary.build([*texts["train_si84"].values(), *texts["train_wsj1"].values()], "char").units
    assert "<NOISE>" in units
    assert not {"<", ">"} & set(units)
    assert set("!\"'()*,-.:[]") < set(units)
