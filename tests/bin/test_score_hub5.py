"""`asr-topdown prepare swbd|eval2000|rt03` and `score --stm --glm` as typed."""

import argparse
import hashlib
import json

import pytest

from asr_topdown.bin import score_hub5
from asr_topdown.bin.main import main
from asr_topdown.corpora.fake import swbd as fake
from asr_topdown.hashes import file_hash
from asr_topdown.score import nist


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("discs"), calls=2, engine="tones", seconds_each=0.02)


@pytest.fixture
def folder(discs, tmp_path, monkeypatch):
    """eval2000, a perfect and a worse hypothesis."""
    monkeypatch.chdir(tmp_path)
    where = [str(discs.eval2000_speech), str(discs.eval2000_transcripts)]
    assert main(["prepare", "eval2000", "--folders", *where, "--out", "data"]) == 0
    (tmp_path / "good").mkdir()
    text = (tmp_path / "data/eval2000/text").read_text()
    (tmp_path / "good/text").write_text(text)
    lines = [line.split() for line in text.splitlines()]
    (tmp_path / "bad").write_text(
        "".join(f"{name} {' '.join(['wrong', *words[1:]])}\n" for name, *words in lines)
    )
    return tmp_path


HUB5 = ["--stm", "data/eval2000/stm", "--glm", "data/eval2000/glm", "--resamples", "200"]


def test_swbd_and_rt03_are_prepared_from_the_discs(discs, tmp_path, capsys):
    out = str(tmp_path)
    command = ["prepare", "swbd", "--swbd", str(discs.swbd), "--transcripts", str(discs.transcripts)]
    assert main([*command, "--dev-utterances", "5", "--sample-rate", "16000", "--out", out]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[-2:]] == ["19", "5"]
    assert (tmp_path / "train/sample_rate").read_text() == "16000\n"
    assert main(["prepare", "rt03", "--rt03", str(discs.rt03), "--out", out]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[1] == "24"


def test_one_system(folder, capsys):
    capsys.readouterr()
    assert main(["score", "data/eval2000", "good", *HUB5, "--json", "s.json", "--report", "r.txt"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "good: 44 segments, word error rates in %"
    assert [line.split()[0] for line in shown[2:5]] == ["SWBD", "CallHome", "all"]
    assert shown[4].split()[-2:] == ["0.0", "0.0"]
    assert shown[5] == "95 % interval of all, drawing sides of calls: 0.0 .. 0.0"
    (system,) = json.loads((folder / "s.json").read_text())["systems"]
    assert system["scores"]["all"]["errors"] == 0
    assert (folder / "r.txt").read_text().count("REF: ") == 44


def test_two_systems(folder, capsys):
    capsys.readouterr()
    assert main(["score", "data/eval2000", "bad", "--compare", "good", *HUB5, "--json", "s.json"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1].startswith("all        second - first = -")
    saved = json.loads((folder / "s.json").read_text())
    assert set(saved["comparison"]) == {"SWBD", "CallHome", "all"}
    worse = saved["systems"][0]["scores"]["all"]
    assert saved["comparison"]["all"]["difference"] == pytest.approx(-worse["rate"])
    assert saved["comparison"]["all"]["direction"] == "second - first"


def test_the_difference_of_two_systems_is_that_of_their_rates(tmp_path, monkeypatch, capsys):
    """Of `{ it is / its }` each has its own: 10 errors of 50 words and 10 of 40 differed by 0."""
    monkeypatch.chdir(tmp_path)
    times = [(side, start) for side in "AB" for start in range(0, 10, 2)]
    (tmp_path / "glm").write_text(";; none\n")
    (tmp_path / "stm").write_text(
        "".join(
            f"sw_1 {side} s {start} {start + 2} <o,f0> well {{ it is / its }} all fine\n"
            for side, start in times
        )
    )
    for name, said in (("two", "well it is all wrong"), ("one", "well its all wrong")):
        lines = (f"sw_1-{side}_{100 * start:06}-{100 * start + 200:06} {said}\n" for side, start in times)
        (tmp_path / name).write_text("".join(lines))
    command = ["score", "two", "two", "--compare", "one", "--stm", "stm", "--glm", "glm"]
    assert main([*command, "--json", "s.json"]) == 0
    saved = json.loads((tmp_path / "s.json").read_text())
    rates = [one["scores"]["all"]["rate"] for one in saved["systems"]]
    assert rates == [10 / 50, 10 / 40]
    assert saved["comparison"]["all"]["difference"] == pytest.approx(0.05)
    assert "all        second - first = +5.00 [+5.00, +5.00] points, p = 0.0002" in capsys.readouterr().out


@pytest.mark.skipif(
    nist.find_hubscr() is None, reason="hubscr.pl is not installed; tools/install_sctk.sh gets it"
)
def test_hubscr_counts_the_same(folder, capsys):
    capsys.readouterr()
    assert main(["score", "data/eval2000", "bad", *HUB5, "--hubscr"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("hubscr.pl: ")
    assert last.endswith("%: the same")


def test_what_is_decoded_again_while_it_is_scored_has_no_errors_yet(folder, monkeypatch):
    """The errors of the earlier transcripts were kept as those of the new ones, for the report."""
    args = argparse.Namespace(stm=folder / "data/eval2000/stm", glm=folder / "data/eval2000/glm")
    text, score = folder / "good" / "text", score_hub5.score
    before = file_hash(text)

    def replaced(*compared):
        text.write_bytes((folder / "bad").read_bytes())
        return score(*compared)

    monkeypatch.setattr(score_hub5, "score", replaced)
    score_hub5.keep(args, [folder / "good"])
    assert json.loads((folder / "good" / "hub5.json").read_text())["text"] == before != file_hash(text)


def test_the_parts_are_kept_beside_a_decoding_for_the_report(folder, leave_half):
    leave_half(folder / "good" / "hub5.json")
    args = argparse.Namespace(stm=folder / "data/eval2000/stm", glm=folder / "data/eval2000/glm")
    score_hub5.keep(args, [folder / "good"])
    assert not list((folder / "good").glob(".*"))
    written = json.loads((folder / "good" / "hub5.json").read_text())
    kept = written["scores"]
    files = {"stm": args.stm, "glm": args.glm, "text": folder / "good" / "text"}
    assert {name: written[name] for name in files} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    assert {name: (part["errors"], part["rate"]) for name, part in kept.items()} == {
        "SWBD": (0, 0.0),
        "CallHome": (0, 0.0),
        "all": (0, 0.0),
    }


def test_both_files_are_needed(folder, capsys):
    assert main(["score", "data/eval2000", "good", "--stm", "data/eval2000/stm"]) == 1
    assert "Hub-5 scoring needs both --stm and --glm" in capsys.readouterr().err
