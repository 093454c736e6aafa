"""The sound files that a user names, and the names of their results."""

import glob
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_topdown.corpora.table.recordings import SUFFIXES
from asr_topdown.files import without_hidden


def expand(arguments: Iterable[str], lines: Iterable[str]) -> list[str]:
    """List the sound files that arguments name.

    Args:
        arguments: files (missing ones are reported when read), folders (all sound files in them, at any
            depth), patterns such as `calls/*.wav`, and `-` for `lines`.
        lines: file names, one each.

    Raises:
        ValueError: naming a folder without sound files, or a pattern without matches.
    """
    found: list[str] = []
    for argument in arguments:
        if argument == "-":
            found += _listed(lines)
        elif Path(argument).is_dir():
            below = without_hidden(Path(argument).rglob("*"))
            inside = sorted(path for path in below if path.suffix.lower() in SUFFIXES)
            if not inside:
                raise ValueError(f"{argument}: no sound files in it, at any depth ({', '.join(SUFFIXES)})")
            found += map(str, inside)
        elif glob.has_magic(argument) and not Path(argument).exists():
            matching = sorted(glob.glob(argument, recursive=True))
            if not matching:
                raise ValueError(f"{argument}: matches no file")
            found += matching
        else:
            found.append(argument)
    return found


def _listed(lines: Iterable[str]) -> list[str]:
    """Names, one per line, or as `find -print0` writes them; without the byte-order mark of Windows."""
    names = (name.strip().removeprefix("\ufeff") for line in lines for name in line.split("\0"))
    return [name for name in names if name]


def result_names(files: Sequence[str]) -> list[str]:
    """Return a unique name for each file's result: its name without folder and suffix, if these are unique.

    Otherwise the path, its parts joined by `_`; repeated ones are numbered from 2, without the names that
    other files have.
    """
    stems = [Path(file).stem for file in files]
    if len(set(stems)) < len(stems):
        # A name that begins with ".." would be hidden.
        parts = [Path(file).with_suffix("").parts for file in files]
        stems = ["_".join(part for part in one if part not in ("/", "..")) for one in parts]
    taken = set(stems)
    seen: set[str] = set()
    names = []
    for stem in stems:
        free = (f"{stem}-{number}" for number in itertools.count(2))
        name = stem if stem not in seen else next(other for other in free if other not in taken)
        seen.add(stem)
        taken.add(name)
        names.append(name)
    return names
