"""The record of what was run to make an experiment."""

import json
import subprocess
import sys
from pathlib import Path

from asr_topdown.bin import main
from asr_topdown.runs.journal import record, recorded


def test_what_is_recorded_comes_back_as_typed(tmp_path: Path) -> None:
    argv = ["asr-topdown", "topdown", "--exp", "exp/a b", "--set", "schedule.seeds=[1,2]"]
    record(tmp_path, argv)
    (command,) = recorded(tmp_path)
    assert command.argv == tuple(argv)
    assert command.line() == "asr-topdown topdown --exp 'exp/a b' --set 'schedule.seeds=[1,2]'"
    assert command.folder == str(Path.cwd())


def test_the_same_again_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    for argv in (["a"], ["b"], ["a"]):
        record(tmp_path, argv)
    with (tmp_path / "commands.jsonl").open("a") as file:
        file.write('{"argv": ["c"')
    assert [command.argv for command in recorded(tmp_path)] == [("a",), ("b",)]
    assert recorded(tmp_path / "nowhere") == ()


def test_commands_side_by_side_lose_no_line(tmp_path: Path) -> None:
    program = "import sys, pathlib; from asr_topdown.runs.journal import record\n"
    program += "for i in range(100): record(pathlib.Path(sys.argv[1]), [sys.argv[2], str(i), 'x' * 500])"
    jobs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "abc"]
    assert [job.wait(120) for job in jobs] == [0, 0, 0]
    lines = [json.loads(line) for line in (tmp_path / "commands.jsonl").read_text().splitlines()]
    assert sorted(tuple(line["argv"][:2]) for line in lines) == sorted(
        (name, str(i)) for name in "abc" for i in range(100)
    )


def test_the_command_line_records_what_works_on_an_experiment(tmp_path: Path, capsys) -> None:
    exp = tmp_path / "exp"
    assert main.main(["score", "nothing", "--exp", str(exp)]) == 1
    assert not exp.exists()  # a mistyped folder is not made
    exp.mkdir()
    assert main.main(["score", "nothing", "--exp", str(exp)]) == 1
    assert recorded(exp) == ()  # it failed
    capsys.readouterr()
