"""The frame of the command line: help, usage errors, and one clear line for each failure."""

import argparse
import errno
import importlib
import os
import resource
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_topdown import __version__
from asr_topdown.bin import doctor, main

COMMAND = [sys.executable, "-m", "asr_topdown.bin.main"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`command(run)` runs `asr-topdown doctor --word W` with `run` in doctor's place."""

    def call(
        run: Callable[[argparse.Namespace], int | None],
        *arguments: str,
        default: object = "none",
        said: str = "a word",
    ) -> int:
        fake = SimpleNamespace(
            HELP="a stand-in",
            EXAMPLE="asr-topdown doctor --word x",
            add_arguments=lambda parser: parser.add_argument("--word", default=default, help=said),
            run=run,
        )
        monkeypatch.setitem(sys.modules, "asr_topdown.bin.doctor", fake)
        return main.main(["doctor", *arguments])

    return call


def raising(error: BaseException) -> Callable[[argparse.Namespace], int | None]:
    def run(args: argparse.Namespace) -> int | None:
        raise error

    return run


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_keeps_the_contract(name, capsys):
    module = importlib.import_module(f"asr_topdown.bin.{name}")
    assert main.summary(name) == module.HELP
    assert "\n" not in module.HELP
    assert callable(module.run)
    assert f"asr-topdown {name}" in module.EXAMPLE
    with pytest.raises(SystemExit) as left:
        main.main([name, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: asr-topdown {name}")
    assert module.EXAMPLE.strip().splitlines()[0] in shown


def test_help_lists_all_commands_and_is_quick():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name in main.COMMANDS:
        assert f"  {name}" in shown
    # Processor time, since the machine may be busy: 0.07 s here.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.3


def test_help_imports_neither_torch_nor_numpy():
    code = (
        "import sys; from asr_topdown.bin.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: sys.exit(int('torch' in sys.modules or 'numpy' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def _processor_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_every_command_is_quick_and_imports_neither_torch_nor_numpy(name):
    code = (
        "import sys; from asr_topdown.bin.main import main\n"
        f"try: main(['{name}', '--help'])\n"
        "except SystemExit: sys.exit(int('torch' in sys.modules or 'numpy' in sys.modules))"
    )
    for _ in range(6):  # processor time, and the least of several: the machine may be busy
        bare = _processor_seconds("pass")  # 0.03 s on the machines of today
        if _processor_seconds(code) < max(0.3, 10 * bare):
            return
    pytest.fail(f"{name} --help takes more than 0.3 s, and than ten starts of Python")


@pytest.mark.parametrize(
    "module", ["config", "datadir", "text", "runs.store", "runs.journal", "runs.decodings"]
)
def test_what_needs_no_torch_does_not_import_it(module):
    code = f"import sys, asr_topdown.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"asr-topdown {__version__}\n"


def test_no_command_shows_the_help_and_fails(capsys):
    assert main.main([]) == 2
    assert "commands, in the order of a recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("trian", "did you mean 'train'?"), ("xyz", "the commands are init, prepare, validate")],
)
def test_an_unknown_command_is_a_usage_error(typed, hint, capsys):
    with pytest.raises(SystemExit) as left:
        main.main([typed])
    assert left.value.code == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"asr-topdown: error: unknown command '{typed}'; {hint}")
    )


def test_arguments_reach_the_command_and_its_code_comes_back(command):
    seen = []
    assert command(lambda args: seen.append(args.word), "--word", "hello") == 0
    assert command(lambda args: 3) == 3
    assert seen == ["hello"]


@pytest.mark.parametrize(
    ("default", "said", "shown"),
    [
        ("none", "a word", "a word (default: none)"),
        (0, "a number", "a number (default: 0)"),
        ("", "a model", "a model"),
        (["*"], "layers (default: all)", "layers (default: all)"),
    ],
)
def test_help_shows_defaults_once(command, capsys, default, said, shown):
    with pytest.raises(SystemExit):
        command(lambda args: 0, "--help", default=default, said=said)
    assert f"--word WORD {shown} example:" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("data/train/text:3: utterance a is there twice"),) * 2,
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "conf/x.yaml"),
         "conf/x.yaml: No such file or directory"),
        (FileNotFoundError("data: no such folder"), "data: no such folder"),
        (PermissionError(errno.EACCES, "Permission denied", "/exp"), "/exp: Permission denied"),
        (OSError(errno.ENOSPC, "cannot write exp/a/last.safetensors: No space left on device"),
         "cannot write exp/a/last.safetensors: No space left on device "
         "(make room and run the same command again: what is finished is kept)"),
        (OSError(errno.ENOSPC, "No space left on device"),
         "No space left on device (make room and run the same command again: what is finished is kept)"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_user_errors_are_one_line_and_exit_1(error, line, command, capsys):
    assert command(raising(error)) == 1
    assert capsys.readouterr().err == f"asr-topdown doctor: error: {line}\n"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_shows_the_traceback_too(how, command, capsys, monkeypatch):
    if how == "environment":
        monkeypatch.setenv("ASR_TOPDOWN_DEBUG", "1")
    assert command(raising(ValueError("wrong")), *(["--debug"] if how == "option" else [])) == 1
    shown = capsys.readouterr().err
    assert "asr-topdown doctor: error: wrong" in shown
    assert "Traceback" in shown


def test_a_bug_is_not_dressed_up(command):
    with pytest.raises(ZeroDivisionError):
        command(lambda args: 1 // 0)


def test_ctrl_c_exits_130(command, capsys):
    assert command(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\nasr-topdown doctor: interrupted\n"


def test_a_broken_pipe_elsewhere_is_an_error(command, capsys):
    assert command(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 1
    assert capsys.readouterr().err == "asr-topdown doctor: error: Broken pipe\n"


def run_with(body: str) -> "subprocess.Popen[str]":
    """A process that runs `asr-topdown doctor` with `body` as the command."""
    code = (
        "import sys, time; from asr_topdown.bin import doctor, main\n"
        f"def run(args):\n    {body}\n"
        "doctor.run = run\nsys.exit(main.main(['doctor']))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("body", ["print('few')", "print('many ' * 100_000)"])
def test_a_closed_pipe_is_silent(body):
    read, write = os.pipe()
    os.close(read)
    code = (
        f"import sys; from asr_topdown.bin import doctor, main; doctor.run = lambda args: {body}; "
        "sys.exit(main.main(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_real_interrupt_leaves_one_line():
    process = run_with("print('ready', flush=True); time.sleep(30)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=10)
    assert (process.returncode, shown) == (130, "\nasr-topdown doctor: interrupted\n")


class TestDoctor:
    def test_it_requires_what_the_project_declares(self, repository: Path):
        project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
        assert {line.partition(">")[0] for line in project["dependencies"]} == set(doctor.REQUIRED)

    def test_a_good_machine_passes(self, capsys, tmp_path):
        assert main.main(["doctor", "--disk", str(tmp_path)]) == 0
        shown = capsys.readouterr().out
        assert "BROKEN" not in shown
        for word in ("Python 3.", "torch", "matrix products", "sclite", "GB free", "modules of asr_topdown"):
            assert word in shown
        assert shown.endswith("everything required is in place\n")

    def test_a_missing_package_is_broken_and_says_what_to_do(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setitem(doctor.REQUIRED, "no-such-package", "no_such_package")
        assert main.main(["doctor", "--disk", str(tmp_path)]) == 1
        shown = capsys.readouterr().out
        assert "BROKEN   no-such-package: cannot be imported: ModuleNotFoundError" in shown
        assert "run tools/install.sh" in shown

    def test_a_missing_tool_is_no_failure(self, monkeypatch):
        monkeypatch.setattr(doctor, "SCTK_FOLDERS", ())
        monkeypatch.setenv("PATH", "/nonexistent")
        findings = list(doctor._tools())
        assert {finding.state for finding in findings} == {"missing"}
        assert len(findings) == len(doctor.OPTIONAL)

    def test_a_full_disk_is_a_warning(self, monkeypatch, tmp_path):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5e8))
        finding = doctor._disk(tmp_path)
        assert finding.state == "warning"
        assert finding.what.startswith("0.5 GB free in")


@pytest.mark.parametrize(
    "words",
    [
        *(f"{command} --exp" for command in ("train", "topdown", "decode", "score")),
        *(f"{command} --out" for command in ("features", "decode", "transcribe", "align", "probe", "cka")),
        *(
            "report",
            "topdown --source-exp",
            "prepare an4 --out",
            "prepare an4 --downloads",
            "data split --out",
        ),
    ],
)
def test_a_file_where_a_folder_must_be_is_refused_before_any_work(words, tmp_path, capsys):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(SystemExit) as left:
            main.main([*words.split(), str(path)])
        assert left.value.code == 2
        assert capsys.readouterr().err.endswith(f": {tmp_path}/file is not a folder\n")


@pytest.mark.parametrize(
    ("words", "argument"),
    [
        (["decode", "data", "--exp", ""], "--exp"),
        (["report", ""], "EXP"),
        (["features", "", "--config", "c.yaml"], "DIR"),
        (["prepare", "table", "--source", "", "--out", "data"], "--source"),
        (["data", "split", "data", "--parts", "a:1", "--out="], "--out"),
        (["init", ""], "FOLDER"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(words, argument, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(words)
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: argument {argument}: must not be empty")


@pytest.mark.parametrize("words", ["train --exp", "features --out", "prepare an4 --out"])
def test_a_folder_to_write_to_whose_name_is_not_utf_8_is_refused_before_any_work(words, capsys):
    with pytest.raises(SystemExit):
        main.main([*words.split(), os.fsdecode(b"data/caf\xe9")])
    assert capsys.readouterr().err.endswith(": the name of the folder data/caf\\udce9 is not UTF-8\n")


@pytest.mark.parametrize("words", ["train --exp", "features --out", "data speed data --out"])
def test_a_folder_to_write_to_whose_name_holds_a_line_break_is_refused_before_any_work(words, capsys):
    with pytest.raises(SystemExit):
        main.main([*words.split(), "data/a\nb"])
    assert capsys.readouterr().err.endswith(": the name of the folder 'data/a\\nb' holds a line break\n")


@pytest.mark.parametrize("below", ["", "/more"])
@pytest.mark.parametrize("words", ["topdown --exp", "decode data --model m --out"])
def test_a_link_that_leads_nowhere_is_refused_before_any_work(words, below, tmp_path, capsys):
    """`decode` decoded everything, and then had no place for it (`File exists`)."""
    (tmp_path / "out").symlink_to("nowhere")
    with pytest.raises(SystemExit):
        main.main([*words.split(), f"{tmp_path}/out{below}"])
    assert capsys.readouterr().err.endswith(f": {tmp_path}/out is a link that leads nowhere\n")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("a\nb", "'{}/a\\nb' holds a line break"), (os.fsdecode(b"caf\xe9"), "{}/caf\\udce9 is not UTF-8")],
)
def test_features_are_not_computed_where_no_table_can_name_them(name, problem, tmp_path, capsys):
    """They were, and then not found: their places are lines of a table."""
    (tmp_path / "config.yaml").write_text("features: {}\nmodel: {encoder: [{kind: blstm}], ctc: {}}\n")
    (tmp_path / name).mkdir()
    assert main.main(["features", str(tmp_path / name), "--config", str(tmp_path / "config.yaml")]) == 1
    said = f"asr-topdown features: error: the name of the folder {problem.format(tmp_path)}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("decode data --exp exp --out decoded", "--out needs --model, not --exp"),
        ("decode data --model m --out o --results A", "--results needs --exp, not --model"),
        ("transcribe m a.wav --nbest 5", "--nbest needs --format json"),
        (
            "topdown --config c.yaml --train a --dev b --tokens t --exp e --seconds-per-epoch 9",
            "--seconds-per-epoch needs --dry-run",
        ),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(words, message, capsys):
    assert main.main(words.split()) == 1
    assert capsys.readouterr().err.endswith(f": error: {message}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("prepare swbd --swbd c --out o --dev-utterances -1", "--dev-utterances: must be at least 1, got -1"),
        ("prepare swbd --swbd c --out o --sample-rate 0", "--sample-rate: must be at least 1, got 0"),
        ("prepare mboshi --out o --sample-rate -8000", "--sample-rate: must be at least 1, got -8000"),
        ("prepare wikitext2 --out o --min-count 0", "--min-count: must be at least 1, got 0"),
        ("prepare prompts --out o --long-seconds nan", "--long-seconds: must be a positive number, got nan"),
        ("score ref hyp --seed -1", "--seed: must be from 0 to 2147483647, got -1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_before_any_work(words, message, capsys):
    with pytest.raises(SystemExit):
        main.main(words.split())
    assert capsys.readouterr().err.endswith(f"error: argument {message}\n")


def test_streams_that_are_closed_are_no_error_and_no_files(tmp_path):
    """A file that is opened must not get the number of a closed stream, and what is printed."""
    program = (
        "import os, sys\nfrom types import SimpleNamespace\nfrom asr_topdown.bin import main\n"
        "def run(args):\n"
        "    with open(sys.argv[1], 'w') as file:\n"
        "        assert file.fileno() > 2\n"
        "        print('said')\n"
        "        os.system('echo said by a child; echo and here >&2')\n"
        "        assert not sys.stdin.read()\n"
        "        file.write('whole')\n"
        "    raise ValueError('said too')\n"
        "fake = dict(HELP='', EXAMPLE='', add_arguments=lambda parser: None, run=run)\n"
        "main._module = lambda name: SimpleNamespace(**fake)\n"
        "sys.exit(main.main(['doctor']))\n"
    )
    file = tmp_path / "file"
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, sys.executable, program, file], check=False)
    assert done.returncode == 1
    assert file.read_text() == "whole"


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"\\u03ac\\u6f22 \xff\xce\xac\n"),
        ({"PYTHONIOENCODING": "ascii"}, b"\\u03ac\\u6f22 \xff\\u03ac\n"),
        ({"PYTHONIOENCODING": "latin-1"}, b"\\u03ac\\u6f22 \xff\\u03ac\n"),
        ({"LC_ALL": "C.UTF-8"}, b"\xce\xac\xe6\xbc\xa2 \xff\xce\xac\n"),
    ],
)
def test_a_terminal_that_cannot_show_a_transcript_shows_escapes_and_names_as_they_are(environment, shown):
    """In the locale C, without Python's own way out of it, each command with such a transcript failed."""
    code = (
        "import os, sys; from asr_topdown.bin import doctor, main\n"
        "doctor.run = lambda args: print('\\u03ac\\u6f22', os.fsdecode(bytes.fromhex('ffceac')))\n"
        "sys.exit(main.main(['doctor']))"
    )
    chosen = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONCOERCECLOCALE")
    others = {name: value for name, value in os.environ.items() if name not in chosen}
    done = subprocess.run(
        [sys.executable, "-c", code], env={"LC_ALL": "C.UTF-8", **others, **environment}, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, shown, b"")
