"""NIST's own scoring program, hubscr.pl of the sctk package, where it is installed."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_topdown.score import ctm, stm
from asr_topdown.score.errors import ErrorCounts

FOLDERS = (Path(__file__).parents[2] / "tools" / "sctk" / "bin", Path("/usr/lib/sctk/bin"))
"""Where hubscr.pl is looked for besides PATH: what tools/install_sctk.sh unpacks, Debian's package."""

_NOTHING = "@"
_ROW = re.compile(r"^\s*\|\s*(\S+)\s*\|[^|]*\|\s*(\d+) +(\d+) +(\d+) +(\d+) [^|]*\|\s*$", re.MULTILINE)
_SUM = "Sum"


def find_hubscr() -> Path | None:
    """hubscr.pl, or None where there is none."""
    found = shutil.which("hubscr.pl", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, FOLDERS)]))
    return Path(found) if found else None


def hubscr(segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: Path | str) -> ErrorCounts:
    """Sums over all segments, as `hubscr_rows`."""
    return hubscr_rows(segments, words, rules)[_SUM]


def hubscr_rows(
    segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: Path | str
) -> dict[str, ErrorCounts]:
    """Counts of each speaker (in small letters) and of all (`Sum`), by `hubscr.pl -V -l english -h hub5`.

    Args:
        segments: the reference, as its stm file has it.
        words: the hypothesis.
        rules: the glm file.

    Raises:
        OSError: if hubscr.pl is not installed, or fails: the line holds the end of what it says.
    """
    program = find_hubscr()
    if program is None:
        raise OSError("hubscr.pl is not installed; tools/install_sctk.sh gets it")
    with tempfile.TemporaryDirectory(prefix="hubscr.") as folder:
        reference, hypothesis = Path(folder, "ref.stm"), Path(folder, "hyp.ctm")
        # Without labels: each would have to be declared, or no report is made.
        stm.write(reference, [segment._replace(labels="") for segment in segments])
        heard = list(words)
        ctm.write(hypothesis, heard + _silent_sides(segments, heard))
        path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [str(program), "-V", "-l", "english", "-h", "hub5", "-g", str(Path(rules).resolve())]
        done = subprocess.run(
            [*command, "-r", "ref.stm", "hyp.ctm"],
            cwd=folder,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        raw = Path(folder, "hyp.ctm.filt.raw")
        text = raw.read_text(errors="replace") if raw.is_file() else ""
        rows = {name: ErrorCounts(*map(int, counts)) for name, *counts in _ROW.findall(text)}
        if done.returncode or _SUM not in rows:
            said = " ".join(done.stdout.split()[-40:])
            raise OSError(f"hubscr.pl failed (exit status {done.returncode}): {said}")
    return rows


def _silent_sides(segments: Sequence[stm.Segment], words: Sequence[ctm.Word]) -> list[ctm.Word]:
    """A word that is nothing for each channel without words: sclite would refuse the file."""
    heard = {(word.file, word.channel) for word in words}
    return [ctm.Word(*side, 0.0, 0.01, _NOTHING) for side in sorted({s[:2] for s in segments} - heard)]
