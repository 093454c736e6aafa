"""`asr-topdown init`, and the recipe for your own corpus on invented sound."""

import json
import os
import random
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from asr_topdown.bin.main import main

SENTENCES = 60
TINY = """
include: [blstm_ctc.yaml]
features: {fbank: {sample_rate: 8000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 2, hidden_size: 24, stack: 2}]}
train: {epochs: 6, patience: 6, utterances_per_batch: 8, optimizer: {lr: 0.01}, specaugment: null}
"""


@pytest.fixture
def recordings(tmp_path, write_tones):
    """Four speakers' recordings, at 16 kHz and 8 kHz, and a table of what they say."""
    draw = random.Random(1)
    folder = tmp_path / "recordings"
    lines = ["path,sentence,speaker"]
    for number in range(SENTENCES):
        words = ["".join(draw.choices("abcdé", k=draw.randint(2, 4))) for _ in range(draw.randint(2, 4))]
        speaker = f"s{number % 4}"
        rate = 16000 if number % 3 else 8000
        write_tones(folder / speaker / f"{number}.wav", " ".join(words), rate=rate)
        lines.append(f'{speaker}/{number}.wav,"{" ".join(words).capitalize()}!",{speaker}')
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run(folder: Path, *options: str, path: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PATH": f"{path}{os.pathsep}{environment['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [folder / "run.sh", *options],
        env=environment,
        cwd=folder.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def check(folder: Path) -> None:
    (study,) = (folder / "exp" / "tiny" / "results").glob("*.json")
    assert json.loads(study.read_text())
    results = [
        json.loads(path.read_text()) for path in (folder / "exp/tiny/decode").glob("*/test/result.json")
    ]
    assert min(result["cer"] for result in results) < 0.6
    assert "<html" in (folder / "exp" / "tiny" / "report" / "report.html").read_text()


OPTIONS = ("--config", "conf/tiny.yaml", "--split-by", "speaker", "--split", "train:0.5,dev:0.25,test:0.25")


@pytest.mark.slow
def test_from_a_table_to_the_report(tmp_path, recordings, copy):
    folder = tmp_path / "mine"
    assert main(["init", str(folder)]) == 0
    (folder / "conf" / "tiny.yaml").write_text(TINY)
    said = run(folder, "--source", "recordings/table.csv", *OPTIONS, path=copy / "bin")
    assert "sound from `path`, text from `sentence`, speaker from `speaker`" in said
    check(folder)
    speakers = [
        {line.split()[1] for line in (folder / "data" / part / "utt2spk").read_text().splitlines()}
        for part in ("train", "dev", "test")
    ]
    assert [len(names) for names in speakers] == [2, 1, 1]
    assert "é" in (folder / "exp" / "tiny" / "tokens.txt").read_text()


def test_the_table_is_missing(tmp_path, copy):
    folder = tmp_path / "mine"
    assert main(["init", str(folder)]) == 0
    environment = {**os.environ, "PATH": f"{copy / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([folder / "run.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: --source is missing: where are the transcripts?" in done.stderr


@pytest.mark.slow
def test_the_wheel_in_an_environment_of_its_own(tmp_path, recordings, repository):
    """Built, installed, and used outside the checkout."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", tmp_path / "dist", repository], check=True)
    (wheel,) = (tmp_path / "dist").glob("asr_topdown-*.whl")
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    (packages,) = place.glob("lib/python*/site-packages")
    # The packages of this environment are there too, but for the checkout, which an editable install adds in
    # another way.
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "those_here.pth").write_text("\n".join(here))
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, "--force-reinstall", wheel], check=True)
    where = [python, "-c", "import asr_topdown; print(asr_topdown.__file__)"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = subprocess.run(where, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert found.stdout.startswith(str(place))
    assert (packages / "asr_topdown" / "py.typed").exists()
    command = place / "bin" / "asr-topdown"
    folder = tmp_path / "mine"
    subprocess.run([command, "init", folder], check=True, cwd=tmp_path, env=environment)
    (folder / "conf" / "tiny.yaml").write_text(TINY)
    run(folder, "--source", "recordings/table.csv", *OPTIONS, path=place / "bin")
    check(folder)
