"""NIST's scoring program, hubscr.pl of the sctk package, if it is installed."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_topdown import files
from asr_topdown.score import ctm, stm
from asr_topdown.score.errors import ErrorCounts

FOLDERS = (Path(__file__).parents[2] / "tools" / "sctk" / "bin", Path("/usr/lib/sctk/bin"))
"""Where to look for hubscr.pl besides PATH: from tools/install_sctk.sh, and Debian's package."""

_NOTHING = "@"
_ROW = re.compile(r"^\s*\|\s*(\S+)\s*\|[^|]*\|\s*(\d+) +(\d+) +(\d+) +(\d+) [^|]*\|\s*$", re.MULTILINE)
_SUM = "Sum"


def find_hubscr() -> Path | None:
    """Return the path of hubscr.pl, or None if it is not installed."""
    found = shutil.which("hubscr.pl", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, FOLDERS)]))
    return Path(found) if found else None


def hubscr(segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: Path | str) -> ErrorCounts:
    """Score with hubscr.pl as `hubscr_rows` does; return the sums over all segments."""
    return hubscr_rows(segments, words, rules)[_SUM]


def hubscr_rows(
    segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: Path | str
) -> dict[str, ErrorCounts]:
    """Count errors per speaker (in lower case) and in total (`Sum`) with `hubscr.pl -V -l english -h hub5`.

    Args:
        segments: the reference, as in its stm file.
        words: the hypothesis.
        rules: the glm file.

    Raises:
        OSError: if hubscr.pl is not installed or fails; the line has the end of its output. If its rfilter1
            fails, hubscr.pl does not notice and scores the error message; this is detected.
    """
    program = find_hubscr()
    if program is None:
        raise OSError("hubscr.pl is not installed; tools/install_sctk.sh gets it")
    with tempfile.TemporaryDirectory(prefix="hubscr.") as folder:
        reference, hypothesis = Path(folder, "ref.stm"), Path(folder, "hyp.ctm")
        # Without labels: undeclared ones would prevent the report.
        stm.write(reference, [s._replace(labels="", text=_capitals(s.text)) for s in segments])
        heard = [word._replace(word=_capitals(word.word)) for word in words]
        ctm.write(hypothesis, heard + _silent_sides(segments, heard))
        files.write_text(Path(folder, "rules.glm"), _capitals(files.read_text(rules, otherwise="latin-1")))
        done = _run(program, folder)
        _check_filtered(Path(folder))
        raw = Path(folder, "hyp.ctm.filt.raw")
        text = raw.read_text(errors="replace") if raw.is_file() else ""
        rows = {name: ErrorCounts(*map(int, counts)) for name, *counts in _ROW.findall(text)}
        if done.returncode or _SUM not in rows:
            said = " ".join(done.stdout.split()[-40:])
            raise OSError(f"hubscr.pl failed (exit status {done.returncode}): {said}")
    return rows


def _run(program: Path, folder: str) -> "subprocess.CompletedProcess[str]":
    """Run hubscr.pl on the files in `folder`."""
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [
        str(program),
        "-V",
        "-l",
        "english",
        "-h",
        "hub5",
        "-g",
        "rules.glm",
        "-r",
        "ref.stm",
        "hyp.ctm",
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _capitals(text: str) -> str:
    """Convert non-ASCII letters, which NIST's programs leave unchanged, to upper case."""
    return "".join(letter if letter.isascii() else letter.upper() for letter in text)


def _check_filtered(folder: Path) -> None:
    """Check that rfilter1, which applies the rules, has not written an error message instead of texts."""
    for path in sorted(folder.glob("*.filt")):
        error = re.search(r"\*ERR:.*", path.read_text(errors="replace"))
        if error:
            raise OSError(f"hubscr.pl failed: rfilter1 rejects the rules: {' '.join(error[0].split())!r}")


def _silent_sides(segments: Sequence[stm.Segment], words: Sequence[ctm.Word]) -> list[ctm.Word]:
    """Return an empty word for each channel without words, since sclite would reject the file."""
    heard = {(word.file, word.channel) for word in words}
    return [ctm.Word(*side, 0.0, 0.01, _NOTHING) for side in sorted({s[:2] for s in segments} - heard)]
