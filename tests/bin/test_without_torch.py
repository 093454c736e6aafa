"""Commands that compute no network run without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from toy_experiment import write_experiment, write_reference

WITHOUT = """
import sys
class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is away")
sys.meta_path.insert(0, Away())
from asr_topdown.bin.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipe")
    (root / "c.yaml").write_text("text: {unit: char}\n")
    write_experiment(write_reference(root))
    return root


def folders(recipe: Path) -> tuple[Path, Path]:
    """The experiment, and the folder of the reference."""
    (study,) = recipe.rglob("results/*.json")
    (reference,) = (path for path in recipe.rglob("text") if "decode" not in path.parts)
    return study.parents[1], reference.parent


@pytest.mark.parametrize("command", ["config", "tokens", "validate", "score", "score --exp", "report"])
def test_commands_that_compute_nothing_import_no_torch(command: str, recipe: Path, tmp_path: Path) -> None:
    exp, reference = folders(recipe)
    decoded = next(exp.glob("decode/*/*/text"))
    arguments = {
        "config": [recipe / "c.yaml"],
        "tokens": ["--config", recipe / "c.yaml", "--train", reference, "--out", tmp_path / "tokens.txt"],
        "validate": ["--no-wav", "--no-text", reference],
        "score": [reference / "text", decoded],
        "score --exp": [reference, "--exp", exp],
        "report": [exp],
    }[command]
    words = [str(word) for word in (command.split()[0], *arguments)]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True)
    assert "torch is away" not in done.stderr, done.stderr
    # The toy has no utt2spk: that is said.
    assert done.returncode == (1 if command == "validate" else 0), done.stdout + done.stderr
