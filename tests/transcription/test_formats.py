"""The formats of transcripts."""

import json

import pytest

from asr_topdown.transcription.formats import as_json, ctm, srt, text
from asr_topdown.transcription.transcript import Hypothesis, Segment, Transcript, Word

WORDS = (Word("hello", 0.1, 0.52345, 0.9), Word("there", 0.6, 1.0, 0.5))
FIRST = Segment(0.0, 2.0, WORDS, (Hypothesis("hello there", -1.5), Hypothesis("hello tear", -2.0)))
UNTIMED = Segment(2.0, 3.0, None, (Hypothesis("good bye", -1.0),))
SILENT = Segment(3.0, 3.5, (), (Hypothesis("", -0.5),))
TRANSCRIPT = Transcript("calls/a b.wav", 3.5, (FIRST, UNTIMED, SILENT))


def test_text_is_the_path_and_the_words():
    assert TRANSCRIPT.text == "hello there good bye"
    assert text(TRANSCRIPT, "a b") == "calls/a b.wav: hello there good bye\n"


def test_json_is_one_line_with_all_times():
    line = as_json(TRANSCRIPT, "a b")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "file": "calls/a b.wav",
        "text": "hello there good bye",
        "seconds": 3.5,
        "segments": [
            {
                "start": 0.0,
                "end": 2.0,
                "text": "hello there",
                "words": [
                    {"text": "hello", "start": 0.1, "end": 0.523, "confidence": 0.9},
                    {"text": "there", "start": 0.6, "end": 1.0, "confidence": 0.5},
                ],
                "hypotheses": [
                    {"text": "hello there", "score": -1.5},
                    {"text": "hello tear", "score": -2.0},
                ],
            },
            {
                "start": 2.0,
                "end": 3.0,
                "text": "good bye",
                "words": None,
                "hypotheses": [{"text": "good bye", "score": -1.0}],
            },
            {"start": 3.0, "end": 3.5, "text": "", "words": [], "hypotheses": [{"text": "", "score": -0.5}]},
        ],
    }


def test_json_has_no_infinity():
    """A search that must give as many labels as frames may find none that CTC allows."""
    lost = Transcript("a.wav", 1.0, (Segment(0.0, 1.0, (), (Hypothesis("", float("-inf")),)),))
    found = json.loads(as_json(lost, "a"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["segments"][0]["hypotheses"] == [{"text": "", "score": None}]


def test_ctm_where_words_without_times_share_their_segment():
    assert ctm(TRANSCRIPT, "a b").splitlines() == [
        "a_b 1 0.10 0.42 hello 0.900",
        "a_b 1 0.60 0.40 there 0.500",
        "a_b 1 2.00 0.50 good 0.000",
        "a_b 1 2.50 0.50 bye 0.000",
    ]


def test_srt_has_an_entry_per_segment():
    assert srt(TRANSCRIPT, "a") == (
        "1\n00:00:00,100 --> 00:00:01,000\nhello there\n\n2\n00:00:02,000 --> 00:00:03,000\ngood bye\n\n"
    )


def test_subtitles_are_short_and_have_two_lines():
    words = tuple(Word("abcdefgh", 0.5 * i, 0.5 * i + 0.4, 1.0) for i in range(7300, 7340))
    whole = Transcript("a", 4000.0, (Segment(0.0, 4000.0, words, (Hypothesis("", 0.0),)),))
    cues = [cue.split("\n") for cue in srt(whole, "a").strip().split("\n\n")]
    assert cues[0][1].startswith("01:00:50,000 --> 01:00:5")
    assert sum(len(" ".join(cue[2:]).split()) for cue in cues) == 40
    for number, cue in enumerate(cues, 1):
        assert cue[0] == str(number)
        assert len(cue) in (3, 4)
        assert all(len(line) <= 42 for line in cue[2:])
        hours, minutes, seconds = zip(
            *(time.replace(",", ".").split(":") for time in cue[1].split(" --> ")), strict=True
        )
        start, end = (
            3600 * int(h) + 60 * int(m) + float(s) for h, m, s in zip(hours, minutes, seconds, strict=True)
        )
        assert end - start <= 6.0 + 1e-6


@pytest.mark.parametrize("write", [ctm, srt])
def test_nothing_said_is_nothing_written(write):
    assert write(Transcript("a", 1.0, (SILENT,)), "a") == ""
