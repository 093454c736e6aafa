"""`egs/prompts/run.sh` from stage 0 to 7 on a toy corpus whose letters are tones; a tiny network reads it."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

SENTENCES = 90
TINY = """
features: {fbank: {sample_rate: 8000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 2, hidden_size: 24, stack: 2}], ctc: {}}
train: {epochs: 8, patience: 8, utterances_per_batch: 8, optimizer: {lr: 0.01}}
schedule: {controls: [scratch, freeze_lowest, keep]}
"""


@pytest.fixture
def sounds(tmp_path: Path, write_tones: Callable[..., Path]) -> Path:
    """A folder as Asterisk ships it: wavs, some in a subfolder, a tone, and the file of transcripts."""
    draw = random.Random(1)
    folder = tmp_path / "sounds"
    lines = ["; name: transcript", "beep: [a tone]"]
    write_tones(folder / "beep.wav", "x")
    for number in range(SENTENCES):
        words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 4))) for _ in range(draw.randint(2, 4))]
        name = f"digits/s{number}" if number % 3 == 0 else f"s{number}"
        write_tones(folder / f"{name}.wav", " ".join(words))
        lines.append(f"{name}: {' '.join(words).capitalize()}.")
    (folder / "core-sounds-en.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.slow
def test_from_sounds_to_report(sounds, copy, run_recipe, done_work):
    recipe = copy / "egs" / "prompts"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = [
        "--prompts",
        str(sounds),
        "--config",
        "conf/tiny.yaml",
        "--tag",
        "tiny",
        "--seeds",
        "3",
        "--nj",
        "2",
    ]
    done = run_recipe("prompts", *options)
    assert done.returncode == 0, done.stdout

    transcripts = {}
    for part in ("train", "dev", "test"):
        lines = (recipe / "data" / part / "text").read_text().splitlines()
        transcripts[part] = dict(line.split(maxsplit=1) for line in lines)
    assert sum(map(len, transcripts.values())) == SENTENCES  # the tone is left out

    exp = recipe / "exp" / "tiny"
    assert json.loads((exp / "results" / "study.json").read_text())
    decoded = sorted((exp / "decode").glob("*/test"))
    nodes = [path for path in (exp / "nodes").iterdir() if (path / "done.json").exists()]
    assert len(decoded) == len(nodes) >= 4  # joint, one step down, and the controls
    for folder in decoded:
        assert {line.split()[0] for line in (folder / "text").read_text().splitlines()} == transcripts[
            "test"
        ].keys()
    # Guessing gives about 90 %; a network that reads tones at all is far below.
    assert min(json.loads((folder / "result.json").read_text())["cer"] for folder in decoded) < 0.3
    assert "CER" in (exp / "report" / "report.md").read_text()
    assert list((exp / "report").glob("*.png"))

    before = done_work(exp)
    again = run_recipe("prompts", *options)
    assert again.returncode == 0, again.stdout
    assert done_work(exp) == before
