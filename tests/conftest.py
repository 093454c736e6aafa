"""Shared by all tests: one thread, the real recordings if available, and toy sound."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

# Before anything imports torch: pytest-xdist runs one process per core, and threads would fight for them.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from asr_topdown import files

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))  # for `networks` and `toy_data`, which many tests import

# A test run in the background ignores Ctrl-C, and so would each program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("house", deadline=None)  # a busy machine is no error
settings.load_profile("house")

# NIST's tools where they usually are, so that the tests that compare with them find them.
for folder in (REPOSITORY / "tools" / "sctk" / "bin", Path("/usr/lib/sctk/bin")):
    if folder.is_dir():
        os.environ["PATH"] += os.pathsep + str(folder)


@pytest.fixture
def heard_hangups() -> Iterator[None]:
    """Let programs that the test starts hear a hang-up even if this run, under `nohup`, ignores it."""
    ignored_or_not = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, ignored_or_not)


@pytest.fixture
def leave_half() -> Callable[[Path], None]:
    """A function that leaves what a process left that was killed while it wrote a file."""
    dead = subprocess.Popen(["true"])
    dead.wait()

    def leave(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.{files._owner(dead.pid)}.abc.tmp").write_text("half")

    return leave


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def fsdd_dir() -> Path:
    """The recordings of the Free Spoken Digit Dataset, from $ASR_TOPDOWN_FSDD."""
    folder = os.environ.get("ASR_TOPDOWN_FSDD")
    if not folder:
        pytest.skip("set ASR_TOPDOWN_FSDD to the recordings of the Free Spoken Digit Dataset")
    if not any(Path(folder).glob("*.wav")):
        raise FileNotFoundError(f"ASR_TOPDOWN_FSDD={folder}: no wav files there")
    return Path(folder)


@pytest.fixture(scope="session")
def write_tones() -> Callable[..., Path]:
    """A function that writes `symbols` as sound: a sine of its own frequency for each, with some noise."""

    def write(path: Path, symbols: Iterable[str], *, rate: int = 8000, seconds_each: float = 0.08) -> Path:
        time = np.arange(int(rate * seconds_each)) / rate
        # 37 is prime to 90: neighbouring letters lie far apart
        frequencies = [300 + 35 * (ord(symbol) * 37 % 90) for symbol in symbols]
        sound = np.concatenate([np.sin(2 * np.pi * frequency * time) for frequency in frequencies])
        noise = np.random.default_rng(len(sound)).standard_normal(len(sound))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * sound + 0.003 * noise, rate, subtype="PCM_16")
        return path

    return write
