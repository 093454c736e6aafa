"""`asr-topdown doctor`: checks that this machine has all that is required, and lists optional tools."""

import argparse
import importlib
import importlib.metadata
import os
import pkgutil
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import asr_topdown

HELP = "check Python, packages, processor, tools and disk; report what is missing and how to fix it"
EXAMPLE = "asr-topdown doctor"

# Distribution -> module. A test keeps this equal to pyproject.toml.
REQUIRED = {
    "torch": "torch",
    "numpy": "numpy",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "PyYAML": "yaml",
    "pydantic": "pydantic",
    "rapidfuzz": "rapidfuzz",
    "safetensors": "safetensors",
    "sentencepiece": "sentencepiece",
    "tensorboard": "tensorboard",
    "matplotlib": "matplotlib",
    "tqdm": "tqdm",
}
# Program -> what it is for, and what to do without it. None is needed to train, decode or score.
OPTIONAL = {
    "sclite": "compares our scores with NIST's; tools/install_sctk.sh, or apt-get install sctk",
    "espeak-ng": "synthesises speech for toy corpora; apt-get install espeak-ng",
    "sbatch": "Slurm, to train on a cluster; not needed on a single machine",
    "sph2pipe": "for a wav.scp that calls it; SPHERE files are read without it",
    "sox": "for a wav.scp that calls it; apt-get install sox",
}
SCTK_FOLDERS = (Path(__file__).parents[2] / "tools" / "sctk" / "bin", Path("/usr/lib/sctk/bin"))
LOW_DISK_GB = 2.0

State = Literal["OK", "missing", "warning", "BROKEN"]


class Finding(NamedTuple):
    """One line of output; only `BROKEN` makes the command fail."""

    state: State
    what: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder whose disk is examined."""
    parser.add_argument("--disk", type=Path, default=Path("."), help="folder whose free space to check")


def run(args: argparse.Namespace) -> int:
    """Print each finding at once; exit code 1 if something required is broken."""
    broken = 0
    for check in (_python, _packages, _own_modules, _torch, _tools):
        for finding in check():
            broken += _show(finding)
    broken += _show(_disk(args.disk))
    print(f"{broken} required thing(s) broken: see above" if broken else "everything required is in place")
    return 1 if broken else 0


def _show(finding: Finding) -> bool:
    print(f"{finding.state:<8} {finding.what}", flush=True)
    return finding.state == "BROKEN"


def _python() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("OK", f"asr-topdown {asr_topdown.__version__} in {Path(asr_topdown.__file__).parent}")
    state: State = "OK" if sys.version_info >= (3, 11) else "BROKEN"
    yield Finding(state, f"Python {platform.python_version()} (3.11 or newer) at {sys.executable}")
    yield Finding("OK", f"{platform.platform()}, {cores} core(s) for this process")


def _packages() -> Iterator[Finding]:
    present = []
    for distribution, module in REQUIRED.items():
        problem = _import_problem(module)
        if problem:
            yield Finding("BROKEN", f"{distribution}: {problem}; run tools/install.sh")
        else:
            present.append(f"{distribution} {_version(distribution)}")
    if present:
        yield Finding("OK", ", ".join(present))


def _own_modules() -> Iterator[Finding]:
    names = [info.name for info in pkgutil.walk_packages(asr_topdown.__path__, "asr_topdown.")]
    problems = {name: problem for name in names if (problem := _import_problem(name))}
    for name, problem in problems.items():
        yield Finding("BROKEN", f"{name}: {problem}")
    if not problems:
        yield Finding("OK", f"all {len(names)} modules of asr_topdown can be imported")


def _torch() -> Iterator[Finding]:
    if _import_problem("torch"):
        return
    import torch

    asked = os.environ.get("OMP_NUM_THREADS")
    source = (
        f"OMP_NUM_THREADS={asked}" if asked else "OMP_NUM_THREADS is not set; a training sets run.threads"
    )
    yield Finding("OK", f"torch uses {torch.get_num_threads()} thread(s) ({source})")
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        yield Finding("OK", f"GPU {index}: {torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
    if not torch.cuda.is_available():
        yield Finding("OK", "no GPU that torch can use: trainings run on the CPU")
        yield _cpu_speed()


def _cpu_speed() -> Finding:
    """Measure matrix-product rates, which show whether bfloat16 is faster on this processor."""
    import torch

    from asr_topdown.nn import matrix_product

    clock = matrix_product.clock()
    libraries = matrix_product.rates(512, repeats=20, clock=clock)
    float32, bfloat16 = (
        max(found.values())
        for found in (libraries, matrix_product.rates(512, torch.bfloat16, repeats=20, clock=clock))
    )
    verdict = "try train.precision=bfloat16" if bfloat16 > 1.5 * float32 else "stay with float32"
    each = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in libraries.items())
    speed = f"float32 {float32 / 1e9:.0f} GFLOP/s ({each}), bfloat16 {bfloat16 / float32:.2g} × that"
    return Finding("OK", f"matrix products: {speed}: {verdict}")


def _tools() -> Iterator[Finding]:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, SCTK_FOLDERS)])
    for program, purpose in OPTIONAL.items():
        where = shutil.which(program, path=path)
        yield (
            Finding("OK", f"{program}: {where}")
            if where
            else Finding("missing", f"{program} (optional): {purpose}")
        )


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    advice = "" if free >= LOW_DISK_GB else f"; less than {LOW_DISK_GB:.0f} GB may not hold an experiment"
    return Finding("warning" if advice else "OK", f"{free:.1f} GB free in {folder.resolve()}{advice}")


def _import_problem(module: str) -> str | None:
    """Return in one line why `module` cannot be imported; None if it can."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken installation raises anything
        return f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
    return None


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(version unknown)"
