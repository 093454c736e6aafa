"""Switchboard: an example of each rule, and a complete miniature of the discs."""

import shutil

import pytest

from asr_topdown import audio, datadir
from asr_topdown.corpora import calls, counts, swbd
from asr_topdown.corpora.counts import Count
from asr_topdown.corpora.fake import swbd as fake
from asr_topdown.corpora.swbd import acronyms, selection, transcripts, words


@pytest.mark.parametrize(
    ("word", "mapped"),
    [
        ("[laughter-story]", "story"),
        ("[LAUGHTER-Story]-", "Story-"),
        ("[it'n/isn't]", "it'n"),
        ("[lem[guini]-/linguini]", "lem-"),
        ("-[an]y", "-y"),
        ("[an]y", "-y"),
        ("ab[solute]-", "ab-"),
        ("yea[h]-", "yea-"),
        ("yea[h]", "yea-"),
        ("-[wh]at-", "-at-"),
        ("-[a]b[out]-", "-b-"),
        ("ex[specially]-/especially]", "ex"),
        ("{yuppiedom}", "yuppiedom"),
        ("ammu[n]it-", "ammn-t-"),
        ("them_1", "them"),
        ("them_1's", "them's"),
        ("[laughter]", "[laughter]"),
        ("[vocalized-noise]", "[vocalized-noise]"),
        ("[noise]", "[noise]"),
        ("um-hum", "um-hum"),
        ("i'd", "i'd"),
    ],
)
def test_words_are_mapped(word, mapped):
    assert words.map_word(word) == mapped


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[silence]", []),
        ("[SILENCE] hi [silence] [silence]", ["hi"]),
        ("<b_aside> hi <E_ASIDE>", ["hi"]),
        ("<b_aside> <e_aside>", []),
        ("[noise] hi [LAUGHTER] [vocalized-noise]", ["<noise>", "hi", "<LAUGHTER>", "<vocalized-noise>"]),
    ],
)
def test_silences_and_asides_go(text, left):
    assert words.map_words(text) == left


DICTIONARY = """
# a comment
IBM ay b iy eh m
TVs t iy v iy z
BBC's b iy b iy s iy z
CBS s iy b iy eh s
NAACP eh ey ey s iy p iy
us ah s
MUST m ah s t
them dh eh m
a_1 ey
BYU_1 b iy w ay y uw
[laughter-TWA's] t iy d ah b ax l y uw ey z
word
""".splitlines()


@pytest.mark.parametrize(
    ("text", "spelled", "plain"),
    [
        ("IBM", "i._b._m.", "i b m"),
        ("two TVs", "two t._v.s", "two t vs"),
        ("BBC's", "b._b._c.'s", "b b c's"),
        ("CBS", "c._b._s.", "c b s"),
        ("BYU BYU_1 BYU_2", "b._y._u. b._y._u. b._y._u.", "b y u b y u b y u"),
        ("TWA's", "t._w._a.'s", "t w a's"),  # in the dictionary only as it is laughed
        ("NAACP", "n._a._a._c._p.", "n a a c p"),  # the dictionary's mistake is corrected
        ("MUST us them Yes", "must us them yes", "must us them yes"),
        ("I think", "i think", "i think"),
        ("I B M", "i. b. m.", "i b m"),
        ("A I", "a. i.", "a i"),
        ("so I I", "so i. i.", "so i i"),
        ("i X", "i x.", "i x"),
    ],
)
def test_acronyms_are_spelled(text, spelled, plain):
    known = acronyms.acronyms(DICTIONARY)
    assert acronyms.spell(words.map_words(text), known) == spelled
    assert acronyms.without_dots(spelled) == plain


def test_ids_round_half_up_and_segments_too():
    """The example of Kaldi's script: 0.977625 to 11.561375 s."""
    name = calls.segment_id("sw02001-A", calls.half_up(0.977625), calls.half_up(11.561375))
    assert name == "sw02001-A_000098-001156"
    assert calls.half_up(0.125) == 13
    assert calls.half_up(0.1249) == 12
    assert calls.truncated(0.29) == 28


def test_of_a_frequent_transcript_about_300_copies_stay():
    """Kaldi's generator keeps those of 600 copies whose draw is below 300 / 600: 301."""
    many = {f"u{number:04d}": "uh-huh" for number in range(600)}
    rare = {f"v{number:04d}": f"yes {number}" for number in range(5)} | {
        f"w{n:03d}": "yeah" for n in range(299)
    }
    kept = selection.limit_copies(many | rare)
    state, expected = 0, []
    for utterance in sorted(many):
        state = (state + 103349) % 71147
        if state / 71147 < 0.5:
            expected.append(utterance)
    assert [utterance for utterance in kept if utterance in many] == expected
    assert expected[:3] == ["u0000", "u0002", "u0004"]
    assert abs(len(expected) - 300) < 10
    assert set(rare) <= set(kept)  # below the limit nothing goes, and nothing is drawn


def test_at_the_limit_every_copy_stays_by_a_draw_below_one():
    copies = {f"u{number:03d}": "yeah" for number in range(300)}
    assert selection.limit_copies(copies) == sorted(copies)


@pytest.mark.parametrize(
    ("text", "seconds", "kept"),
    [
        ("yes", 0.13, True),  # 11 frames
        ("yes", 0.12, False),  # 10
        ("yes", 20.00, True),  # 1998
        ("yes", 20.02, False),  # 2000
        ("x" * 399, 9.0, True),
        ("x" * 400, 9.0, False),
        ("<vocalized-noise> " * 40 + "x" * 300, 9.0, True),  # a noise is one character
    ],
)
def test_too_short_and_too_long_ones_go(text, seconds, kept):
    assert selection.fits(text, seconds) == kept


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("discs"), calls=8, engine="tones", seconds_each=0.02)


@pytest.fixture
def prepared(discs, tmp_path):
    return swbd.prepare(tmp_path / "data", swbd=discs.swbd, text=discs.transcripts, dev_utterances=10)


def test_the_miniature_becomes_two_valid_sets(prepared, discs):
    train, dev = prepared
    for part in prepared:
        datadir.validate(part.path)
    assert len(dev.text) == 10
    assert len(train.text) == 8 * 12 - 10
    assert max(dev.text) < min(train.text)
    everything = " ".join([*train.text.values(), *dev.text.values()]).split()
    assert {"really", "it'n", "-y", "ab-", "yea-", "ex", "yuppiedom", "ammn-t-", "them"} <= set(everything)
    assert "i b m" in " ".join(everything)
    assert {"<noise>", "<laughter>", "<vocalized-noise>"} <= set(everything)
    assert not {"[silence]", "<b_aside>", "IBM"} & set(everything)
    assert set(train.utt2spk.values()) <= {f"sw0{2001 + call}-{side}" for call in range(8) for side in "AB"}


def test_each_utterance_sounds_on_its_own_side(prepared):
    train = datadir.read(prepared[0].path)
    for utterance, clip in list(train.clips().items())[:20]:
        samples, rate = audio.read(clip)
        other, _ = audio.read(clip._replace(channel=1 - clip.channel))
        assert rate == 8000
        assert abs(samples).max() > 0.1 > 100 * abs(other).max(), utterance


def test_upsampling_is_a_line_in_the_directory(discs, tmp_path):
    parts = swbd.prepare(
        tmp_path, swbd=discs.swbd, text=discs.transcripts, dev_utterances=10, sample_rate=16000
    )
    assert (parts[0].path / "sample_rate").read_text() == "16000\n"
    clip = next(iter(datadir.read(parts[0].path).clips().values()))
    assert audio.info(clip)[0] == 16000


def test_pins_tell_speakers_across_calls(discs, tmp_path):
    parts = swbd.prepare(
        tmp_path, swbd=discs.swbd, text=discs.transcripts, conv_tab=discs.conv_tab, dev_utterances=10
    )
    datadir.validate(parts[0].path)
    assert parts[1].utterances()[0].startswith("sw1000-02001-A_0000")
    assert parts[1].utt2spk[parts[1].utterances()[0]] == "sw1000"


def test_a_side_has_one_pin(tmp_path):
    table = tmp_path / "conv_tab.csv"
    table.write_text("2001, x, 1000, 1001\n2001, x, 1000, 1001\n2001, x, 1000, 1002\n")
    with pytest.raises(ValueError, match=r"conv_tab\.csv:3: sw02001-B occurs twice, with different PINs"):
        swbd._read_pins(table)


def test_counts_that_differ_are_shown(prepared, capsys, discs, tmp_path):
    swbd.prepare(tmp_path, swbd=discs.swbd, text=discs.transcripts, dev_utterances=10)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("warning: these counts are not those of the known copies")
    assert shown[2].split() == ["sound", "files", "2438", "or", "2435", "8"]


def test_the_known_counts_pass_in_silence(capsys):
    counts.warn_of_others(
        [Count("sound files", (2438, 2435), 2435), Count("hours", (286,), 286.4, 0.01), Count("words", (), 5)]
    )
    assert capsys.readouterr().out == ""


def test_calls_without_sound_are_left_out_and_named(discs, tmp_path, capsys):
    shutil.copytree(discs.swbd, tmp_path / "copy")
    (tmp_path / "copy/swb1_d2/data/sw02002.sph").unlink()
    parts = swbd.prepare(tmp_path / "out", swbd=tmp_path / "copy", text=discs.transcripts, dev_utterances=10)
    assert "warning: left out 1 calls that have transcripts and no sound: sw02002" in capsys.readouterr().out
    assert not any("sw02002" in utterance for part in parts for utterance in part.text)


def test_an_empty_set_is_an_error(discs, tmp_path):
    with pytest.raises(ValueError, match=r"train: empty: of 96 utterances, the first 4000 are the dev set"):
        swbd.prepare(tmp_path, swbd=discs.swbd, text=discs.transcripts)


def test_transcripts_may_lie_beside_the_sound(discs, tmp_path):
    both = discs.swbd.parent
    assert transcripts.find_root(both) == discs.transcripts / "swb_ms98_transcriptions"
    shutil.copytree(discs.swbd, tmp_path / "all" / "sound")
    shutil.copytree(discs.transcripts, tmp_path / "all" / "transcriptions")
    assert len(swbd.prepare(tmp_path / "out", swbd=tmp_path / "all", dev_utterances=10)) == 2


def test_transcripts_are_downloaded_if_they_are_nowhere(discs, tmp_path, monkeypatch):
    asked = []

    def fetch(address, archive, checksum=""):
        asked.append(address)
        raise OSError(f"cannot download {address}")

    monkeypatch.setattr(transcripts.download, "fetch", fetch)
    with pytest.raises(OSError, match=r"cannot get the MS98 transcripts.*--transcripts DIR"):
        swbd.prepare(tmp_path / "data", swbd=discs.swbd)
    assert asked == list(transcripts.ARCHIVES)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("sw2001A 0.0 1.0 hi", "not `swNNNNA-ms98-a-NNNN start end words`: 'sw2001A 0.0 1.0 hi'"),
        ("sw2001A-ms98-a-0001 0.0 1_0.0 hi", "not `swNNNNA-ms98-a-NNNN start end words`"),
        ("sw2001A-ms98-a-0001 zero 1.0 hi", "not `swNNNNA-ms98-a-NNNN start end words`"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, problem, tmp_path):
    (tmp_path / "20").mkdir()
    (tmp_path / "sw-ms98-dict.text").write_text("")
    (tmp_path / "20" / "sw2001A-ms98-a-trans.text").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=rf"sw2001A-ms98-a-trans\.text:2: {problem}"):
        transcripts.read(tmp_path)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        calls.find_calls(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no \.sph files in it"):
        calls.find_calls(tmp_path)
    (tmp_path / "a.sph").write_text("")
    with pytest.raises(FileNotFoundError, match=r"no sw-ms98-dict\.text in it"):
        swbd.prepare(tmp_path / "out", swbd=tmp_path, text=tmp_path)


def test_two_files_of_one_call_are_an_error(tmp_path):
    for name in ("a/sw02001.sph", "b/SW02001.SPH"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="has the same name"):
        calls.find_calls(tmp_path)
