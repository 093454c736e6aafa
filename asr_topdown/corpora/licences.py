"""Licences of corpora: a line of text in the data directories, repeated in a model's card."""

from collections.abc import Mapping
from pathlib import Path

from asr_topdown.files import write_text

NAME = "licence"
"""The file in a data directory, copied along with its tables."""

LICENCES: Mapping[str, str] = {
    "prompts": "Asterisk core sounds, CC BY-SA 3.0",
    "prompts it": "Asterisk core sounds in Italian, CC BY 3.0",
    "prompts ru": "Asterisk core sounds in Russian, CC BY 3.0",
    "fsdd": "Free Spoken Digit Dataset, CC BY-SA 4.0",
    "an4": "CMU AN4, free for any use under Carnegie Mellon University's notice",
    "librispeech": "LibriSpeech, CC BY 4.0",
    "mboshi": "Mboshi (Godard et al. 2018), for research",
    "wsj": "Wall Street Journal (LDC93S6, LDC94S13), under LDC's agreements",
    "swbd": "Switchboard (LDC97S62), under LDC's agreements",
    "eval2000": "Hub-5 2000 (LDC2002S09, LDC2002T43), under LDC's agreements",
    "rt03": "RT-03 (LDC2007S10), under LDC's agreements",
}
"""Corpus, as in `asr-topdown prepare`, followed by a language if that matters -> name and licence."""


def write(folder: Path, licence: str) -> None:
    """Write a licence, as one line, into a data directory."""
    write_text(folder / NAME, " ".join(licence.split()) + "\n")


def read(folder: Path) -> str:
    """Read the licence in a data directory; "" if there is none."""
    path = folder / NAME
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else ""
