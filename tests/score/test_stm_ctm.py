"""NIST's time marks: reading and writing, and a ctm from transcripts without times."""

import pytest

from asr_topdown.score import ctm, stm
from asr_topdown.score.stm import Segment

STM = """;; CATEGORY "0" "" ""
en_4156 A en_4156_A 301.85 302.48 <O,en,F,en-F>  OH YEAH
en_4156 A en_4156_A 302.48 303.5 HE (%UH) <B_ASIDE> IS { A / B }

sw_4390 B sw_4390_B 0.29 2.02 <O,sw,M,sw-M> IGNORE_TIME_SEGMENT_IN_SCORING
en_4156 B en_4156_B 5 6
"""


def test_stm_lines(tmp_path):
    (tmp_path / "ref.stm").write_text(STM)
    segments = stm.read(tmp_path / "ref.stm")
    assert segments == [
        Segment("en_4156", "A", "en_4156_A", 301.85, 302.48, "<O,en,F,en-F>", "OH YEAH"),
        Segment("en_4156", "A", "en_4156_A", 302.48, 303.5, "", "HE (%UH) <B_ASIDE> IS { A / B }"),
        Segment("sw_4390", "B", "sw_4390_B", 0.29, 2.02, "<O,sw,M,sw-M>", stm.IGNORED),
        Segment("en_4156", "B", "en_4156_B", 5, 6, "", ""),
    ]
    assert [segment.scored for segment in segments] == [True, True, False, True]
    stm.write(tmp_path / "again.stm", segments)
    assert stm.read(tmp_path / "again.stm") == sorted(segments, key=lambda s: s[:2])


@pytest.mark.parametrize("labels", ["<o,f0,m>", "<o>", "<UNK>"])
def test_what_begins_a_text_in_angle_brackets_is_labels(labels):
    """As in sclite, which scores one word here (test_hub5)."""
    assert stm.parse(f"f A s 1 2 {labels} YES")[5:] == (labels, "YES")
    assert stm.parse(f"f\tA\ts\t1\t2\t{labels}\tYES  SIR")[5:] == (labels, "YES SIR")
    assert stm.parse(f"f A s 1 2 YES {labels}")[5:] == ("", f"YES {labels}")
    assert stm.parse(f"f A s 1 2 {labels[:-1]} YES")[5:] == ("", f"{labels[:-1]} YES")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("f A s 1.0", "must have file, channel, speaker, start and end, got 4 fields"),
        ("f A s one 2", "start 'one' and end '2' must be seconds"),
        ("f A s 0 1_0 x", "start '0' and end '1_0' must be seconds"),
        ("f A s 2 1 x", "times must be 0 <= start <= end, got 2 and 1 s"),
        ("f A s nan 1 x", "times must be 0 <= start <= end, got nan and 1 s"),
        ("f A s 1 inf x", "times must be 0 <= start <= end, got 1 and inf s"),
    ],
)
def test_stm_problems_have_their_line(line, problem, tmp_path):
    (tmp_path / "ref.stm").write_text(f";; comment\n{line}\n")
    with pytest.raises(ValueError, match=rf"ref\.stm:2: {problem}"):
        stm.read(tmp_path / "ref.stm")
    (tmp_path / "ref.stm").write_text(";;\n")
    with pytest.raises(ValueError, match=r"ref\.stm: holds no segments"):
        stm.read(tmp_path / "ref.stm")


def test_words_share_a_segment():
    """ESPnet's trn2ctm: whole centiseconds, rounded down; the last word takes the rest."""
    words = ctm.from_transcripts(
        {"sw_4390-A_000029-000202": "a b c", "en_4156-B_000100-000103": "uh huh ok so"}
    )
    assert words == [
        ctm.Word("en_4156", "B", 1.0, 0.0, "UH"),
        ctm.Word("en_4156", "B", 1.0, 0.0, "HUH"),
        ctm.Word("en_4156", "B", 1.0, 0.0, "OK"),
        ctm.Word("en_4156", "B", 1.0, 0.03, "SO"),
        ctm.Word("sw_4390", "A", 0.29, 0.57, "A"),
        ctm.Word("sw_4390", "A", 0.86, 0.57, "B"),
        ctm.Word("sw_4390", "A", 1.43, 0.59, "C"),
    ]


def test_an_id_without_times_is_an_error():
    with pytest.raises(ValueError, match="utterance ann-1: the id does not tell call, side, start and end"):
        ctm.from_transcripts({"ann-1": "a"})


def test_the_hypothesis_filter():
    hesitations = "uh UM eh mm hm ah huh ha er oof hee ach eee ew"
    noises = "[noise] [laughter] [vocalized-noise] <noise> <laughter> <vocalized-noise> <unk>"
    text = f"yes u- no {hesitations} {noises} umm -n't uh-huh"
    words = ctm.from_transcripts({"sw_1-A_000000-001000": text})
    assert [word.word for word in ctm.without_noise(words)] == ["YES", "NO", "UMM", "-N'T", "UH-HUH"]


@pytest.mark.parametrize(
    ("word", "escaped"),
    [
        ("a{b", "a<lbrace>b"),
        ("}", "<rbrace>"),
        ("@", "<at>"),
        ("and/or", "and<slash>or"),
        ("c:\\x", "c:<backslash>x"),
        ("*", "<star>"),
        (";;", "<semicolon><semicolon>"),
        ("(uh", "<lparen>uh"),
        ("<ALT_BEGIN>", "<escaped_ALT_BEGIN>"),
        ("it's", "it's"),
        ("<unk>", "<unk>"),
    ],
)
def test_what_sclite_would_take_for_a_mark_is_escaped(word, escaped):
    assert ctm.escape(word) == escaped


def test_ctm_lines(tmp_path):
    words = [ctm.Word("sw_1", "B", 0.5, 0.25, "B"), ctm.Word("sw_1", "A", 12.0, 1.0, "A")]
    ctm.write(tmp_path / "hyp.ctm", words)
    assert (tmp_path / "hyp.ctm").read_text() == "sw_1 A 12.00 1.00 A\nsw_1 B 0.50 0.25 B\n"
    assert ctm.read(tmp_path / "hyp.ctm") == words[::-1]
    (tmp_path / "hyp.ctm").write_text(";; comment\nsw_1 A 12.0 1.0 A 0.99\n\nsw_1 A * * <ALT_BEGIN>\n")
    with pytest.raises(ValueError, match=r"hyp\.ctm:4: must have file, channel, start, duration and word"):
        ctm.read(tmp_path / "hyp.ctm")
    (tmp_path / "hyp.ctm").write_text("sw_1 A 1_2.0 1.0 A\n")
    with pytest.raises(ValueError, match=r"hyp\.ctm:1: must have file, channel, start, duration and word"):
        ctm.read(tmp_path / "hyp.ctm")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_encoding_and_line_end(encoding, end, tmp_path):
    stm_lines = ["f A s 1 2 a caf\u00e9", "f A s 2 3 caf\u00e9\x85s", ""]  # \x85 ends no line
    (tmp_path / "x.stm").write_bytes(end.join(stm_lines).encode(encoding))
    assert [one.text for one in stm.read(tmp_path / "x.stm")] == ["a caf\u00e9", "caf\u00e9 s"]
    (tmp_path / "x.ctm").write_bytes(f"f A 1 2 caf\u00e9{end}".encode(encoding))
    assert ctm.read(tmp_path / "x.ctm") == [ctm.Word("f", "A", 1.0, 2.0, "caf\u00e9")]


def test_slaughter_is_left_out_as_in_kaldi_and_told():
    words = [
        ctm.Word("f", "A", 0, 1, word)
        for word in ("slaughter", "[laughter]", "Laughter", "ok", "[LAUGHTER-yes]")
    ]
    assert [word.word for word in ctm.without_noise(words)] == ["ok"]
    assert ctm.mistaken(words) == ["SLAUGHTER"]
