"""`prompts`: the Asterisk core sounds, the same telephone prompts in five languages, read by professionals.

Telephone quality (8 kHz, 16 bit, mono), one speaker and 15 to 25 minutes per language, CC BY-SA 3.0 (Italian
and Russian: CC BY 3.0). Preparation:

1. Notes in brackets - `[..]`, `(..)`, `<..>` - are removed from transcripts. English: `*` becomes "star", `#`
   "pound", six misspelt words are corrected, and `english.normalise` does the rest: lower case, numbers to
   words, no punctuation. Other languages: `normalise.basic`, lower case without punctuation.
2. Left out: recordings whose transcript is missing or only a note (tones, silences), and those with only
   silence; in languages other than English also those whose transcript is not what is spoken: with digits or
   symbols, with a question mark in place of an accented letter (Italian), or with two texts.
3. `split.part_of` divides the utterances into train, dev and test (70, 15, 15 %) by a hash of the transcript.
   Those longer than `long_seconds` (whole menus, up to 73 s) all go to train: a single one would be a tenth
   of a test set.
"""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown import datadir, files
from asr_topdown.corpora import download, english, repeated, split
from asr_topdown.corpora.normalise import NORMALISERS
from asr_topdown.datadir import DataDir
from asr_topdown.logs import listed


class Voice(NamedTuple):
    """A language's recordings: their speaker, their number, and the SHA-256 of their archive."""

    speaker: str
    recordings: int
    sha256: str


# The checksums are from Debian's source package, which has the project's archives, and from OpenWrt.
VOICES: Mapping[str, Voice] = {
    "en": Voice("allison", 568, "07ad543764567ea235d3a96dcd15ecce4521855efc295de6f5443299c331ec0b"),
    "es": Voice("allison", 527, "4486234639392254da452f03d835e89c37416367b11cc8c76bc8492151ac4ebe"),
    "fr": Voice("june", 561, "43a5d591dc3e70c2e2c0b4c41b21980efb4de4c949172ffddb03a7ae5819f8ed"),
    "it": Voice("carlo", 599, "5dd007716a64f9599e47a9ce51ec6decb93221846d2d5b694120ae85f891ed13"),
    "ru": Voice("ivrvoice", 576, "db52d0a1828f6ee0c211f5c30fa5b8e35753e3bcff3d9ec6fa3e1cdc833954bf"),
}
"""Language -> its voice; English and Spanish have the same speaker."""

LONG_SECONDS = 12.0
ADVICE = "Download asterisk-core-sounds-{}-wav elsewhere, unpack it and name the folder with --prompts DIR"

_PROJECT = (
    "https://downloads.asterisk.org/pub/telephony/sounds/releases/asterisk-core-sounds-{}-wav-1.6.1.tar.gz"
)
_UNTOLD = re.compile(r"[0-9*#@$%&+=]|\?\s+[a-zà-ÿ]")
_TWICE = {"es": ("digits/0",)}  # listed as zero and as ten
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
    language: str = "en",
    prompts: Path | None = None,
    downloads: Path | None = None,
    long_seconds: float = LONG_SECONDS,
) -> list[DataDir]:
    """Write `out/train`, `out/dev` and `out/test`.

    Args:
        out: folder for the three data directories.
        language: a key of `VOICES`.
        prompts: folder with the wavs and `core-sounds-LANGUAGE.txt[.gz]`, at any depth; None downloads them.
        downloads: folder for downloads; None is `downloads` next to `out`.
        long_seconds: longer recordings go to train.

    Raises:
        OSError: if the data are missing or cannot be downloaded, with what was tried.
        ValueError: naming the file, if it is not valid.
    """
    if prompts is None:
        prompts = fetch(downloads or out.parent / "downloads", language)
    transcripts = read_transcripts(_find_transcripts(prompts, language), _TWICE.get(language, ()))
    recordings = find_recordings(prompts, transcripts)
    kept, long, dropped = select(recordings, transcripts, long_seconds, language)
    for reason, names in dropped.items():
        print(f"left out, {reason}: {len(names)} ({listed(names)})")
    speaker = VOICES[language].speaker
    ids = {name: f"{speaker}-{name.replace('/', '_')}" for name in kept}
    whole = DataDir(
        path=out,
        wavs={ids[name]: str(recordings[name].resolve()) for name in kept},
        text={ids[name]: text for name, text in kept.items()},
        utt2spk=dict.fromkeys(ids.values(), speaker),
    )
    if long:
        print(f"longer than {long_seconds:g} s, and so in train: {len(long)} ({listed(long)})")
    parts = split.split(whole, fixed={ids[name]: "train" for name in long})
    datadir.write(*parts)
    return parts


def fetch(downloads: Path, language: str) -> Path:
    """Return the folder with wavs and transcripts under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / f"asterisk-core-sounds-{language}-wav"
    sources = (lambda: _from_project(folder, language), lambda: _from_debian(folder, language))
    download.fill(folder, "the Asterisk core sounds", sources, ADVICE.format(language))
    return folder


def read_transcripts(path: Path, twice: Collection[str] = ()) -> dict[str, str]:
    """Read recording name (`hello-world`, `digits/1`) -> transcript, verbatim.

    Args:
        path: the file.
        twice: names with several transcripts, which are left out.

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
        if name not in twice:
            repeated.add(transcripts, name, transcript, f"{path}:{number}")
    return transcripts


def clean(transcript: str, language: str = "en") -> str | None:
    """Return the spoken words; empty if the transcript is only a note, None if it is not what is spoken."""
    spoken = _NOTE.sub(" ", transcript)
    if language == "en":
        words = english.normalise(spoken, _SYMBOLS).split()
        return " ".join(_MISSPELT.get(word, word) for word in words)
    return None if _UNTOLD.search(spoken) else NORMALISERS["basic"](spoken)


def find_recordings(folder: Path, transcripts: Mapping[str, str]) -> dict[str, Path]:
    """Find recording name -> wav; names are relative to the folder with the most wavs that have a transcript.

    Raises:
        ValueError: naming the folder, if no wav in it has a transcript.
    """
    wavs = sorted(files.without_hidden(folder.rglob("*.wav")))
    roots = Counter(wav.parent for wav in wavs if wav.stem in transcripts)
    if not roots:
        raise ValueError(f"{folder}: none of its {len(wavs)} wav files has a transcript")
    root = roots.most_common(1)[0][0]
    return {str(wav.relative_to(root).with_suffix("")): wav for wav in wavs if wav.is_relative_to(root)}


def select(
    recordings: Mapping[str, Path], transcripts: Mapping[str, str], long_seconds: float, language: str
) -> tuple[dict[str, str], list[str], dict[str, list[str]]]:
    """Return kept recordings with their cleaned transcripts, the long ones, and reason -> those left out.

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
        text = clean(transcripts.get(name, ""), language)
        if not text:
            dropped.setdefault(_why_not(name, transcripts, text), []).append(name)
            continue
        samples, wav_rate = audio.read(audio.Clip(str(wav)))
        if rate not in (None, wav_rate):
            raise ValueError(f"{wav}: {wav_rate} Hz, but the recordings before it have {rate} Hz")
        rate = wav_rate
        if np.abs(samples).max(initial=0.0) < _SILENCE:
            dropped.setdefault("silence", []).append(name)
            continue
        kept[name] = text
        if len(samples) / rate > long_seconds:
            long.append(name)
    return kept, long, dropped


def _why_not(name: str, transcripts: Mapping[str, str], text: str | None) -> str:
    if name not in transcripts:
        return "no transcript"
    return "nothing is spoken" if text is not None else "the transcript is not what is spoken"


def _find_transcripts(folder: Path, language: str) -> Path:
    files.require_folder(folder)
    names = (f"core-sounds-{language}.txt", f"core-sounds-{language}.txt.gz")
    found = sorted(path for name in names for path in folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{folder}: no {' or '.join(names)} in it, at any depth")
    return found[0]


def _from_project(folder: Path, language: str) -> None:
    address, voice = _PROJECT.format(language), VOICES[language]
    archive = folder.parent / address.rpartition("/")[2]
    download.fetch(address, archive, voice.sha256)
    download.unpack(archive, folder, download.holds(voice.recordings, "*.wav"))


def _from_debian(folder: Path, language: str) -> None:
    """Unpack Debian's packages, whose SHA-256 apt-get compares with the signed index."""
    packages = (f"asterisk-core-sounds-{language}-wav", f"asterisk-core-sounds-{language}")
    with download.folder_aside(folder) as aside, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        _run("apt-get", "download", *packages, cwd=scratch)
        for package in sorted(Path(scratch).glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(aside), cwd=scratch)


def _run(*command: str, cwd: str) -> None:
    if shutil.which(command[0]) is None:
        raise OSError(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command[:2])} failed: {' '.join(done.stderr.split())[-300:]}")
