"""`asr-topdown score` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr_topdown.bin.main import main
from asr_topdown.score.seeds import compare_seeds

REFERENCE = "a1 the cat sat on the mat\na2 hello world\nb1\nb2 one two three four five\n"
FIRST = "a2 hello there world\na1 the hat sat on mat\nb1 uh\nb2\n"
SECOND = "a1 the cat sat on mat\na2 hello world\nb1\nb2 one two three four five\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text").write_text(REFERENCE)
    (tmp_path / "data" / "utt2spk").write_text("a1 A\na2 A\nb1 B\nb2 B\n")
    (tmp_path / "joint").write_text(FIRST)
    (tmp_path / "topdown").mkdir()
    (tmp_path / "topdown" / "text").write_text(SECOND)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rates_of_one_system(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "data", "joint"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "joint: 4 utterances"
    assert lines[2].split()[:8] == ["WER", "13", "6", "1", "6", "2", "9", "69.23"]
    assert lines[3].split()[0] == "CER"


def test_a_bootstrap_over_few_is_not_left_without_a_remark(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With three speakers, equal systems would have p < 0.05 in a fifth of all cases."""
    said = "bootstrap over only {}: intervals are too narrow, and p too small, with fewer than 20"
    assert main(["score", "data", "joint", "--compare", "topdown"]) == 0
    assert capsys.readouterr().out.splitlines().count(said.format("4 utterances")) == 2
    assert main(["score", "data", "joint", "--by-speaker"]) == 0
    assert said.format("2 speakers") in capsys.readouterr().out.splitlines()
    (folder / "many").write_text("".join(f"u{number:02} the cat\n" for number in range(20)))
    assert main(["score", "many", "many"]) == 0
    assert "bootstrap over" not in capsys.readouterr().out


def test_nlsyms_are_removed_from_both_sides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ref").write_text("a1 <NOISE> the cat\nb1 <NOISE>\n")
    (folder / "hyp").write_text("a1 the <NOISE> cat\nb1 the\n")
    rates = []
    for extra in ([], ["--nlsyms", "<NOISE>"]):
        assert main(["score", "ref", "hyp", "--json", "score.json", *extra]) == 0
        scores = json.loads((folder / "score.json").read_text())["systems"][0]["scores"]
        rates.append([(one["total"]["errors"], one["total"]["reference"]) for one in scores])
    # Without the tag "the cat" is right and "the" too many. A space that stood beside the tag still counts.
    assert rates[0][0] == (3, 4)
    assert rates[1] == [(1, 2), (5, 8)]


def test_two_systems_a_report_and_json(
    folder: Path, capsys: pytest.CaptureFixture[str], leave_half: Callable[[Path], None]
) -> None:
    for name in ("report", "score.json"):
        leave_half(folder / "out" / name)
    command = ["score", "data/text", "joint", "--compare", "topdown", "--units", "word"]
    assert main([*command, "--report", "out/report", "--json", "out/score.json", "--resamples", "500"]) == 0
    shown = capsys.readouterr().out
    assert "WER first 69.23 %, second 7.69 %: the second system has fewer errors, by 61.54 points" in shown
    assert "matched pairs (MAPSSWE): 5 segments, mean difference -1.600" in shown
    values = json.loads((folder / "out" / "score.json").read_text())
    assert [system["scores"][0]["total"]["errors"] for system in values["systems"]] == [9, 1]
    assert values["comparisons"][0]["mapsswe"]["segments"] == 5
    (compared,) = values["comparisons"]
    assert compared["direction"] == "second - first"
    assert compared["bootstrap"]["difference"] == pytest.approx(-8 / 13)
    assert compared["bootstrap"]["low"] < -8 / 13 < compared["bootstrap"]["high"]
    assert compared["mapsswe"]["mean"] == pytest.approx(-1.6)
    assert (
        f"second - first = -61.54 points, 95 % interval {100 * compared['bootstrap']['low']:.2f} .." in shown
    )
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["report", "score.json"]
    report = (folder / "out" / "report").read_text()
    assert report.count("All utterances: 4") == 2
    assert "topdown against data/text" in report


def test_the_seeds_of_two_ways_of_training(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 13 words; 1, 2, 3 errors of the first way, 0, 1, 1 of the second, all in the last utterance.
    for number, (first, second) in enumerate(((1, 0), (2, 1), (3, 1)), 1):
        for name, errors in (("first", first), ("second", second)):
            said = REFERENCE.removesuffix("one two three four five\n")
            words = ["one", "two", "three", "four", "five"][: 5 - errors]
            (folder / f"{name}_{number}").write_text(f"{said}{' '.join(words)}\n")
    command = [
        "score",
        "data",
        "first_1",
        "first_2",
        "first_3",
        "--compare",
        "second_1",
        "second_2",
        "second_3",
    ]
    assert main([*command, "--units", "word", "--json", "score.json"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "3 seeds, first_1 …: WER 15.38 ± 7.69 %"
    assert shown[1] == "3 seeds, second_1 …: WER 5.13 ± 4.44 %"
    errors = np.zeros((2, 3, 4))
    errors[:, :, 3] = (1, 2, 3), (0, 1, 1)
    expected = compare_seeds(errors[1], errors[0], [6, 2, 0, 5])
    assert shown[2].startswith("WER: second - first -10.26 points, 95 % interval ")
    (found,) = json.loads((folder / "score.json").read_text())["comparisons"]
    assert (found["direction"], found["difference"]) == ("second - first", pytest.approx(-4 / 39))
    assert found["p_value"] == pytest.approx(expected.p_value)
    assert found["interval"] == pytest.approx(expected.interval)

    assert main(command[:-1]) == 1
    assert "--compare needs as many seeds as there are HYP, 3; got 2" in capsys.readouterr().err
    assert main([*command[:4], "--units", "word"]) == 0
    assert capsys.readouterr().out == "2 seeds, first_1 …: WER 11.54 ± 5.44 %\n"

    # Errors of one network, counted twice, would make the seeds agree.
    (folder / "link").symlink_to("second_1")
    assert main([*command[:-2], "link", "second_3"]) == 1
    assert "second_1 and link: the same transcripts, given as those of two seeds" in capsys.readouterr().err
    assert main([*command[:-3], *["second_1"] * 3, "--units", "word"]) == 0  # a single network
    assert "3 seeds, second_1 …: WER 0.00 ± 0.00 %" in capsys.readouterr().out
    (folder / "data" / "utt2spk").write_text("a1 A\na2 A\nb1 A\nb2 A\n")
    assert main([*command, "--units", "word", "--by-speaker"]) == 0
    assert capsys.readouterr().out.endswith("no interval and no p with a single utterance or speaker\n")


def test_speakers_come_from_the_data_directory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "data", "joint", "--json", "score.json", "--by-speaker", "--units", "word"]) == 0
    (score,) = json.loads((folder / "score.json").read_text())["systems"][0]["scores"]
    assert score["speakers"]["A"]["errors"] == 3
    assert score["interval"] == [3 / 8, 6 / 5]  # all A, or all B
    assert main(["score", "data/text", "joint", "--by-speaker"]) == 1
    assert "--by-speaker needs --utt2spk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("joint", "a1 the\nb1\nb2\n", "joint against data: no hypothesis for 1 utterance: a2"),
        ("joint", "", "joint against data: no hypothesis for 4 utterances: a1, a2, b1, b2"),
        ("data/text", "", "joint against data: no reference for 4 utterances: a1, a2, b1, b2"),
        ("joint", FIRST + "c1 x\n", "no reference for 1 utterance: c1"),
        ("joint", FIRST + "a1 x\n", "joint:5: a1 occurs twice in this file"),
        ("data/text", "a1\na2\nb1\nb2\n", "no reference words"),
    ],
)
def test_faults_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, message: str
) -> None:
    (folder / name).write_text(content)
    assert main(["score", "data", "joint"]) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


NIST = ["--stm", "stm", "--glm", "glm"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([*NIST, "--units", "char"], "--units has no effect on NIST's scoring with --stm and --glm"),
        ([*NIST, "--by-speaker"], "--by-speaker has no effect on NIST's scoring with --stm and --glm"),
        ([*NIST, "--missing-as-empty"], "--missing-as-empty has no effect on NIST's scoring"),
        (["--results", "study"], "--results needs --exp, not HYP"),
        (["--device", "cpu"], "--device is for language models (--exp)"),
        (["topdown", "--resamples", "9"], "--resamples has no effect on several seeds"),
        (["topdown", "--seed", "0"], "--seed has no effect on several seeds"),
        (["topdown", "--by-speaker"], "--by-speaker needs --compare with several HYP"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    assert main(["score", "data", "joint", *given]) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_trn_is_not_taken_for_kaldis_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first words would be the ids: two words of these four would be counted, and none found wrong."""
    (folder / "ref.trn").write_text("hello cat (a1)\nworld dog (a2)\n")
    (folder / "hyp.trn").write_text("hello cat (a1)\nworld dog (a2)\n")
    for reference, hypothesis, culprit in (("ref.trn", "hyp.trn", "ref.trn"), ("data", "hyp.trn", "hyp.trn")):
        assert main(["score", reference, hypothesis]) == 1
        assert f"error: {culprit}: looks like NIST's trn" in capsys.readouterr().err
    for text in (";; sclite skips this\nhello cat (a1)\n", "hello cat (ann_a)\nyes (ann_b)\nyes (bob_a)\n"):
        (folder / "ref.trn").write_text(text)
        assert main(["score", "ref.trn", "ref.trn"]) == 1
        assert "error: ref.trn: looks like NIST's trn" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        ";; one segment a file\nsw_1 A sw_1_A 0.5 2.25 <o,f0,m> hello\nsw_2 B sw_2_B 1 2\n",
        "sw_1 1 sw_1_A 0 -1 <o> hello\n",
        "sw_1 A sw_1_A 2.5 1.5 hello\n",
        "sw_1 A sw_1_A 0 1 <o> hello\nsw_1 A sw_1_A 1 2 <o> there\n",
    ],
)
def test_stm_is_not_taken_for_kaldis_text(
    text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its files would be ids, and the times words that nobody got wrong."""
    (folder / "ref.stm").write_text(text)
    assert main(["score", "ref.stm", "ref.stm"]) == 1
    said = "ref.stm: looks like NIST's stm, `file channel speaker start end words`; must be Kaldi's text"
    assert f"error: {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["a1 1 2 3 4 5\na2 2 3 4 5 6\n", "a1 A b 3 4 five\n", "a1 a b 1.5 2.5\na2 hello\n", "a1 1 2\n"],
)
def test_numbers_do_not_make_an_stm(text: str, folder: Path) -> None:
    (folder / "ref").write_text(text)
    assert main(["score", "ref", "ref"]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a1 hello (laughs)\na2 world\n",
        "a1 hello (laughs)\na2 (laughs)\n",
        "a1 hello (laughs)\na2 world (coughs)\n",
        "a1 hello (noise1)\na2 world (noise1)\n",
    ],
)
def test_sounds_in_parentheses_do_not_make_a_trn(text: str, folder: Path) -> None:
    (folder / "ref").write_text(text)
    assert main(["score", "ref", "ref"]) == 0


def test_a_missing_hypothesis_may_be_taken_as_empty(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "joint").write_text("a1 the cat sat on the mat\nb1\nb2 one two three four five\n")
    assert main(["score", "data", "joint", "--units", "word", "--missing-as-empty"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[1:7] == ["13", "11", "0", "2", "0", "2"]


@pytest.mark.parametrize("option", ["--report", "--json"])
@pytest.mark.parametrize("read", ["joint", "data/text"])
def test_what_is_scored_is_not_overwritten(
    option: str, read: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / read).read_text()
    assert main(["score", "data", "joint", option, read]) == 1
    assert f"error: {read}: is read by this command, which would overwrite it" in capsys.readouterr().err
    assert (folder / read).read_text() == before


def test_a_missing_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "data", "nowhere"]) == 1
    assert capsys.readouterr().err == "asr-topdown score: error: nowhere: No such file or directory\n"


def test_of_a_single_utterance_json_holds_no_interval(folder: Path) -> None:
    (folder / "one").write_text("a1 the cat sat\n")
    (folder / "other").write_text("a1 the hat sat\n")
    assert main(["score", "one", "other", "--compare", "one", "--units", "word", "--json", "score.json"]) == 0
    values = json.loads((folder / "score.json").read_text(), parse_constant=pytest.fail)
    assert values["systems"][0]["scores"][0]["interval"] == [0.0, None]
    bootstrap = values["comparisons"][0]["bootstrap"]
    assert (bootstrap["low"], bootstrap["high"], bootstrap["p_value"]) == (None, None, 1.0)
