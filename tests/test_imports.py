"""The import ranks of CONTRIBUTING.md, checked in the source."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "asr_topdown"

# A part imports only from the rows above its own, or from itself.
RANKS = """
files hashes logs progress layers
text audio losses nn engines schedule pretrained_folder
features score weights
config datadir models
data corpora
build
decode
train transcription export probing
runs
study
report
bin
"""
RANK = {name: rank for rank, row in enumerate(RANKS.strip().splitlines()) for name in row.split()}
ENGINES = {"submitit", "ray", "dask", "joblib", "executorlib"}
NEVER = {"egs", "tests", "benchmarks", "torchaudio", "warp_rnnt", "kaldiio"}
# Other implementations that a user may have, imported inside a function where they are used.
OPTIONAL = {
    "nn.transducer_loss": {"torchaudio", "warp_rnnt"},
    "runs.lora": {"peft"},
    "models.pretrained.library": {"transformers"},
    "pretrained_folder": {"huggingface_hub"},
    "export.graph": {"onnx"},
    "export.recognizer": {"onnx", "onnxruntime"},
    "bin.export": {"onnx", "onnxruntime"},
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in SOURCES}


def imports_of(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of imported modules; `from asr_topdown import audio` counts as asr_topdown.audio."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body if top_level_only else ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{path}: relative import"
            for alias in statement.names:
                full = f"{statement.module}.{alias.name}"
                inside = full.removeprefix("asr_topdown.") in MODULES
                yield full if inside else str(statement.module)


def house_imports(path: Path) -> set[str]:
    return {name.partition(".")[2] for name in imports_of(path) if name.split(".")[0] == "asr_topdown"} - {""}


def part(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_only_from_lower_ranks(path: Path) -> None:
    own = part(module_of(path))
    if not own:
        return  # asr_topdown/__init__.py is the door, above everything
    assert own in RANK, f"give {own!r} a place in RANKS and in CONTRIBUTING.md"
    for module in house_imports(path):
        assert part(module) == own or RANK[part(module)] < RANK[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_packages_from_outside_are_imported_only_where_allowed(path: Path) -> None:
    outside = {name.partition(".")[0] for name in imports_of(path)}
    optional = OPTIONAL.get(module_of(path), set())
    assert not outside & (NEVER - optional)
    assert not {name.partition(".")[0] for name in imports_of(path, top_level_only=True)} & optional
    if part(module_of(path)) == "engines":
        outside = {name.partition(".")[0] for name in imports_of(path, top_level_only=True)}
    assert not outside & ENGINES, "engines belong in engines/, inside the function that needs them"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_everything_imported_is_declared(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {line.partition(">")[0].replace("PyYAML", "yaml") for line in project["dependencies"]}
    allowed = declared | ENGINES | sys.stdlib_module_names | {"asr_topdown"}
    allowed |= OPTIONAL.get(module_of(path), set())
    assert {name.partition(".")[0] for name in imports_of(path)} <= allowed


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if part(module_of(path)) == "schedule"], ids=module_of
)
def test_searches_need_the_standard_library_only(path: Path) -> None:
    outside = {name for name in imports_of(path) if name.split(".")[0] not in sys.stdlib_module_names}
    assert all(part(name.removeprefix("asr_topdown.")) == "schedule" for name in outside), outside
    heavy = "'torch' in sys.modules or 'numpy' in sys.modules"
    loaded = f"import sys, asr_topdown.{module_of(path)}; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT).returncode == 0


def test_the_ranks_name_no_ghosts() -> None:
    assert set(RANK) <= {part(module) for module in MODULES}
