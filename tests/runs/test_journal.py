"""The record of what was run to make an experiment."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_topdown.bin import main
from asr_topdown.runs.journal import record, recorded


def test_what_is_recorded_comes_back_as_typed(tmp_path: Path) -> None:
    argv = ["asr-topdown", "topdown", "--exp", "exp/a b", "--set", "schedule.seeds=[1,2]"]
    record(tmp_path, argv, datetime.now(UTC), 0)
    (command,) = recorded(tmp_path)
    assert command.argv == tuple(argv)
    assert command.line() == "asr-topdown topdown --exp 'exp/a b' --set 'schedule.seeds=[1,2]'"
    assert command.folder == str(Path.cwd())


def test_the_same_again_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    for argv, code in ((["a"], 1), (["b"], 130), (["a"], 0), (["a"], 1), (["b"], 1)):
        record(tmp_path, argv, datetime.now(UTC), code)
    with (tmp_path / "commands.jsonl").open("a") as file:
        file.write('{"argv": ["c"')
    assert [(command.argv, command.exit_code) for command in recorded(tmp_path)] == [(("a",), 0), (("b",), 1)]
    assert recorded(tmp_path)[1].line() == "b  # exit code 1"
    assert recorded(tmp_path / "nowhere") == ()


def test_commands_side_by_side_lose_no_line(tmp_path: Path) -> None:
    program = "import sys, pathlib, datetime; from asr_topdown.runs.journal import record\n"
    program += "now = datetime.datetime.now(datetime.UTC)\n"
    program += "for i in range(100):\n"
    program += "    record(pathlib.Path(sys.argv[1]), [sys.argv[2], str(i), 'x' * 500], now, 0)"
    jobs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "abc"]
    assert [job.wait(120) for job in jobs] == [0, 0, 0]
    lines = [json.loads(line) for line in (tmp_path / "commands.jsonl").read_text().splitlines()]
    assert sorted(tuple(line["argv"][:2]) for line in lines) == sorted(
        (name, str(i)) for name in "abc" for i in range(100)
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`command(exp, run)` is `asr-topdown doctor --exp EXP` with `run` in doctor's place."""

    def call(exp: Path, run: Callable[[argparse.Namespace], int | None]) -> int:
        fake = SimpleNamespace(
            HELP="a stand-in",
            EXAMPLE="asr-topdown doctor",
            add_arguments=lambda parser: parser.add_argument("--exp", type=Path),
            run=run,
        )
        monkeypatch.setitem(sys.modules, "asr_topdown.bin.doctor", fake)
        return main.main(["doctor", "--exp", str(exp)])

    return call


def test_the_time_is_that_of_the_beginning(tmp_path: Path, command: Callable[..., int]) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert command(tmp_path, lambda args: time.sleep(1.2)) == 0
    (done,) = recorded(tmp_path)
    began = datetime.fromisoformat(done.began)
    assert before <= began
    assert (datetime.now(UTC) - began).total_seconds() >= 1.2
    assert done.seconds >= 1.2


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("wrong"), 1), (OSError("full"), 1), (KeyboardInterrupt(), 130), (RuntimeError("a bug"), 1)],
)
def test_a_command_that_fails_is_recorded_with_its_exit_code(
    error: BaseException, code: int, tmp_path: Path, command: Callable[..., int]
) -> None:
    def fail(args: argparse.Namespace) -> None:
        raise error

    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            command(tmp_path, fail)
    else:
        assert command(tmp_path, fail) == code
    assert [one.exit_code for one in recorded(tmp_path)] == [code]
    assert command(tmp_path, lambda args: 3) == 3
    assert [one.exit_code for one in recorded(tmp_path)] == [3]


def test_a_folder_that_is_not_there_is_not_made_and_one_to_read_only_is_no_error(
    tmp_path: Path, command: Callable[..., int]
) -> None:
    exp = tmp_path / "exp"
    assert command(exp, lambda args: 0) == 0
    assert not exp.exists()  # a mistyped folder is not made
    (exp / "commands.jsonl").mkdir(parents=True)  # whoever the test runs as, this cannot be written
    assert command(exp, lambda args: 0) == 0


def test_of_several_processes_one_tells(
    tmp_path: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank in ("1", "0", "2"):
        monkeypatch.setenv("RANK", rank)
        command(tmp_path, lambda args: 0)
    assert len((tmp_path / "commands.jsonl").read_text().splitlines()) == 1


def test_words_and_folders_that_are_not_utf_8_are_no_error_after_the_work(
    tmp_path: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"caf\xe9")
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    out = folder / "out"
    with out.open("w", encoding="utf-8") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert command(folder, lambda args: print(args.exp)) == 0
    assert out.read_bytes() == os.fsencode(folder) + b"\n"
    (done,) = recorded(folder)
    assert (done.argv[-1], done.folder) == (str(folder), str(folder))


def test_where_stdout_is_not_utf_8_what_it_cannot_show_is_escaped(
    tmp_path: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with out.open("w", encoding="latin-1") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert command(tmp_path, lambda args: print("é 0.3 → 0.2")) == 0
    assert out.read_bytes() == b"\xe9 0.3 \\u2192 0.2\n"


def test_what_a_full_disk_left_of_a_line_spoils_no_other(tmp_path: Path) -> None:
    record(tmp_path, ["a"], datetime.now(UTC), 0)
    with (tmp_path / "commands.jsonl").open("ab") as file:
        file.write('{"argv": ["\u00e9"'.encode()[:-2])  # in the middle of a character
    record(tmp_path, ["b"], datetime.now(UTC), 0)
    assert [command.argv for command in recorded(tmp_path)] == [("a",), ("b",)]
