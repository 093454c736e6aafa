"""The genders of WSJ's speakers."""

import re
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora.wsj.tree import SPEAKER_LIST, Tree

_LISTS = (
    ("11_13_1", "wsj0/doc/spkrinfo.txt"),
    ("13_32_1", "wsj1/doc/evl_spok/spkrinfo.txt"),
    ("13_34_1", "wsj1/doc/dev_spok/spkrinfo.txt"),
    ("13_34_1", "wsj1/doc/train/spkrinfo.txt"),
)
_LIST_LINES = 134
_LINE = re.compile(r"(\w{3})\s+([mf])(\s.*)?")
_NOT_LISTED = {"01l": "m"}


def genders(tree: Tree) -> dict[str, str]:
    """Read speaker -> `m` or `f` from all lists found.

    Print a warning if the list from LDC's web page is truncated or changed.
    """
    lists = [path for disc, name in _LISTS if (path := tree.find(name, disc))]
    for path in tree.speaker_lists:
        lines = len(path.read_bytes().splitlines())
        if lines != _LIST_LINES:
            print(f"warning: {path}: {lines} lines, but LDC's {SPEAKER_LIST} has {_LIST_LINES}")
    found: dict[str, str] = {}
    for path in [*lists, *tree.speaker_lists]:
        found.update(read_speakers(path))
    return {**_NOT_LISTED, **found} if found else {}


def read_speakers(path: Path) -> dict[str, str]:
    """Read speaker -> `m` or `f` from a list of lines `speaker gender …`; comments begin with `;`."""
    found = {}
    for line in files.lines_of(files.read_text(path, otherwise="latin-1").lower()):
        fields = _LINE.fullmatch(line.strip())
        if fields and "--" not in line:
            found[fields[1]] = fields[2]
    return found
