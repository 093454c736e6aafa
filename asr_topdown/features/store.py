"""Where features lie on disk, and reading them.

`asr-topdown features data/train` writes arks into `data/train/feats/` and, as Kaldi does, their paths into
`data/train/feats.scp` as the folder was named: relative to the recipe's folder if it was, where Kaldi's tools
find them too. An ark's name holds a hash of what it was made from, so a file of the right name is the right
one, and a moved data directory can be searched for it.
"""

import re
from pathlib import Path

import kaldiio
import numpy as np

ARKS = "feats"
"""The folder of the arks, within the data directory."""


def locate(entry: str, folder: Path | str) -> str:
    """An entry of feats.scp with the path at which its ark lies now.

    Looked for first in `folder` (it was moved), then in a sibling of `folder` (a subset or a combination,
    moved together with its source), then as written.

    Args:
        entry: `ark:offset`, without the utterance.
        folder: the data directory whose feats.scp holds it.
    """
    match = re.fullmatch(r"(.+?)((?::\d+)(?:\[[\d:,]*\])?)", entry)
    if match is None:
        return entry  # a pipe, a file without an offset: as Kaldi takes it
    ark, position = Path(match[1]), match[2]
    if ark.parent.name == ARKS:
        folder = Path(folder)
        for moved in (folder / ARKS / ark.name, folder.parent.joinpath(*ark.parts[-3:])):
            if moved.is_file():
                return f"{moved}{position}"
    return entry


def load(entry: str, folder: Path | str) -> np.ndarray:
    """Features (T, D), float32, read-only memory or not as kaldiio gives it.

    Raises:
        FileNotFoundError: naming the ark, if it is nowhere.
        ValueError: naming the entry, if there is no matrix at that place.
    """
    place = locate(entry, folder)
    try:
        feats = kaldiio.load_mat(place)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{place}: no such file; run `asr-topdown features {folder}` again"
        ) from error
    # kaldiio gives whatever its parsing of other bytes runs into.
    except Exception as error:
        raise ValueError(f"{place}: not a matrix of features ({error or type(error).__name__})") from error
    if not isinstance(feats, np.ndarray) or feats.ndim != 2:
        raise ValueError(f"{place}: not a matrix of features")
    return feats.astype(np.float32, copy=False)
