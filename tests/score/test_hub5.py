"""Our Hub-5 scoring against NIST's: `CASES` are hubscr.pl's counts; where it is installed, it is asked."""

import random
import re
import subprocess

import pytest

from asr_topdown.score import ctm, hub5, nist, stm
from asr_topdown.score.errors import ErrorCounts

GLM = """;; rules of the kinds that en20000405_hub5.glm has
* name "test.glm"
* format = 'NIST1'
* max_nrules = '2500'
* copy_no_hit = 'T'
* case_sensitive = 'F'
UH-HUH        => %BCACK / [ ] __ [ ] ;; affirmative
UH            => %HESITATION / [ ] __ [ ]
UM            => %HESITATION / [ ] __ [ ]
%UH           => %HESITATION / [ ] __ [ ]
%UM           => %HESITATION / [ ] __ [ ]
GONNA         => GOING TO
OKAY          => O. K. / [ ] __ [ ]
T.            => TEE / __ [ SHIRT]
DOWN SYNDROME => DOWN'S SYNDROME
[HE'S] => [{HE IS / HE HAS}] / [ ] __ [ ]
;; INPUT_DEPENDENT_APPLICATION = "ctm"
[IT'S] => [{IT'S / IT IS / IT HAS}] / [ ] __ [ ]
[DON'T] => [DO NOT] / [ ] __ [ ]
"""

# reference, hypothesis, (correct, substitutions, deletions, insertions) as sctk 2.4.10 counts them
CASES = [
    ("A B C", "A B C", (3, 0, 0, 0)),
    ("A B C", "A X C", (2, 1, 0, 0)),
    ("A B C", "A C", (2, 0, 1, 0)),
    ("A C", "A B C", (2, 0, 0, 1)),
    ("A B", "", (0, 0, 2, 0)),
    ("IT IS GOOD", "IT'S GOOD", (3, 0, 0, 0)),
    ("IT HAS GOOD", "IT'S GOOD", (3, 0, 0, 0)),
    ("IT'S GOOD", "IT'S GOOD", (2, 0, 0, 0)),
    ("IT WAS GOOD", "IT'S GOOD", (2, 1, 0, 0)),
    ("DO NOT GO", "DON'T GO", (3, 0, 0, 0)),
    ("UM THE", "UH THE", (2, 0, 0, 0)),
    ("UM THE", "THE", (1, 0, 1, 0)),
    ("(%HESITATION) THE", "THE", (2, 0, 0, 0)),
    ("(%HESITATION) THE", "UH THE", (2, 0, 0, 0)),
    ("(%HESITATION) THE", "A THE", (1, 1, 0, 0)),
    ("(%UH) (%UM) THE", "THE", (3, 0, 0, 0)),
    ("UH-HUH YES", "UH-HUH YES", (2, 0, 0, 0)),
    ("UH-HUH YES", "UH YES", (1, 1, 0, 0)),
    ("(SO-) THE", "THE", (2, 0, 0, 0)),
    ("(SO-) THE", "SORRY THE", (2, 0, 0, 0)),
    ("SO- THE", "SORRY THE", (2, 0, 0, 0)),
    ("SO- THE", "THE", (1, 0, 1, 0)),
    ("(-ING) THE", "GOING THE", (1, 1, 0, 0)),
    ("-ING THE", "GOING THE", (2, 0, 0, 0)),
    ("SORRY THE", "SO- THE", (2, 0, 0, 0)),
    ("{ A B / C } D", "A B D", (3, 0, 0, 0)),
    ("{ A B / C } D", "C D", (2, 0, 0, 0)),
    ("{ A B / C } D", "D", (1, 0, 1, 0)),
    ("{ A B / C } D", "X Y D", (1, 1, 0, 1)),
    ("{ A / @ } B", "B", (1, 0, 0, 0)),
    ("{ A / @ } B", "X B", (1, 0, 0, 1)),
    ("{ A / { B C / D } } E", "B C E", (3, 0, 0, 0)),
    ("{ A / (B) } C", "C", (2, 0, 0, 0)),
    ("{A B / C} D", "A B D", (3, 0, 0, 0)),
    ("{ A B/C } D", "C D", (2, 0, 0, 0)),
    ("{A B/C}D", "X D", (1, 1, 0, 0)),
    ("{A/{B C/D}} E", "B C E", (3, 0, 0, 0)),
    ("{A/(B)}{C/@} D", "D", (2, 0, 0, 0)),
    ("{A /} B", "B", (1, 0, 1, 0)),
    ("A/B {C / D} A / B", "A C A B", (3, 1, 1, 0)),  # a slash outside braces is part of a word, or a word
    ("HE'S HERE", "HE IS HERE", (3, 0, 0, 0)),
    ("HE'S HERE", "HE'S HERE", (3, 0, 0, 0)),
    ("HE'S HERE", "X HERE", (1, 1, 1, 0)),
    ("(A B) C", "C", (3, 0, 0, 0)),
    ("(A B) C", "A C", (3, 0, 0, 0)),
    ("(A B) C", "A B C", (3, 0, 0, 0)),
    ("FIFTY-TWO", "FIFTY TWO", (2, 0, 0, 0)),
    ("FIFTY TWO", "FIFTY-TWO", (2, 0, 0, 0)),
    ("GONNA GO", "GOING TO GO", (3, 0, 0, 0)),
    ("GOING TO GO", "GONNA GO", (3, 0, 0, 0)),
    ("OKAY THEN", "O. K. THEN", (3, 0, 0, 0)),
    ("T. SHIRT", "TEE SHIRT", (2, 0, 0, 0)),
    ("TEE SHIRT", "T. SHIRT", (1, 1, 0, 0)),
    ("DOWN SYNDROME", "DOWN'S SYNDROME", (2, 0, 0, 0)),
    ("A", "A {", (1, 0, 0, 1)),
    ("A", "@", (0, 1, 0, 0)),
    ("A B", "A B*", (1, 1, 0, 0)),
    ("A B", "A/B", (0, 1, 1, 0)),
    ("A", "B\\C", (0, 1, 0, 0)),
    ("A B C D E", "B C D E F", (4, 0, 1, 1)),
    ("A B A B A", "B A B", (3, 0, 2, 0)),
]

needs_hubscr = pytest.mark.skipif(
    nist.find_hubscr() is None, reason="hubscr.pl is not installed; tools/install_sctk.sh gets it"
)


@pytest.fixture(scope="module")
def glm_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("glm") / "test.glm"
    path.write_text(GLM)
    return path


@pytest.fixture(scope="module")
def rules(glm_file):
    return hub5.GlmRules.read(glm_file)


def segment(text: str, start: float = 1.0, *, file: str = "sw_1", channel: str = "A") -> stm.Segment:
    return stm.Segment(file, channel, f"{file}_{channel}", start, start + 8, "", text)


def said(text: str, start: int = 1, *, file: str = "sw_1", channel: str = "A") -> list[ctm.Word]:
    return ctm.from_transcripts({f"{file}-{channel}_{100 * start:06d}-{100 * (start + 8):06d}": text})


def counts(numbers: tuple[int, int, int, int]) -> ErrorCounts:
    return ErrorCounts(*numbers)


@pytest.mark.parametrize(("reference", "hypothesis", "expected"), CASES)
def test_counts_are_hubscrs(reference, hypothesis, expected, rules):
    assert hub5.score([segment(reference)], said(hypothesis), rules).total == counts(expected)


@needs_hubscr
def test_hubscr_says_so(glm_file):
    """Each case is a call of its own, and so has its speaker's row."""
    calls = [f"sw_{number:03d}" for number in range(len(CASES))]
    segments = [segment(case[0], file=call) for call, case in zip(calls, CASES, strict=True)]
    words = [word for call, case in zip(calls, CASES, strict=True) for word in said(case[1], file=call)]
    rows = nist.hubscr_rows(segments, words, glm_file)
    assert [rows[f"{call}_a"] for call in calls] == [counts(case[2]) for case in CASES]


WORDS = [
    *"abcd",
    "it",
    "is",
    "has",
    "it's",
    "do",
    "don't",
    "not",
    "going",
    "gonna",
    "to",
    "uh",
    "um",
    "uh-huh",
]
WORDS += ["okay", "o.", "k.", "fifty-two", "two", "t.", "shirt"]


def random_reference(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.1:
        return f"({draw.choice(['%hesitation', 'uh', 'so-', 'a', 'b c', '-ing'])})"
    if kind < 0.2:
        choices = [draw.choice(["@", *WORDS, "it is", "a b"]) for _ in range(draw.randint(2, 3))]
        return f"{{ {' / '.join(choices)} }}"
    return draw.choice(["so-", "-ing"]) if kind < 0.25 else draw.choice(WORDS)


def random_hypothesis(draw: random.Random, reference: list[str]) -> str:
    """The reference with errors, one of the alternatives chosen."""
    words: list[str] = []
    for word in reference:
        kind = draw.random()
        if kind < 0.3:
            words += draw.choices([*WORDS, "sorry", "doing"], k=draw.randint(0, 2))
        elif word.startswith("{"):
            words += [w for w in draw.choice(word[1:-1].split("/")).split() if w != "@"]
        else:
            words += word.strip("()").split()
    return " ".join(words)


@needs_hubscr
@pytest.mark.parametrize("seed", range(4))
def test_hubscr_agrees_on_calls_with_random_segments(seed, rules, glm_file):
    """Eight sides of 20 segments, some ignored; words lie in gaps and across ends too."""
    draw = random.Random(seed)
    segments, words = [], []
    for side in range(8):
        where = {"file": f"{'sw' if side < 4 else 'en'}_{side // 2}", "channel": "AB"[side % 2]}
        for number in range(20):
            reference = [random_reference(draw) for _ in range(draw.randint(1, 7))]
            text = stm.IGNORED if draw.random() < 0.1 else " ".join(reference)
            segments.append(segment(text, 10.0 * number + 1, **where))
            words += said(random_hypothesis(draw, reference), 10 * number + 1, **where)
    words = [
        word._replace(start=round(max(0, word.start + draw.choice([0, 0, 0, -1.5, 1.5])), 2))
        for word in words
    ]
    ours = hub5.score(segments, words, rules)
    assert set(ours.parts()) == {"SWBD", "CallHome", "all"}
    for name, part in ours.parts().items():
        prefix = hub5.PARTS.get(name, "")
        there = [s for s in segments if s.file.startswith(prefix)]
        heard = [w for w in words if w.file.startswith(prefix)]
        assert nist.hubscr(there, heard, glm_file) == part.total


@needs_hubscr
def test_a_silent_side_is_all_deletions_for_both(rules, glm_file):
    segments = [segment("a b"), segment("c d", channel="B")]
    ours = hub5.score(segments, said("a b"), rules).total
    assert ours == nist.hubscr(segments, said("a b"), glm_file) == ErrorCounts(correct=2, deletions=2)


CAFE_GLM = """;; rules
* name "x.glm"
* desc "x"
* format = 'NIST1'
* max_nrules = '{}'
* copy_no_hit = 'T'
* case_sensitive = 'F'
[caf\u00e9] => [cafe] / [ ] __ [ ]
[\u00fcber] => [UBER] / [ ] __ [ ]
"""


@pytest.mark.parametrize("rules_encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("reference_encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_rules_and_references_may_be_encoded_differently(rules_encoding, reference_encoding, tmp_path):
    glm_path, stm_path = tmp_path / "x.glm", tmp_path / "x.stm"
    glm_path.write_bytes(CAFE_GLM.format(9).encode(rules_encoding))
    stm_path.write_bytes("sw_1 A s 0 9 <o> a Caf\u00e9 \u00dcBER \u00e9\n".encode(reference_encoding))
    segments, words = stm.read(stm_path), said("a cafe uber \u00c9", 0)
    ours = hub5.score(segments, words, hub5.GlmRules.read(glm_path)).total
    assert ours == counts((4, 0, 0, 0))
    if nist.find_hubscr():
        assert nist.hubscr(segments, words, glm_path) == ours


@needs_hubscr
@pytest.mark.parametrize("labels", ["<o>", "<UNK>", "<o,f0,m>"])
def test_labels_are_no_words_for_both(labels, rules, glm_file, tmp_path):
    (tmp_path / "x.stm").write_text(f"sw_1 A s 1 9 {labels} a b\n")
    segments = stm.read(tmp_path / "x.stm")
    assert hub5.score(segments, said("a b"), rules).total == counts((2, 0, 0, 0))
    # What sclite makes of the line as it stands: it gives up after the counts, for want of a declaration.
    folder = tmp_path / "sclite"
    folder.mkdir()
    (folder / "h.ctm").write_text("sw_1 A 1 4 A\nsw_1 A 5 4 B\n")
    program = str(nist.find_hubscr().parent / "sclite")
    command = [program, "-r", str(tmp_path / "x.stm"), "stm", "-h", "h.ctm", "ctm", "-o", "rsum", "stdout"]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    assert re.search(r"Sum\s*\|\s*1\s+2 \|\s*2 ", shown), shown


@needs_hubscr
def test_an_error_message_of_rfilter1_is_not_scored(tmp_path):
    path = tmp_path / "few.glm"
    path.write_text(CAFE_GLM.format(1))  # more rules than it says
    with pytest.raises(OSError, match=r"hubscr\.pl failed: rfilter1 rejects the rules: '\*ERR:"):
        nist.hubscr([segment("a")], said("a"), path)


def test_hubscr_missing_or_failing_is_one_line(monkeypatch, tmp_path, glm_file):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nist, "FOLDERS", ())
    with pytest.raises(OSError, match=r"hubscr\.pl is not installed; tools/install_sctk\.sh gets it"):
        nist.hubscr([segment("a")], said("a"), glm_file)
    (tmp_path / "hubscr.pl").write_text("#!/bin/sh\necho no luck\nexit 3\n")
    (tmp_path / "hubscr.pl").chmod(0o755)
    with pytest.raises(OSError, match=r"hubscr\.pl failed \(exit status 3\): no luck"):
        nist.hubscr([segment("a")], said("a"), glm_file)


def test_words_belong_to_the_segment_that_holds_their_middle(rules):
    segments = [segment("a", 0.0), segment("b", 10.0), segment("c", 20.0)]
    words = [
        ctm.Word("sw_1", "A", 7.0, 1.9, "a"),  # middle 7.95, before the end at 8
        ctm.Word("sw_1", "A", 7.5, 1.2, "b"),  # middle 8.1: in the gap, the next segment's
        ctm.Word("sw_1", "A", 99.0, 1.0, "c"),  # after the last segment: the last one's
    ]
    scored = hub5.score(segments, words, rules)
    assert [one.hypothesis for one in scored.segments] == ["A", "B", "C"]
    assert scored.total == ErrorCounts(correct=3)


@pytest.mark.parametrize(
    ("end", "expected"),
    [(17.94, (2, 0, 0, 0)), (17.91, (1, 0, 1, 1)), (17.5, (1, 0, 1, 1))],  # rounded up, down, and not at all
)
def test_a_middle_at_an_end_falls_as_for_sclite_which_has_ends_in_single_precision(
    end, expected, rules, glm_file
):
    segments = [segment("a", end - 1)._replace(end=end), segment("b", end)._replace(end=20.0)]
    words = [ctm.Word("sw_1", "A", end, 0.0, "a"), ctm.Word("sw_1", "A", 19.0, 0.5, "b")]
    assert hub5.score(segments, words, rules).total == counts(expected)
    if nist.find_hubscr():
        assert nist.hubscr(segments, words, glm_file) == counts(expected)


def test_ignored_segments_swallow_their_words(rules):
    segments = [segment(stm.IGNORED.lower(), 0.0), segment("b", 10.0)]
    scored = hub5.score(segments, said("x y z", 0) + said("b", 10), rules)
    assert scored.total == ErrorCounts(correct=1)


def test_parts_table_and_json(rules):
    segments = [segment("a b c d"), segment("a b", file="en_1"), segment("e", 10.0, file="en_1")]
    scored = hub5.score(segments, said("a b c x") + said("a b", file="en_1"), rules)
    assert scored.table().splitlines() == [
        "           segments   words   Corr    Sub    Del    Ins    Err  S.Err",
        "SWBD              1       4   75.0   25.0    0.0    0.0   25.0  100.0",
        "CallHome          2       3   66.7    0.0   33.3    0.0   33.3   50.0",
        "all               3       7   71.4   14.3   14.3    0.0   28.6   66.7",
    ]
    assert scored.to_json()["CallHome"] == {
        "segments": 2,
        "wrong_segments": 1,
        "reference": 3,
        "correct": 2,
        "substitutions": 0,
        "deletions": 1,
        "insertions": 0,
        "errors": 1,
        "rate": 1 / 3,
    }


@pytest.mark.parametrize(
    ("reference", "hypothesis", "problem"),
    [
        ("a (b", said("a"), r"sw_1 A at 1\.0 s: parentheses do not match: 'a \(b'"),
        ("a { b / c", said("a"), r"sw_1 A at 1\.0 s: braces do not match"),
        ("a {b / c", said("a"), r"sw_1 A at 1\.0 s: braces do not match"),
        ("(a {b / c}) d", said("a"), r"sw_1 A at 1\.0 s: braces inside parentheses: '\(a {b / c}\) d'"),
        (
            "a",
            said("a", file="sw_2"),
            "the hypothesis has words in sw_2 A, the reference has no such channel",
        ),
        (stm.IGNORED, said("a"), "the reference has no segment that is scored"),
        ("a", [ctm.Word("sw_1", "A", 2.5, 0.1, "a)")], r"sw_1 A at 2\.5 s: parentheses do not match: 'a\)'"),
    ],
)
def test_what_cannot_be_scored_is_named(reference, hypothesis, problem, rules):
    with pytest.raises(ValueError, match=problem):
        hub5.score([segment(reference)], hypothesis, rules)
