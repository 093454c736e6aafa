"""The MS98 (ISIP) transcripts of Switchboard: download and parsing."""

import re
from collections.abc import Iterator
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora import download
from asr_topdown.corpora.calls import Utterance
from asr_topdown.corpora.swbd.acronyms import acronyms, spell, without_dots
from asr_topdown.corpora.swbd.words import map_words

ARCHIVES = (
    "https://www.openslr.org/resources/5/switchboard_word_alignments.tar.gz",
    "https://www.isip.piconepress.com/projects/switchboard/releases/switchboard_word_alignments.tar.gz",
)
ADVICE = "Download switchboard_word_alignments.tar.gz elsewhere, unpack it and name it with --transcripts DIR"
DICTIONARY = "sw-ms98-dict.text"
TRANSCRIPTS = 2 * 2435  # minimum number: two sides per call

_ID = re.compile(r"sw(\d{4})([AB])-ms98-a-\d+", re.IGNORECASE)


def fetch(downloads: Path) -> Path:
    """Return the folder with the transcripts under `downloads`, downloading it if it is missing.

    Raises:
        OSError: if they cannot be downloaded, with what was tried.
    """
    folder = downloads.resolve() / "switchboard_word_alignments"
    check = download.holds(TRANSCRIPTS, "*-trans.text")
    download.archive(folder, ARCHIVES, "the MS98 transcripts of Switchboard", ADVICE, check=check)
    return folder


def find_root(folder: Path) -> Path | None:
    """Find the folder with sw-ms98-dict.text, `folder` or one below it; None if there is none."""
    found = sorted(path for path in folder.rglob("*") if path.name.lower() == DICTIONARY)
    return found[0].parent if found else None


def read(root: Path) -> list[Utterance]:
    """Read all utterances with words, normalised for training.

    Raises:
        FileNotFoundError: if there are no `*-trans.text` files.
        ValueError: naming file and line of what cannot be read.
    """
    listed = files.without_hidden(root.rglob("*"))
    paths = sorted(path for path in listed if path.name.lower().endswith("-trans.text"))
    if not paths:
        raise FileNotFoundError(f"{root}: no *-trans.text files in it, at any depth")
    dictionary = next(path for path in sorted(root.iterdir()) if path.name.lower() == DICTIONARY)
    known = acronyms(files.read_lines(dictionary, otherwise="latin-1"))
    utterances = []
    for path in paths:
        for side, start, end, text in _lines(path):
            words = map_words(text)
            if words:
                utterances.append(Utterance(side, start, end, without_dots(spell(words, known))))
    return utterances


def _lines(path: Path) -> Iterator[Utterance]:
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        fields = line.split(maxsplit=3)
        if not fields:
            continue
        found = _ID.fullmatch(fields[0])
        try:
            if found is None or len(fields) < 3:
                raise ValueError
            start, end = files.number(fields[1]), files.number(fields[2])
        except ValueError:
            raise ValueError(
                f"{path}:{number}: not `swNNNNA-ms98-a-NNNN start end words`: {line.strip()!r}"
            ) from None
        # The sound files' names have one more digit.
        side = f"sw0{found[1]}-{found[2].upper()}"
        yield Utterance(side, start, end, fields[3] if len(fields) > 3 else "")
