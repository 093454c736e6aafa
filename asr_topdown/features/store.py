"""The location of features on disk, and reading them.

`asr-topdown features data/train` writes arks into `data/train/feats/` and, like Kaldi, their paths into
`data/train/feats.scp` in the form in which the folder was given: if relative to the recipe's folder, Kaldi's
tools find them there too. An ark's name contains a hash of its source, so a file with the right name is the
right one, and a moved data directory can be searched for it.
"""

import re
from pathlib import Path

import numpy as np

from asr_topdown.features import ark

ARKS = "feats"
"""The folder of the arks, within the data directory."""


def locate(entry: str, folder: Path | str) -> str:
    """An entry of feats.scp with the current path of its ark.

    The ark is searched for first in `folder` (it was moved), then in a sibling of `folder` (a subset or a
    combination, moved together with its source), then at the path as written.

    Args:
        entry: `ark:offset`, without the utterance.
        folder: the data directory whose feats.scp holds it.
    """
    match = re.fullmatch(r"(.+?)((?::\d+)(?:\[[\d:,]*\])?)", entry)
    if match is None:
        return entry  # a file without an offset, or a command
    written, position = Path(match[1]), match[2]
    if made_here(written):
        folder = Path(folder)
        for moved in (folder / ARKS / written.name, folder.parent.joinpath(*written.parts[-3:])):
            if moved.is_file():
                return f"{moved}{position}"
    return entry


def made_here(archive: Path) -> bool:
    """Whether an archive is one of this toolkit, by the name of its folder."""
    return archive.parent.name == ARKS


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
        raise FileNotFoundError(
            f"{place}: no such file; run `asr-topdown features {folder}` again"
        ) from error
    if feats.ndim != 2:
        raise ValueError(f"{place}: a vector, not a matrix of features")
    return feats.astype(np.float32, copy=False)
