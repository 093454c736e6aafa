"""`prompts`: the English Asterisk core sounds, 568 recordings of one professional speaker (Allison Smith).

Telephone quality (8 kHz, 16 bit, mono), 25 minutes, CC BY-SA 3.0. What becomes of them:

1. From each transcript, notes in brackets - `[..]`, `(..)`, `<..>` - go, `*` is read "star", `#` "pound", six
   misspelt words are corrected, and `english.normalise` does the rest: lower case, numbers to words, no
   punctuation.
2. Left out: recordings whose transcript is missing or nothing but a note (tones, silences), and those that
   hold only silence.
3. `split.part_of` deals the utterances to train, dev and test (70, 15, 15 %) by a hash of the transcript.
   The 18 longer than `long_seconds` (whole menus, up to 73 s) all go to train: a single one would be a tenth
   of a test set.
"""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.corpora import download, english, split
from asr_topdown.datadir import DataDir

ARCHIVE = (
    "https://downloads.asterisk.org/pub/telephony/sounds/releases/asterisk-core-sounds-en-wav-1.6.1.tar.gz"
)
RECORDINGS = 568
PACKAGES = ("asterisk-core-sounds-en-wav", "asterisk-core-sounds-en")
SPEAKER = "allison"
LONG_SECONDS = 12.0
ADVICE = "Download asterisk-core-sounds-en-wav elsewhere, unpack it and name the folder with --prompts DIR"

_TRANSCRIPTS = ("core-sounds-en.txt", "core-sounds-en.txt.gz")
_NOTE = re.compile(r"\[[^]]*\]|\([^)]*\)|<[^>]*>")
_SYMBOLS = {**english.SYMBOLS, "*": "star", "#": "pound"}
_MISSPELT = {
    "exclaimation": "exclamation",
    "fourtieth": "fortieth",
    "indentified": "identified",
    "represenatives": "representatives",
    "umute": "unmute",
    "witheld": "withheld",
}
_SILENCE = 1e-3  # a peak of -60 dB of full scale


def prepare(
    out: Path,
    *,
    prompts: Path | None = None,
    downloads: Path | None = None,
    long_seconds: float = LONG_SECONDS,
) -> list[DataDir]:
    """Write `out/train`, `out/dev` and `out/test`.

    Args:
        out: where the three data directories go.
        prompts: folder with the wavs and `core-sounds-en.txt[.gz]`, at any depth; None downloads them.
        downloads: where downloads go; None is `downloads` beside `out`.
        long_seconds: longer recordings go to train, whatever their hash.

    Raises:
        OSError: if the data are not there or cannot be downloaded, with what was tried.
        ValueError: naming the file, if it is not what it should be.
    """
    if prompts is None:
        prompts = fetch(downloads or out.parent / "downloads")
    transcripts = read_transcripts(_find_transcripts(prompts))
    recordings = find_recordings(prompts, transcripts)
    kept, long, dropped = select(recordings, transcripts, long_seconds)
    for reason, names in dropped.items():
        print(f"left out, {reason}: {_some(names)}")
    ids = {name: f"{SPEAKER}-{name.replace('/', '_')}" for name in kept}
    whole = DataDir(
        path=out,
        wavs={ids[name]: str(recordings[name].resolve()) for name in kept},
        text={ids[name]: text for name, text in kept.items()},
        utt2spk=dict.fromkeys(ids.values(), SPEAKER),
    )
    if long:
        print(f"longer than {long_seconds:g} s, and so in train: {_some(long)}")
    parts = split.split(whole, fixed={ids[name]: "train" for name in long})
    for part in parts:
        datadir.write(part)
    return parts


def fetch(downloads: Path) -> Path:
    """The folder with wavs and transcripts under `downloads`, filled if it is not there."""
    folder = downloads.resolve() / "asterisk-core-sounds-en-wav"
    if not folder.exists():
        sources = (lambda: _from_project(folder), lambda: _from_debian(folder))
        download.first_that_works("the Asterisk core sounds", sources, ADVICE)
    return folder


def read_transcripts(path: Path) -> dict[str, str]:
    """Recording name (`hello-world`, `digits/1`) -> transcript as it stands in the file.

    Raises:
        ValueError: naming file and line, if a line is not `name: text` or contradicts one before it.
    """
    transcripts: dict[str, str] = {}
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        name, colon, transcript = (part.strip() for part in line.partition(":"))
        if not colon:
            raise ValueError(f"{path}:{number}: not `name: transcript`: {line!r}")
        if transcripts.setdefault(name, transcript) != transcript:
            raise ValueError(f"{path}:{number}: a second, different transcript of {name}")
    return transcripts


def clean(transcript: str) -> str:
    """The words that are spoken; empty if the transcript is only a note."""
    words = english.normalise(_NOTE.sub(" ", transcript), _SYMBOLS).split()
    return " ".join(_MISSPELT.get(word, word) for word in words)


def find_recordings(folder: Path, transcripts: Mapping[str, str]) -> dict[str, Path]:
    """Recording name -> wav. Names are paths below the folder in which most wavs with a transcript lie.

    Raises:
        ValueError: naming the folder, if no wav in it has a transcript.
    """
    wavs = sorted(folder.rglob("*.wav"))
    roots = Counter(wav.parent for wav in wavs if wav.stem in transcripts)
    if not roots:
        raise ValueError(f"{folder}: none of its {len(wavs)} wav files has a transcript")
    root = roots.most_common(1)[0][0]
    return {str(wav.relative_to(root).with_suffix("")): wav for wav in wavs if wav.is_relative_to(root)}


def select(
    recordings: Mapping[str, Path], transcripts: Mapping[str, str], long_seconds: float
) -> tuple[dict[str, str], list[str], dict[str, list[str]]]:
    """Recording name -> cleaned transcript of what is kept; the long ones of it; reason -> names of the rest.

    Raises:
        ValueError: naming the first recording whose sampling rate differs from those before it.
    """
    import numpy as np

    from asr_topdown import audio

    kept: dict[str, str] = {}
    long: list[str] = []
    dropped: dict[str, list[str]] = {}
    rate = None
    for name, wav in recordings.items():
        samples, wav_rate = audio.read(audio.Clip(str(wav)))
        if rate not in (None, wav_rate):
            raise ValueError(f"{wav}: {wav_rate} Hz, but the recordings before it have {rate} Hz")
        rate = wav_rate
        text = clean(transcripts.get(name, ""))
        if name not in transcripts:
            reason = "no transcript"
        elif not text:
            reason = "nothing is spoken"
        elif np.abs(samples).max(initial=0.0) < _SILENCE:
            reason = "silence"
        else:
            kept[name] = text
            if len(samples) / rate > long_seconds:
                long.append(name)
            continue
        dropped.setdefault(reason, []).append(name)
    return kept, long, dropped


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def _find_transcripts(folder: Path) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    found = sorted(path for name in _TRANSCRIPTS for path in folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{folder}: neither {' nor '.join(_TRANSCRIPTS)} is in it, at any depth")
    return found[0]


def _from_project(folder: Path) -> None:
    archive = folder.parent / ARCHIVE.rpartition("/")[2]
    download.fetch(ARCHIVE, archive)
    download.unpack(archive, folder, download.holds(RECORDINGS, "*.wav"))


def _from_debian(folder: Path) -> None:
    """Unpack Debian's packages, whose SHA-256 apt-get compares with the signed index."""
    with download.folder_aside(folder) as aside, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _run("apt-get", "download", *PACKAGES, cwd=scratch)
        for package in sorted(Path(scratch).glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(aside), cwd=scratch)


def _run(*command: str, cwd: str) -> None:
    if shutil.which(command[0]) is None:
        raise OSError(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command[:2])} failed: {' '.join(done.stderr.split())[-300:]}")
