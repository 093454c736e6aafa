"""NIST's sclite and sc_stats, where they are installed (Debian's package sctk)."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

Words = Mapping[str, Sequence[str]]
Sclite = Callable[..., str]


@pytest.fixture
def sclite(tmp_path: Path) -> Sclite:
    """A function (reference, system, system ...) -> sclite's SGML; each argument is id -> words."""
    program = shutil.which("sclite")
    if program is None:
        pytest.skip("sclite is not installed (apt-get install sctk)")

    def run(reference: Words, *systems: Words) -> str:
        command = [program, "-s", "-i", "rm", "-o", "sgml", "stdout", "-r", _trn(tmp_path / "ref", reference)]
        command.append("trn")
        for number, system in enumerate(systems):
            command += ["-h", _trn(tmp_path / f"hyp{number}", system), "trn"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def sclite_operations(sclite: Sclite) -> Callable[[Words, Words], dict[str, str]]:
    """A function (reference, hypothesis) -> {id: C, S, D and I of sclite's alignment}."""

    def run(reference: Words, hypothesis: Words) -> dict[str, str]:
        paths = re.findall(
            r'<PATH id="\((.*?)\)"[^>]*>\n(.*?)\n</PATH>', sclite(reference, hypothesis), re.DOTALL
        )
        return {name: re.sub(r"(?:^|:)([CSDI]),[^:]*", r"\1", steps) for name, steps in paths}

    return run


@pytest.fixture
def sc_stats(sclite: Sclite) -> Callable[[Words, Words, Words], dict[str, float]]:
    """A function (reference, first, second) -> sc_stats's figures of the matched-pairs test."""
    program = shutil.which("sc_stats")
    if program is None:
        pytest.skip("sc_stats is not installed (apt-get install sctk)")

    def run(reference: Words, first: Words, second: Words) -> dict[str, float]:
        command = [program, "-p", "-t", "mapsswe", "-v", "-n", "-"]
        sgml = sclite(reference, first, second)
        found = subprocess.run(command, check=True, capture_output=True, text=True, input=sgml).stdout
        (line,) = re.findall(r"MTCH_PR_RESULTS.*", found)
        figures = {
            "segments": r"# segs: (\d+)",
            "mean": r"mean:\s*([-\d.]+)",
            "deviation": r"std dev:\s*([\d.]+)",
        }
        figures["z"] = r"Z Stat:\s*([-\d.]+)"
        return {name: float(re.findall(pattern, line)[0]) for name, pattern in figures.items()}

    return run


def _trn(path: Path, words: Words) -> str:
    path.write_text("".join(f"{' '.join(text)} ({name})\n" for name, text in words.items()))
    return str(path)
