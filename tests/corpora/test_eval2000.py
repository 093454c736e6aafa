"""eval2000 and RT-03: segments, repairs, plain transcripts, and the files for scoring."""

import shutil

import pytest

from asr_topdown import datadir
from asr_topdown.corpora import calls, eval2000, hub5, rt03
from asr_topdown.corpora.fake import swbd as fake
from asr_topdown.score import ctm, nist, stm
from asr_topdown.score import hub5 as scoring


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("discs"), calls=1, engine="tones", seconds_each=0.02)


@pytest.fixture
def folders(discs):
    return [discs.eval2000_speech, discs.eval2000_transcripts]


def test_ids_are_cut_off():
    segment = stm.Segment("sw_4390", "A", "sw_4390_A", 0.29, 2.02, "", "YES")
    assert hub5.name_of(segment) == "sw_4390-A_000028-000202"


def test_segments_are_padded_by_a_tenth_of_a_second_or_half_the_gap():
    """The examples in Kaldi's extend_segments.pl."""
    given = {"a1": ("A", 0.0, 1.0), "a2": ("A", 3.0, 4.0), "b1": ("B", 0.0, 1.0), "b2": ("B", 2.0, 3.0)}
    assert calls.padded(given, 1.0) == {
        "a1": ("A", 0.0, 2.0),
        "a2": ("A", 2.0, 5.0),
        "b1": ("B", 0.0, 1.5),
        "b2": ("B", 1.5, 4.0),
    }
    overlapping = {"a1": ("A", 0.0, 2.0), "a2": ("A", 1.0, 3.0)}
    assert calls.padded(overlapping, 1.0) == {"a1": ("A", 0.0, 2.0), "a2": ("A", 1.0, 4.0)}
    unordered = {"a1": ("A", 0.0, 2.0), "a2": ("A", 5.0, 6.0), "a3": ("A", 3.0, 4.0)}
    assert calls.padded(unordered, 1.0) == {
        "a1": ("A", 0.0, 2.5),
        "a2": ("A", 4.5, 7.0),
        "a3": ("A", 2.5, 4.5),
    }
    assert calls.padded({"a": ("A", 0.29, 2.02)}, 0.1) == {"a": ("A", 0.19, 2.12)}


def test_an_utterance_that_stands_twice_is_named(tmp_path):
    one = stm.Segment("sw_4390", "A", "sw_4390_A", 0.29, 2.02, "", "YES")
    with pytest.raises(ValueError, match=r"a\.stm: sw_4390-A_000028-000202 occurs twice"):
        hub5.transcripts([one, one._replace(text="NO")], tmp_path / "a.stm")


def test_known_faults_of_the_stm_are_repaired():
    assert hub5.repaired("f A s 1 2 ((%UH) <B_ASIDE> HI <E_ASIDE>") == "f A s 1 2 (%UH)  HI "


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("HE IS A POLICE OFFICER", "he is a police officer"),
        ("A (%UH) B (%UM) C <X> D (SO-) E", "a b c d so- e"),  # ESPnet: a e
        ("{ IT IS / IT'S } BAD", "it is bad"),
        ("(%HESITATION)", "hesitation"),
        ("(%UH) (%UM)", "uh um"),
        ("{ A / @ } B", "a b"),
        ("{ A / { B / C } } D {{ E F/G }H/I}", "a d e f h"),
        ("X{A B/C}D", "x a b d"),
        ("<B>", ""),
    ],
)
def test_plain_transcripts(text, plain):
    assert hub5.clean(text) == plain


@pytest.fixture
def prepared(folders, tmp_path):
    (part,) = eval2000.prepare(tmp_path / "data", folders=folders)
    return part


def test_the_miniature_becomes_a_valid_set(prepared):
    datadir.validate(prepared.path)
    # Four calls of 12 turns, the last of each is not scored.
    assert len(prepared.text) == 4 * 11
    assert set(prepared.sides.values()) == {
        datadir.Side(call, side) for call in ("en_4156", "en_4170", "sw_4390", "sw_4484") for side in "AB"
    }
    assert {path.name for path in prepared.path.iterdir()} >= {"stm", "glm", "pem"}
    written = (prepared.path / "stm").read_text()
    assert "((" not in written
    assert "_ASIDE" not in written
    assert ';; LABEL "sw"' in written
    assert sum(not segment.scored for segment in stm.read(prepared.path / "stm")) == 4


def test_segments_are_padded_and_ids_are_not(prepared):
    name = min(prepared.text)
    side, start, end = prepared.segments[name]
    place = ctm.place(name)
    assert side == f"{place.file}-{place.channel}"
    assert start == pytest.approx(place.start / 100 - 0.1)
    assert end == pytest.approx(place.end / 100 + 0.1, abs=0.011)


def test_what_was_said_scores_perfectly(prepared, discs):
    """The spoken words, through ctm, filter and rules, give no errors, also with NIST's scorer."""
    references = stm.read(prepared.path / "stm")
    words = ctm.without_noise(ctm.from_transcripts(prepared.text))
    ours = scoring.score(references, words, scoring.GlmRules.read(prepared.path / "glm"))
    assert {name: part.total.errors for name, part in ours.parts().items()} == {
        "SWBD": 0,
        "CallHome": 0,
        "all": 0,
    }
    assert ours.total.reference > 80
    if nist.find_hubscr():
        assert nist.hubscr(references, words, prepared.path / "glm") == ours.total


def test_counts_that_differ_are_shown(folders, tmp_path, capsys):
    eval2000.prepare(tmp_path, folders=folders)
    shown = capsys.readouterr().out
    assert "warning: these counts are not those of the known copies" in shown
    assert [line.split() for line in shown.splitlines()[2:]][1] == [
        "segments,",
        "SWBD",
        "1831",
        "22",
    ]


def test_pem_and_stm_must_have_the_same_segments(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "speech")
    pem = tmp_path / "speech/english/hub5e_00.pem"
    pem.write_text(pem.read_text() + "en_4156 A unknown_speaker 90.0 91.0\n")
    with pytest.raises(ValueError, match="1 segments of the pem are not in the stm: en_4156-A_009000-009100"):
        eval2000.prepare(tmp_path / "out", folders=[tmp_path / "speech", folders[1]])
    pem.write_text("en_4156 A unknown_speaker\n")
    with pytest.raises(ValueError, match=r"hub5e_00\.pem:1: must have file, channel, speaker, start and end"):
        eval2000.prepare(tmp_path / "out", folders=[tmp_path / "speech", folders[1]])


def test_what_is_missing_is_named(folders, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no hub5e00\.english\.000405\.stm in it, at any depth"):
        eval2000.prepare(tmp_path, folders=folders[:1])


def test_rt03_is_prepared_without_padding(discs, tmp_path):
    (part,) = rt03.prepare(tmp_path / "data", rt03=discs.rt03, sample_rate=16000)
    datadir.validate(part.path)
    assert len(part.text) == 2 * 12
    written = (part.path / "stm").read_text()
    assert "inter_segment_gap" not in written
    assert {segment.channel for segment in stm.read(part.path / "stm")} == {"A", "B"}
    assert ";; a comment" in written
    assert (part.path / "sample_rate").read_text() == "16000\n"
    # Unlike eval2000's, these segments are not padded.
    name = min(part.text)
    assert part.segments[name][1] == pytest.approx(ctm.place(name).start / 100, abs=0.01)
    words = ctm.from_transcripts(part.text)
    ours = scoring.score(stm.read(part.path / "stm"), words, scoring.GlmRules.read(part.path / "glm"))
    assert set(ours.parts()) == {"SWBD", "Fisher", "all"}


def test_rt03_in_upper_case(discs, tmp_path):
    for path in discs.rt03.rglob("*"):
        if path.is_file():
            copy = tmp_path / "rt03" / str(path.relative_to(discs.rt03)).upper()
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
            copy.with_name(f"._{copy.name}").write_bytes(b"\x00\x05\x16\x07")
    (whole,), (upper,) = (
        rt03.prepare(tmp_path / out, rt03=folder)
        for out, folder in (("a", discs.rt03), ("b", tmp_path / "rt03"))
    )
    assert upper.text == whole.text
    (tmp_path / "rt03" / "DATA" / "REFERENCES" / "EVAL03").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="REFERENCES/eval03: no such folder"):
        rt03.prepare(tmp_path / "c", rt03=tmp_path / "rt03")


def test_rt03_channels_are_1_or_2(discs, tmp_path):
    shutil.copytree(discs.rt03, tmp_path / "rt03")
    stm_file = tmp_path / "rt03" / rt03.REFERENCES / "sw_30262.stm"
    stm_file.write_text(";;\nsw_30262 3 s 0.0 1.0 YES\n")
    with pytest.raises(ValueError, match=r"sw_30262\.stm:2: the channel must be 1 or 2"):
        rt03.prepare(tmp_path / "out", rt03=tmp_path / "rt03")


@pytest.mark.parametrize("stm_encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("glm_encoding", ["utf-8", "latin-1"])
def test_letters_beyond_ascii_survive_in_any_encoding(stm_encoding, glm_encoding, folders, tmp_path):
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    paths = {name: calls.find_file(copies, name) for name in (eval2000.STM, eval2000.GLM)}
    lines = paths[eval2000.STM].read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if not line.startswith(";;") and "IGNORE" not in line)
    lines[first] += " caf\u00e9"
    paths[eval2000.STM].write_bytes("\n".join([*lines, ""]).encode(stm_encoding))
    rules = paths[eval2000.GLM].read_text() + "[CAF\u00c9] => [CAFE] / [ ] __ [ ]\n"
    paths[eval2000.GLM].write_bytes(rules.encode(glm_encoding))
    (part,) = eval2000.prepare(tmp_path / "data", folders=copies)
    assert any("caf\u00e9" in text for text in datadir.read(part.path).text.values())
    for name in ("stm", "glm", "text"):
        written = (part.path / name).read_text(encoding="utf-8")
        assert "\u00e9" in written.lower()
        assert "\ufffd" not in written
    rules = scoring.GlmRules.read(part.path / "glm")
    assert scoring.normalise("a caf\u00e9", rules.hypothesis) == "A CAFE"  # behind the rules for both
