"""Commands that are killed or stopped at random moments: identical results, and no files left over.

`ASR_TOPDOWN_KILLS=50 pytest tests/bin/test_kills.py` does so fifty times each.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import networks
import pytest
import yaml
from toy_data import write_data

from asr_topdown.files import read_json
from asr_topdown.text import Vocabulary

KILLS = int(os.environ.get("ASR_TOPDOWN_KILLS", "5"))
SETTINGS: dict[str, Any] = {
    "features": {"fbank": {"num_mels": 4}},
    "model": networks.blstm_ctc(2, 16, dropout=0.2),
    "train": {
        "epochs": 6,
        "patience": 0,
        "metric": "loss",
        "frames_per_batch": 60,
        "tempo_perturb": 0.1,
        "average": {"last": 2},
        "optimizer": {"lr": 0.02},
    },
    "run": {"checkpoint_minutes": 1e-9},
    "schedule": {"search": "greedy", "controls": ["scratch", "keep"], "seeds": [1, 2]},
}
COMMANDS = {"train": ["train"], "search": ["topdown", "--workers", "2"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root / "train", 60, 1)
    write_data(root / "dev", 10, 2)
    Vocabulary.build(["abc"], "char").save(root / "tokens.txt")
    (root / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    return root


def command(data: Path, exp: Path, what: str) -> list[str]:
    name, *options = COMMANDS[what]
    where = [f"--{key}={data / key}" for key in ("train", "dev")]
    main = [sys.executable, "-m", "asr_topdown.bin.main", name]
    return [
        *main,
        f"--config={data / 'config.yaml'}",
        *where,
        f"--tokens={data / 'tokens.txt'}",
        f"--exp={exp}",
        *options,
    ]


def content(exp: Path) -> dict[str, str]:
    """Hashes of all files that must be the same: weights, units, settings and results."""
    found = {}
    for path in sorted(path for path in exp.rglob("*") if path.is_file() or path.is_symlink()):
        name = str(path.relative_to(exp))
        assert not name.endswith(".tmp")
        if path.name == "done.json":
            outcome = read_json(path)
            found[name] = repr({**outcome, "seconds": 0, "metrics": {**outcome["metrics"], "peak_memory": 0}})
        elif path.is_symlink():
            found[name] = str(path.readlink())
        elif "tb" in path.parts or path.name in ("worker.log", "metrics.jsonl", "commands.jsonl", "lock"):
            found[name.rpartition("/")[0]] = "there"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="module")
def undisturbed(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[float, dict[str, str]]]:
    """Each command's files and duration without kills."""
    results = {}
    for what in COMMANDS:
        exp = tmp_path_factory.mktemp(what)
        began = time.monotonic()
        subprocess.run(command(data, exp, what), check=True, capture_output=True)
        results[what] = time.monotonic() - began, content(exp)
    return results


@pytest.mark.slow
@pytest.mark.usefixtures("heard_hangups")
@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_the_same_comes_out_and_nothing_is_left_over(
    data: Path, undisturbed: dict[str, Any], tmp_path: Path, what: str, how: signal.Signals
) -> None:
    seconds, expected = undisturbed[what]
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    generator, kills, finished = random.Random(how), 0, 0
    while kills < KILLS or not finished:
        exp = tmp_path / str(finished)
        with subprocess.Popen(command(data, exp, what), stdout=null, stderr=pipe, text=True) as running:
            try:
                running.wait(generator.uniform(0, seconds) if kills < KILLS else 60 + 10 * seconds)
            except subprocess.TimeoutExpired:
                assert kills < KILLS
                running.send_signal(how)
                kills += 1
            said = running.stderr.read()
        if running.returncode == 0:
            assert content(exp) == expected
            finished += 1
        elif how == signal.SIGKILL:
            assert running.returncode == -how, said
        else:
            # Before Python has taken the signal over, and when it is about to end, it is as without us.
            assert running.returncode in (128 + how, -how), said
            if running.returncode == 128 + how:
                assert f"asked to end by {how.name}; the same command goes on from what is saved" in said
            assert "Traceback" not in said
    print(f"{what}: {kills} x {how.name}, {finished} runs to the end, all as undisturbed")
