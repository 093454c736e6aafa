"""The location of features on disk, and reading them.

`asr-topdown features data/train` writes arks into `data/train/feats/` and, like Kaldi, their paths into
`data/train/feats.scp` in the form in which the folder was given: if relative to the recipe's folder, Kaldi's
tools find them there too. An ark's name contains a hash of its source, so a file with the right name is the
right one, and a moved data directory can be searched for it.
"""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from asr_topdown.features import ark
from asr_topdown.features.content import making

ARKS = "feats"
"""The folder of the arks, within the data directory."""
_NAME = re.compile(r"feats\.[0-9a-f]{16}\.\d+of\d+\.ark")
"""An ark of this toolkit. Others use folders called `feats`, too."""


def locate(entry: str, folder: Path | str) -> str:
    """An entry of feats.scp with the current path of its ark.

    An ark is searched for in `folder` (it was moved), then in a sibling of `folder` (a subset or a
    combination, moved together with its source), then at the path as written; if it is another program's,
    whose name others may have, too, first at the path as written.

    Args:
        entry: `ark:offset`, without the utterance.
        folder: the data directory whose feats.scp holds it.
    """
    match = re.fullmatch(r"(.+?)((?::\d+)(?:\[[\d:,]*\])?)", entry)
    if match is None:
        return entry  # a file without an offset, or a command
    written, folder = Path(match[1]), Path(folder)
    places: list[Path] = []
    if written.parent.name == ARKS:
        places = [folder / ARKS / written.name, folder.parent.joinpath(*written.parts[-3:])]
    if not made_here(written):
        places.insert(0, written)
    return next((f"{place}{match[2]}" for place in places if place.is_file()), entry)


def made_here(archive: Path) -> bool:
    """Whether an archive is one of this toolkit, by its name and that of its folder."""
    return archive.parent.name == ARKS and _NAME.fullmatch(archive.name) is not None


def remove_others(folder: Path, kept: Collection[str]) -> None:
    """Remove this toolkit's archives from `folder`, except those with the names `kept`."""
    for archive in filter(made_here, folder.glob("*.ark")):
        if archive.name not in kept:
            archive.unlink(missing_ok=True)


def load(entry: str, folder: Path | str) -> np.ndarray:
    """Features (T, D), float32, possibly in read-only memory.

    Raises:
        FileNotFoundError: naming the ark, if it is not found.
        ValueError: naming the entry, if there is no matrix at that location, or if it is a command.
    """
    place = locate(entry, folder)
    try:
        feats = ark.load(place)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place}: no such file; run `{making(folder)}` again") from error
    if feats.ndim != 2:
        raise ValueError(f"{place}: a vector, not a matrix of features")
    return feats.astype(np.float32, copy=False)
