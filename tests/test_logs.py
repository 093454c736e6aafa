"""Lines that are printed while a progress bar is shown."""

import logging
import subprocess
import sys

import pytest

from asr_topdown.logs import listed, log_to_stderr, print_above
from asr_topdown.progress import progress


def seen(text: str) -> list[str]:
    """The lines that a terminal shows: what follows a carriage return is written over what was there."""
    return [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_a_bar_that_is_not_shown_yet_stays_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    with progress((), "decode", total=3, delay=60) as bar:
        bar.update()
        print_above("result", sys.stdout)
    assert capfd.readouterr() == ("result\n", "")


def test_lines_stay_whole_beside_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    with progress((), "decode", total=3) as bar:
        for number in range(3):
            bar.update()
            bar.refresh()
            logging.getLogger("asr_topdown.x").warning("remark %d", number)
            print_above(f"result {number}", sys.stderr)
    lines = seen(capfd.readouterr().err)
    assert [line for line in lines if line.startswith("result")] == [f"result {n}" for n in range(3)]
    assert [line[9:] for line in lines if "remark" in line] == [f"remark {n}" for n in range(3)]
    assert lines[-2].startswith("decode: 100%")


def test_a_bar_in_a_log_shows_the_rate_since_the_start(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    with progress((), "decode", total=255, unit="utt") as bar:
        bar.start_t = bar.last_print_t = 0.0
        monkeypatch.setattr(bar, "_time", lambda: now[0])
        # The first utterance ends after 30 s, because processes start; then 213 more in 12 s.
        for now[0], done in ((30.0, 1), (42.0, 213)):
            bar.update(done)
            print_above("result", sys.stdout)
        lines = capfd.readouterr().err
        monkeypatch.undo()
    assert "214/255 [00:42<00:08,  5.10utt/s]" in lines


def test_a_process_that_leaves_at_once_after_a_line_leaves_no_semaphore() -> None:
    code = (
        "import multiprocessing, os, tqdm\n"
        "multiprocessing.set_start_method('spawn')\n"  # as in a worker
        "from asr_topdown.logs import print_above\n"
        "print_above('line', os.fdopen(1, 'w'))\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("line\n", "")


def test_the_first_five_names_are_listed() -> None:
    assert [listed(list("abcdef")[:count]) for count in (0, 1, 5)] == ["", "a", "a, b, c, d, e"]
    assert listed(list("abcdef"), separator="; ") == "a; b; c; d; e; ..."
