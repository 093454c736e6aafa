"""`an4`: CMU's alphanumeric database, addresses, names and numbers spoken and spelled by 84 speakers.

50 minutes, 16 kHz, 16 bit, mono, NIST SPHERE; 948 training utterances and 130 test utterances. As in ESPnet,
the first 100 training utterances (in byte order of their ids) are the dev set, mostly of separate speakers.

The database also exists as 13 mel cepstra per frame, without sound (`from_features`): then nine of the 74
training speakers are the dev set, so that the dev and test speakers are not in the training set.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.corpora import counts, download, repeated
from asr_topdown.corpora.counts import Count
from asr_topdown.datadir import DataDir
from asr_topdown.logs import listed

ARCHIVES = (
    "https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz",
    "https://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz",
)
SHA256 = "a0525579493735d32b60fb6fa5975dd0eaacde087b0a4eeb7f13b7ef33077b12"  # from NVIDIA NeMo
ADVICE = "Download an4_sphere.tar.gz elsewhere, unpack it and name the folder with --an4 DIR"
UTTERANCES = {"train": 948, "test": 130}
DEV_UTTERANCES = 100
DEV_SPEAKERS = 9

_LINE = re.compile(r"(.*)\(([^()\s]+)\)")
_FILE = re.compile(r"([^-]+)-([^-]+)-([^-]+)")


def prepare(out: Path, *, an4: Path | None = None, downloads: Path | None = None) -> list[DataDir]:
    """Write `out/train`, `out/dev` and `out/test`.

    Args:
        out: folder for the three data directories.
        an4: folder with `etc` and `wav` at any depth; None downloads them.
        downloads: folder for downloads; None is `downloads` next to `out`.

    Raises:
        OSError: if the data are missing or cannot be downloaded, with what was tried.
        ValueError: naming file and line of what cannot be read, or the empty set.
    """
    if an4 is None:
        an4 = fetch(downloads or out.parent / "downloads")
    root = find_root(an4)
    whole, test = (_read(root, part, out / part) for part in ("train", "test"))
    order = whole.utterances()
    if len(order) <= DEV_UTTERANCES:
        raise ValueError(f"{root}: only {len(order)} training utterances, {DEV_UTTERANCES} are the dev set")
    dev = datadir.subset(whole, order[:DEV_UTTERANCES], out / "dev")
    train = datadir.subset(whole, order[DEV_UTTERANCES:], out / "train")
    _check_counts(train=len(order), test=len(test.text))
    parts = [train, dev, test]
    datadir.write(*parts)
    return parts


def from_features(out: Path, feats: Path) -> list[DataDir]:
    """Write `out/train`, `out/dev` and `out/test` from data directories with features and without sound.

    Args:
        out: folder for the three data directories.
        feats: folder with the data directories `train` and `test`: `text`, `utt2spk` and `feats.scp`.

    Raises:
        FileNotFoundError: naming the data directory that is missing.
        ValueError: naming the data directory without features, or with too few speakers for a dev set.
    """
    whole, test = (_with_features(feats / part, out / part) for part in ("train", "test"))
    speakers = sorted(whole.spk2utt(), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if len(speakers) <= DEV_SPEAKERS:
        raise ValueError(f"{feats / 'train'}: {len(speakers)} speakers, {DEV_SPEAKERS} are the dev set")
    spoken = whole.spk2utt()
    sets = {"dev": speakers[:DEV_SPEAKERS], "train": speakers[DEV_SPEAKERS:]}
    dev, train = (
        datadir.subset(whole, (u for name in names for u in spoken[name]), out / part)
        for part, names in sets.items()
    )
    _check_counts(train=len(whole.text), test=len(test.text))
    parts = [train, dev, test]
    datadir.write(*parts)
    return parts


def _with_features(source: Path, path: Path) -> DataDir:
    data = datadir.read(source)
    if not data.feats:
        raise ValueError(f"{source}: no feats.scp, or nothing in it")
    places = {utterance: _absolute(entry, source) for utterance, entry in data.feats.items()}
    return dataclasses.replace(data, path=path, feats=places)


def _absolute(entry: str, folder: Path) -> str:
    """Make the archive's path in an entry of feats.scp absolute."""
    from asr_topdown.features import store

    place = store.locate(entry, folder)
    return place if Path(place).is_absolute() else str(Path(place).absolute())


def fetch(downloads: Path) -> Path:
    """Return the folder with the corpus under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / "an4_sphere"
    download.archive(folder, ARCHIVES, "AN4", ADVICE, checksum=SHA256)
    return folder


def find_root(folder: Path) -> Path:
    """Find the folder with `etc/an4_train.transcription`: `folder` or one below it."""
    files.require_folder(folder)
    wanted = "etc/an4_train.transcription"
    found = sorted(folder.rglob(wanted))
    if not found:
        raise FileNotFoundError(f"{folder}: no {wanted} in it, at any depth")
    return found[0].parents[1]


def utterance_id(file: str) -> tuple[str, str]:
    """Return a recording's utterance id and speaker: (`fash-an251-b`, `fash`) for `an251-fash-b`.

    The speaker comes first so that utterances sort by speaker, as Kaldi requires.

    Raises:
        ValueError: if the name does not have three parts.
    """
    found = _FILE.fullmatch(file)
    if found is None:
        raise ValueError(f"{file!r} is not text-speaker-session")
    return f"{found[2]}-{found[1]}-{found[3]}", found[2]


def read_transcription(path: Path) -> dict[str, str]:
    """Read recording -> text from lines `<s> TEXT </s> (recording)`; the tags may be missing.

    Raises:
        ValueError: naming file and line of any other line, or of a recording's second, different text.
    """
    texts: dict[str, str] = {}
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{path}:{number}: not `<s> TEXT </s> (recording)`: {line.strip()!r}")
        text = " ".join(word for word in found[1].split() if word not in ("<s>", "</s>"))
        repeated.add(texts, found[2], text, f"{path}:{number}")
    return texts


def _read(root: Path, part: str, path: Path) -> DataDir:
    table = root / "etc" / f"an4_{part}.transcription"
    texts = read_transcription(table)
    wavs: dict[str, str] = {}
    text: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    missing = []
    for name in _lines(root / "etc" / f"an4_{part}.fileids"):
        wav, file = root / "wav" / f"{name}.sph", name.rpartition("/")[2]
        if not wav.is_file() or not texts.get(file):
            missing.append(file)
            continue
        try:
            utterance, speaker = utterance_id(file)
        except ValueError as error:
            raise ValueError(f"{table}: {error}") from None
        wavs[utterance] = str(wav.resolve())
        text[utterance] = texts[file]
        utt2spk[utterance] = speaker
    if missing:
        print(
            f"warning: an4 {part}: left out {len(missing)} recordings that are missing or have no transcript "
            f"({listed(missing)})"
        )
    if not text:
        raise ValueError(f"{root}: none of the recordings of an4_{part}.fileids is in {root / 'wav'}")
    return DataDir(path=path, wavs=wavs, text=text, utt2spk=utt2spk)


def _lines(path: Path) -> Iterable[str]:
    return (line.strip() for line in files.read_lines(path, otherwise="latin-1") if line.strip())


def _check_counts(**found: int) -> None:
    counts.warn_of_others(
        Count(f"utterances, {part}", (UTTERANCES[part],), count) for part, count in found.items()
    )
