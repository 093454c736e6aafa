"""`asr-topdown init`: creates a folder with a recipe, ready to run."""

import argparse
import importlib.resources
import re
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

HELP = "create a recipe: for your own corpus, or a copy of an existing one"
EXAMPLE = """
asr-topdown init mycorpus
mycorpus/run.sh --source recordings/table.csv

asr-topdown init first --from prompts
"""

OWN = "own"
# In the repository recipes are in egs/NAME, and what they share is next to egs; here all is in one folder.
_MOVED = (
    (re.compile(r"\.\./\.\./\.\./conf/"), ""),
    (re.compile(r"\.\./\.\./\.\./utils/"), "../utils/"),
    (re.compile(r"\.\./\.\./utils/"), "utils/"),
)

_LEFT = ("RESULTS.md", "gpu_slice.sh")  # of the repository: the second needs its benchmarks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the new folder, and the recipe that it is a copy of."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder to create")
    parser.add_argument(
        "--from",
        dest="recipe",
        default=OWN,
        metavar="RECIPE",
        help="prompts, fsdd, an4 … (default: %(default)s, for your own corpus)",
    )


def run(args: argparse.Namespace) -> None:
    """Copy the recipe, `conf/` and `utils/`, and print how to run it.

    Raises:
        FileExistsError: if the folder exists and is not empty.
        ValueError: naming a recipe that does not exist.
    """
    from asr_topdown import files

    shared = recipes_folder()
    names = sorted(folder.name for folder in (shared / "egs").iterdir() if (folder / "run.sh").is_file())
    if args.recipe not in names:
        raise ValueError(f"--from {args.recipe}: no such recipe; there are {', '.join(names)}")
    run_sh = args.folder / "run.sh"
    wanted = _recipe(shared, args.recipe)
    if not _is_unfinished(args.folder, wanted):
        raise FileExistsError(f"{args.folder}: there, and not empty")
    # run.sh comes last: without it, the folder is unfinished.
    for path in sorted(wanted, key=lambda one: one == Path(run_sh.name)):
        mode = 0o777 if wanted[path].startswith("#!") else 0o666
        files.write_text(args.folder / path, wanted[path], mode=mode)
    options = " --source TABLE" if args.recipe == OWN else ""
    # A shell looks for `run.sh` on the PATH only.
    pasted = files.command(run_sh if "/" in str(run_sh) else f"./{run_sh}")
    print(f"{args.folder}: recipe {args.recipe}", f"  {pasted} --help", f"  {pasted}{options}", sep="\n")


def _recipe(shared: Traversable, name: str) -> dict[Path, str]:
    """Return path and text of each file of a recipe that stands on its own."""
    sources = [(shared / "egs" / name, Path())]
    sources += [(shared / one, Path(one)) for one in ("conf", "utils")]
    found = {}
    for source, target in sources:
        for path, content in _contents(source):
            for pattern, replacement in _MOVED:
                content = pattern.sub(replacement, content)
            found[target / path] = content
    return found


def _is_unfinished(folder: Path, wanted: Mapping[Path, str]) -> bool:
    """Whether `folder` is empty or absent, or has a part of what is wanted, and nothing else, since this
    command was stopped, as on a full disk.
    """
    from asr_topdown.files import remove_leftovers

    parents = {parent for path in wanted for parent in path.parents}

    def is_ours(path: Path) -> bool:
        name = path.relative_to(folder)
        if path.is_dir():
            return name in parents
        return name in wanted and path.read_bytes() == wanted[name].encode()

    if not folder.exists():
        return True
    for parent in parents:
        remove_leftovers(folder / parent)
    return not (folder / "run.sh").exists() and all(map(is_ours, folder.rglob("*")))


def recipes_folder() -> Traversable:
    """Find the folder with `egs`, `conf` and `utils`: in the package or, in a checkout, next to it.

    Raises:
        FileNotFoundError: if they are in neither.
    """
    package = importlib.resources.files("asr_topdown")
    for folder in (package / "share", Path(str(package)).parent):
        if (folder / "egs" / OWN / "run.sh").is_file():
            return folder
    raise FileNotFoundError(f"{package}/share: the recipes are missing; install asr_topdown again")


def _contents(folder: Traversable, below: Path = Path()) -> Iterator[tuple[Path, str]]:
    """Return path and text of each file of a recipe, without data, experiments and results."""
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir() and entry.name not in ("data", "exp", "downloads", "results"):
            yield from _contents(entry, below / entry.name)
        elif entry.name.endswith((".sh", ".yaml", ".txt", ".md")) and entry.name not in _LEFT:
            yield below / entry.name, entry.read_text(encoding="utf-8")
