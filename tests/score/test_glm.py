"""NIST's mapping rules, as rfilter1 applies them (which is asked, where it is installed)."""

import random
import subprocess

import pytest

from asr_topdown.logs import warn_once
from asr_topdown.score import glm, nist
from asr_topdown.score.glm import Rule

FILE = """;; the first line says what a comment is: A => B
* name "x.glm"
* case_sensitive = 'F'
* max_nrules = '100'
UH        => %HESITATION / [ ] __ [ ] ;; hesitation token
'CAUSE    => BECAUSE
ADVISER   => ADVISOR / [ ] __  ;; not after a letter
T.        => TEE / __ [ SHIRT]
FALKNER   => FAULKNER / [WILLIAM ] __
DONUT     => DOUGHNUT
DO        => DID
MA'AM     => [MAM] / [ ] __ [ ]
"A B"     => "C "
;; INPUT_DEPENDENT_APPLICATION = "ctm"
[CAN'T] => [{CAN NOT / CANNOT}] / [ ] __ [ ]
[SHAN'T] => [{SHALL NOT / SHA'NT}]
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.glm").write_text(FILE)
    return tmp_path / "x.glm"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("UH => %HESITATION / [ ] __ [ ]", Rule("UH", "%HESITATION", " ", " ")),
        ("T. => TEE / __ [ SHIRT]", Rule("T.", "TEE", "", " SHIRT")),
        ("ADVISER => ADVISOR / [ ] __", Rule("ADVISER", "ADVISOR", " ", "")),
        ("[CAN'T] => [{CAN NOT / CANNOT}] / [ ] __ [ ]", Rule("CAN'T", "{CAN NOT / CANNOT}", " ", " ")),
        ("[SHAN'T] => [{SHALL NOT / SHA'NT}]", Rule("SHAN'T", "{SHALL NOT / SHA'NT}")),
        ("FT SE => FOOTSIE", Rule("FT SE", "FOOTSIE")),
        ("UM =>", Rule("UM", "")),
    ],
)
def test_a_line_is_parsed_as_its_rule(line, rule):
    assert glm.parse(line) == rule


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("uh huh", "%HESITATION huh"),
        ("uh uh uhuh", "%HESITATION %HESITATION uhuh"),  # a context is not used up
        ("just 'cause", "just BECAUSE"),
        ("adviser misadviser", "ADVISOR misadviser"),
        ("t. shirt t. bone", "TEE shirt t. bone"),
        ("william falkner falkner", "william FAULKNER falkner"),
        ("donut do dodo", "DOUGHNUT DID DIDDID"),  # the first rule wins; inside words too
        ("a b", "C "),
        ("can't", "can't"),
    ],
)
def test_rules_for_references_apply_to_references(before, after, path):
    assert glm.read(path, type_="stm", purpose="ref").apply(f" {before} ") == f" {after} "


def test_some_rules_are_for_hypotheses_only(path):
    assert glm.read(path, type_="ctm", purpose="hyp").apply(" can't ") == " {CAN NOT / CANNOT} "


def test_what_is_put_in_is_not_read_again(tmp_path):
    (tmp_path / "x.glm").write_text(";;\nA => B\nB => C\n")
    assert glm.read(tmp_path / "x.glm", type_="stm", purpose="ref").apply(" A B ") == " B C "


def test_case_matters_unless_the_file_says_otherwise(tmp_path):
    (tmp_path / "x.glm").write_text(";;\nA => B\n")
    assert glm.read(tmp_path / "x.glm", type_="stm", purpose="ref").apply(" a A ") == " a B "


def test_a_line_that_is_no_rule_is_named(tmp_path):
    (tmp_path / "x.glm").write_text(";;\n\nUH -> UM\n")
    with pytest.raises(ValueError, match=r"x\.glm:3: not a rule `A => B / left __ right`: 'UH -> UM'"):
        glm.read(tmp_path / "x.glm", type_="stm", purpose="ref")


HALF = [
    ("[UH => UM / [ ] __ [ ]", "[UH"),
    ("UH] => UM", "UH]"),
    ("UH => [UM", "[UM"),
    ("UH => UM / [ __ [ ]", "["),
    ("UH => UM / [ ] __ [A", "[A"),
]


@pytest.mark.parametrize(("line", "part"), HALF)
def test_half_a_pair_of_brackets_is_told_and_taken_as_it_stands(line, part, tmp_path, caplog):
    (tmp_path / "x.glm").write_text(f";;\n{line}\n")
    warn_once.cache_clear()
    for type_, purpose in (("stm", "ref"), ("ctm", "hyp")):
        rules = glm.read(tmp_path / "x.glm", type_=type_, purpose=purpose)
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'x.glm'}:2: a bracket is not closed, or not opened")
    assert f"about {part!r} as it stands" in said
    text = " [UH UH UH] [UH A "
    assert rules.apply(text) == _rfilter1(tmp_path / "x.glm", [text])[0]


def _rfilter1(rules, lines):
    program = nist.find_hubscr()
    if program is None:
        pytest.skip("rfilter1 is not installed; tools/install_sctk.sh gets it")
    return subprocess.run(
        [str(program.parent / "rfilter1"), str(rules)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_rfilter1_agrees(path):
    path.write_text(FILE.partition(";; INPUT")[0])
    draw = random.Random(3)
    words = [
        "uh",
        "'cause",
        "adviser",
        "t.",
        "shirt",
        "william",
        "falkner",
        "donut",
        "do",
        "ma'am",
        *"ab",
        "uhm",
    ]
    lines = [f" {' '.join(draw.choices(words, k=draw.randint(1, 8)))} " for _ in range(200)]
    rules = glm.read(path, type_="stm", purpose="ref")
    assert [rules.apply(line) for line in lines] == _rfilter1(path, lines)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[] => [HI]", "nothing before the arrow"),
        ('"" => "HI"', "nothing before the arrow"),
        (" => HI", "not a rule"),
        ("A B", "not a rule"),
        (';; INPUT_DEPENDENT_APPLICATION = "(ctm"', "not a regular expression"),
        (';; INPUT_DEPENDENT_APPLICATION = "*"', "not a regular expression"),
    ],
)
def test_what_is_no_rule_has_its_line(line, problem, tmp_path):
    (tmp_path / "x.glm").write_text(f";;\nA => B\n{line}\n")
    with pytest.raises(ValueError, match=rf"x\.glm:3: {problem}"):
        glm.read(tmp_path / "x.glm", type_="ctm", purpose="hyp")
