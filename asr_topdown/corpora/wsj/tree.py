"""The files of WSJ, found by their names in the corpus, independent of a copy's layout.

Index files name a recording by its disc and its path there, `11_1_1:wsj0/si_tr_s/01i/01ic0201.wv1`. Copies
differ in the folders above `wsj0`: disc folders (`11-1.1`, `11_1.1`), these below others (`csr_1_senn_d1`),
or none (all discs merged); and in case (`WSJ1/SI_DT_20/4K0/4K0C0301.WV1`). No path below `wsj0` or `wsj1` is
a different recording on another disc, so the disc is only a preference: a wrong one in an index file (13_32_1
for 13_33_1 in those of eval93) and merged copies need no special rule.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asr_topdown.files import require_folder, without_hidden

SPEAKER_LIST = "wsj0-train-spkrinfo.txt"
"""From LDC's web page; not on the discs, so it may be anywhere."""

_DISC = re.compile(r"\d\d[-_]\d{1,2}[._]\d")
_BELOW_ROOT = re.compile(r"docs?|trans|transcrp|s[id]_\w+")
_SUFFIXES = (".wv1", ".dot", ".ndx", "spkrinfo.txt")


class Found(NamedTuple):
    """A file and its disc: `11_1_1`, or "" if discs are merged."""

    disc: str
    path: Path


class Tree:
    """All recordings, transcripts and index files below some folders.

    Args:
        roots: folders with discs, discs, or merged copies of WSJ0 and WSJ1, in any order.

    Raises:
        FileNotFoundError: naming the folder that is missing, or all if they have nothing of WSJ.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._by_name: dict[str, list[Found]] = defaultdict(list)
        self._dots: dict[str, list[Path]] = defaultdict(list)
        self.speaker_lists: list[Path] = []
        for folder, names in _walk(roots):
            place = _place(folder)
            for name in names:
                lower = name.lower()
                if lower == SPEAKER_LIST:
                    self.speaker_lists.append(folder / name)
                elif place and lower.endswith(_SUFFIXES):
                    disc, below = place
                    self._by_name[f"{below}/{lower}"].append(Found(disc, folder / name))
                    if lower.endswith(".dot"):
                        self._dots[lower.removesuffix(".dot")].append(folder / name)
        if not self._by_name:
            where = ", ".join(map(str, roots)) or "no folder given"
            raise FileNotFoundError(
                f"{where}: nothing of WSJ found (no wsj0 or wsj1 with doc, trans, transcrp or si_* in it)"
            )

    def find(self, name: str, disc: str = "") -> Path | None:
        """Find the file `name` (`wsj0/…`, lower case), on `disc` (`11_1_1`) if several discs have it."""
        found = self._by_name.get(name, [])
        return min(found, key=lambda f: (f.disc != disc, f)).path if found else None

    def below(self, folder: str) -> list[str]:
        """List the names of all recordings below `folder` (`wsj1/si_dt_20`), sorted."""
        return sorted(
            name for name in self._by_name if name.startswith(f"{folder}/") and name.endswith(".wv1")
        )

    def dots(self, session: str) -> list[Path]:
        """Return the transcript files named `session`.dot."""
        return self._dots.get(session, [])


def _place(folder: Path) -> tuple[str, str] | None:
    """Return a folder's disc and name: ("11_1_1", "wsj0/doc") for `/x/11-1.1/WSJ0/doc`; None outside WSJ."""
    parts = [part.lower() for part in folder.parts]
    for i, part in enumerate(parts):
        # Folders above the discs may also be named wsj0 and wsj1, and wsj1 has folders named wsj1.
        if part in ("wsj0", "wsj1"):
            disc = parts[i - 1] if i and _DISC.fullmatch(parts[i - 1]) else ""
            if disc or (i + 1 < len(parts) and _BELOW_ROOT.fullmatch(parts[i + 1])):
                return re.sub("[-.]", "_", disc), "/".join(parts[i:])
    return None


def _walk(roots: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Iterate over folders with their files, each folder once, following links."""
    seen: set[tuple[int, int]] = set()
    for root in roots:
        require_folder(root)
        for folder, subfolders, names in os.walk(root.absolute(), onerror=_raise, followlinks=True):
            state = os.stat(folder)
            if (state.st_dev, state.st_ino) in seen:
                subfolders.clear()
                continue
            seen.add((state.st_dev, state.st_ino))
            subfolders.sort()
            yield Path(folder), sorted(path.name for path in without_hidden(map(Path, names)))


def _raise(error: OSError) -> None:
    raise error
