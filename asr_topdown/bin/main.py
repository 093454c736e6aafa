"""The command `asr-topdown`: imports only the requested subcommand, and turns errors into one line.

A subcommand is a module of this folder with `HELP` (one line), `EXAMPLE`, `add_arguments(parser)` and
`run(args)`. `asr-topdown --help` reads the `HELP` lines without importing the modules, some of which load
torch; so help is there at once.
"""

import argparse
import ast
import codecs
import contextlib
import difflib
import importlib
import io
import os
import select
import signal
import sys
import textwrap
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import asr_topdown

PROGRAM = "asr-topdown"
COMMANDS = (
    "init",
    "prepare",
    "validate",
    "data",
    "features",
    "tokens",
    "train",
    "topdown",
    "decode",
    "score",
    "report",
    "probe",
    "cka",
    "transcribe",
    "align",
    "export",
    "config",
    "doctor",
)
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 130, 141

_AS_IT_IS = "asr_topdown.as_it_is"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0, 1 (error), 2 (usage), 130 (Ctrl-C), 141 (closed pipe), 128 + N (stopped by signal N).
    """
    _open_standard_streams()
    parser = _top_parser()
    top = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if top.command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    if top.command not in COMMANDS:
        parser.error(_unknown(top.command))
    command = _module(top.command)
    arguments = [argument for argument in top.arguments if argument != "--debug"]
    args = command_parser(top.command).parse_args(arguments)
    args.command_line = [*(["--debug"] if top.debug else []), top.command, *top.arguments]
    debug = (
        top.debug or arguments != top.arguments or os.environ.get("ASR_TOPDOWN_DEBUG", "") not in ("", "0")
    )
    return _recorded(command, args, f"{PROGRAM} {top.command}", debug, [PROGRAM, top.command, *arguments])


def summary(command: str) -> str:
    """The `HELP` line of a command, read from its source without importing it."""
    source = Path(__file__).with_name(f"{command}.py").read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign):
            targets: list[ast.expr] = [statement.target]
        elif isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == "HELP" for target in targets):
            assert statement.value is not None
            return str(ast.literal_eval(statement.value))
    raise AssertionError(f"asr_topdown/bin/{command}.py defines no HELP")


def _recorded(
    command: ModuleType, args: argparse.Namespace, name: str, debug: bool, argv: Sequence[str]
) -> int:
    """Run the command; record it and its outcome in the experiment folder (`--exp`)."""
    began, code = datetime.now(UTC), EXIT_ERROR
    try:
        code = _run(command, args, name, debug)
    finally:
        exp = getattr(args, "exp", None)
        # Of several processes that train together only one records; a read-only disk is not an error.
        if isinstance(exp, Path) and exp.is_dir() and os.environ.get("RANK", "0") == "0":
            from asr_topdown.runs.journal import record

            with contextlib.suppress(OSError):
                record(exp, argv, began, code)
    return code


def _run(command: ModuleType, args: argparse.Namespace, name: str, debug: bool) -> int:
    from asr_topdown.bin import options
    from asr_topdown.engines.devices import check_device
    from asr_topdown.engines.interruption import Interrupted, listening
    from asr_topdown.engines.job import no_memory
    from asr_topdown.files import explain

    _print_any_name()
    try:
        with listening(signal.SIGTERM, signal.SIGHUP):
            if getattr(args, "device", None) and getattr(args, "engine", "local") == "local":
                with options.as_options():
                    check_device(args.device)
            code: int | None = command.run(args)
        sys.stdout.flush()  # a closed pipe shows here, not at the interpreter's exit
        return code or 0
    except (KeyboardInterrupt, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError) and _stdout_is_closed():
            # The reader (head, less) has exited: not an error, and nowhere to flush to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_PIPE
        if debug:
            traceback.print_exc()
        if isinstance(error, KeyboardInterrupt):
            print(f"\n{name}: interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        print(f"{name}: error: {explain(error)}", file=sys.stderr)
        return EXIT_ERROR
    except (MemoryError, RuntimeError) as error:
        if debug or not no_memory(error):
            raise
        print(f"{name}: error: {no_memory(error)}", file=sys.stderr)
        return EXIT_ERROR
    except Interrupted as asked:
        print(f"{name}: {asked}; the same command goes on from what is saved", file=sys.stderr)
        return 128 + asked.signal


def _open_standard_streams() -> None:
    """Open what this process was started without (`>&-`, some daemons): the next file that it opens would get
    the stream's number, and with it whatever is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _print_any_name() -> None:
    """Let stdout take names of files that are not UTF-8, as they are, and stdin give them.

    Elsewhere than in a UTF-8 locale, what else cannot be shown is escaped, not an error after the work.
    """
    codecs.register_error(_AS_IT_IS, _as_it_is)
    for stream in (sys.stdin, sys.stdout):
        # In the locale C, Python's own choice is `surrogateescape`, which refuses every letter.
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="surrogateescape" if stream is sys.stdin else _AS_IT_IS)


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    """The bytes of names that are not in the locale's encoding; escapes for other characters."""
    assert isinstance(error, UnicodeEncodeError)
    found = b""
    for character in error.object[error.start : error.end]:
        byte = ord(character) - 0xDC00
        found += bytes([byte]) if 0x80 <= byte <= 0xFF else character.encode("ascii", "backslashreplace")
    return found, error.end


def _stdout_is_closed() -> bool:
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), select.POLLERR)
    except (OSError, ValueError):  # no file behind it: a test's capture, or closed on our side
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _unknown(command: str) -> str:
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}"
    return f"unknown command {command!r}; {hint}"


def _top_parser() -> argparse.ArgumentParser:
    parser = _TopParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--version] [--debug] COMMAND …",
        description="Speech recognition with layer-scheduled training.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {asr_topdown.__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error (may be given anywhere)"
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


class _TopParser(argparse.ArgumentParser):
    """Collects the commands' lines only if help is printed."""

    def format_help(self) -> str:
        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  {command:<{width}}  {summary(command)}" for command in COMMANDS)
        self.epilog = (
            f"commands, in the order of a recipe:\n{lines}\n\n{PROGRAM} COMMAND --help shows its options."
        )
        return super().format_help()


def command_parser(name: str) -> argparse.ArgumentParser:
    """Make the parser of a command's arguments."""
    command = _module(name)
    parser = _CommandParser(
        prog=f"{PROGRAM} {name}",
        description=command.HELP,
        epilog=f"example:\n{_indented(command.EXAMPLE)}",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


class _CommandParser(argparse.ArgumentParser):
    """Parses the paths of all commands and their subcommands by `options.path`."""

    def __init__(self, **settings: Any) -> None:
        from asr_topdown.bin import options

        super().__init__(**settings)
        self.register("type", Path, options.path)


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"asr_topdown.bin.{command}")


def _indented(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text).strip(), "  ")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the example's lines unchanged, and adds each option's default, if any and not in its text."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, default = action.help, action.default
        plain = default is None or default is False or default in (argparse.SUPPRESS, "", [], ())
        if text is None or plain or not action.option_strings or "(default: " in text:
            return text
        return f"{text} (default: %(default)s)"


if __name__ == "__main__":
    sys.exit(main())
