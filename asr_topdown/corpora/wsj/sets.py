"""The sets of WSJ, their index files and sizes."""

import re
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files


class Index(NamedTuple):
    """An index file, and its disc (other discs may have older versions)."""

    disc: str
    name: str


class WsjSet(NamedTuple):
    """A set.

    Attributes:
        name: as in Kaldi.
        indices: its index files; () = all recordings below `folder`.
        utterances: possible numbers in LDC's distribution; copies are known to differ in one set.
        words, characters: likewise, without <NOISE>, and with the spaces between words; None = not published.
    """

    name: str
    indices: tuple[Index, ...] = ()
    folder: str = ""
    utterances: tuple[int, ...] = ()
    words: int | None = None
    characters: int | None = None


_SI84 = Index("11_13_1", "wsj0/doc/indices/train/tr_s_wv1.ndx")
_SI200 = Index("13_34_1", "wsj1/doc/indices/si_tr_s.ndx")
_NVP = "wsj0/doc/indices/test/nvp"
_EVAL = "wsj1/doc/indices/wsj1/eval"

# Utterances: Kaldi and two other recipes; words and characters: ESPnet's results.
SETS: tuple[WsjSet, ...] = (
    WsjSet("train_si84", (_SI84,), utterances=(7138,)),
    WsjSet("train_si284", (_SI84, _SI200), utterances=(37416,)),
    WsjSet(
        "test_dev93",
        (Index("13_34_1", "wsj1/doc/indices/h1_p0.ndx"),),
        utterances=(503,),
        words=8234,
        characters=48634,
    ),
    WsjSet(
        "test_eval92",
        (Index("11_13_1", f"{_NVP}/si_et_20.ndx"),),
        utterances=(333,),
        words=5643,
        characters=33341,
    ),
    WsjSet("test_eval93", (Index("13_32_1", f"{_EVAL}/h1_p0.ndx"),), utterances=(213,)),
    WsjSet("test_dev93_5k", (Index("13_34_1", "wsj1/doc/indices/h2_p0.ndx"),), utterances=(513,)),
    WsjSet("test_eval92_5k", (Index("11_13_1", f"{_NVP}/si_et_05.ndx"),), utterances=(330,)),
    WsjSet("test_eval93_5k", (Index("13_32_1", f"{_EVAL}/h2_p0.ndx"),), utterances=(215, 213)),
    WsjSet("dev_dt_20", folder="wsj1/si_dt_20", utterances=(503,)),
    WsjSet("dev_dt_05", folder="wsj1/si_dt_05", utterances=(913,)),
)
NEEDED = ("train_si84", "train_si284", "test_dev93", "test_eval92")
"""The recipe's sets; the others are optional."""

NOT_ON_DISC = ("11_2_1", "wsj0/si_tr_s/401/")
"""98 recordings of one speaker are in the index of si84 but were never on the discs."""

_LINE = re.compile(r"([\d_.-]+):\s*/?(\S+)")


class Entry(NamedTuple):
    """A line of an index file: the disc, `11_1_1`, and the path there in lower case."""

    disc: str
    name: str


def read_index(path: Path) -> list[Entry]:
    """Read the recordings in an index file, without those known to be on no disc.

    Raises:
        ValueError: naming file and line, if a line is neither a comment nor `disc:path`.
    """
    entries = []
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if not line.strip() or line.startswith(";"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{path}:{number}: not `disc:path`: {line.strip()!r}")
        disc, name = re.sub("[-.]", "_", found[1]), found[2].lower()
        if not name.endswith((".wv1", ".wv2")):
            name += ".wv1"  # missing in the index files of eval92
        if disc != NOT_ON_DISC[0] or not name.startswith(NOT_ON_DISC[1]):
            entries.append(Entry(disc, name))
    return entries
