"""The pages of docs/: they build, their commands run, and their statements on the program hold."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from asr_topdown.bin import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
# Blocks of `sh` are run; those of `bash`, which need a cluster or data that a page has not, are checked.
BLOCK = re.compile(r"^```(?P<how>sh|bash)\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)

# Where espeak-ng is not installed, tones take its place.
STAND_IN = """#!{python}
import sys

import numpy as np
import soundfile

arguments = sys.argv[1:]
text, out = arguments[-1], arguments[arguments.index("-w") + 1]
time = np.arange(2000) / 22050
tones = [np.sin(2 * np.pi * (300 + 35 * (ord(letter) * 37 % 90)) * time) for letter in text]
soundfile.write(out, 0.3 * np.concatenate(tones), 22050)
"""


def blocks(page, how):
    """The shell commands of a page in blocks of `how`."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [match["commands"] for match in found if match["how"] == how]


def pages_with(how):
    return [page for page in PAGES if blocks(page, how)]


def name(page):
    return str(page.relative_to(DOCS))


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="pip install 'asr_topdown[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(command, cwd=DOCS.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "reference" / "commands.html").read_text()
    assert all(f'id="{command}"' in commands for command in main.COMMANDS)
    assert "features.fbank.num_mels" in (tmp_path / "reference" / "configuration.html").read_text()
    assert "Speech to text with one trained model" in (tmp_path / "reference" / "python.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("sh"), ids=name)
def test_the_commands_of_a_page_run(page, tmp_path):
    """Run all of a page's blocks in order, in an empty folder."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "asr-topdown").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m asr_topdown.bin.main "$@"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(["sh", "-c", "command -v espeak-ng"], capture_output=True, check=False)
    if found.returncode:
        (bin_folder / "espeak-ng").write_text(STAND_IN.format(python=sys.executable))
    for program in bin_folder.iterdir():
        program.chmod(0o755)
    environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
    work = tmp_path / "work"
    work.mkdir()
    script = "set -euo pipefail\n" + "\n".join(blocks(page, "sh"))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("page", pages_with("bash"), ids=name)
def test_commands_that_are_not_run_are_right(page, capsys):
    """Every option and every file of the repository exists."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.replace("…", ""), comments=True)
            if words[:1] == ["asr-topdown"]:
                check_command(words[1:], complete="…" not in line)
            elif words and words[0].startswith(("egs/", "tools/", "utils/")):
                assert (DOCS.parent / words[0]).exists(), line


def check_command(words, complete):
    parser = main.command_parser(words[0])
    if complete:
        parser.parse_args(words[1:])
    changes = [one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    parser = changes[0][words[1]] if changes else parser
    for word in words[1:]:
        if word.startswith("--"):
            assert f"{word.split('=')[0]} " in f"{parser.format_help()} ", word


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=name)
def test_python_on_a_page_compiles(page):
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for included in re.findall(r'--8<-- "(.*?)"', code):
            code = (DOCS.parent / included).read_text()
        compile(code, str(page), "exec")


def test_messages_of_the_faq_are_messages_of_the_program():
    source = "\n".join(path.read_text() for path in (DOCS.parent / "asr_topdown").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # literals that go on in the next line
    source = re.sub(r"\{[^{}]*\}", "X", source)
    messages = re.findall(r"^`(.*)`\n:", (DOCS / "faq.md").read_text(), re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        assert re.sub(r"\b\d+\b", "X", message) in source or message in source, message
