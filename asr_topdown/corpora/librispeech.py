"""`librispeech`: English audio books read by volunteers, 16 kHz (Panayotov et al., ICASSP 2015), CC BY 4.0.

Training sets by hours: `mini` (five), `100`, `460` and `960`; the `dev` and `test` sets have other readers,
`clean` and `other` (harder to recognise). Transcripts stay unchanged: upper-case letters and the apostrophe.
Speakers are the readers.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown import datadir, files
from asr_topdown.corpora import download, repeated
from asr_topdown.datadir import DataDir

ADVICE = "Download it from www.openslr.org elsewhere, unpack it and name the folder with --librispeech DIR"


class Subset(NamedTuple):
    """An archive of the distribution: its number at openslr.org, its checksum and its utterances."""

    resource: int
    checksum: str
    utterances: int


SUBSETS: Mapping[str, Subset] = {
    # SHA-256 for resource 12, from torchaudio; MD5 for resource 31, from openslr.org's md5sum.txt.
    "train-clean-5": Subset(31, "5df7d4e78065366204ca6845bb08f490", 1519),
    "dev-clean-2": Subset(31, "6d7ab67ac6a1d2c993d050e16d61080d", 1089),
    "train-clean-100": Subset(12, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2", 28539),
    "train-clean-360": Subset(12, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf", 104014),
    "train-other-500": Subset(12, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2", 148688),
    "dev-clean": Subset(12, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3", 2703),
    "dev-other": Subset(12, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365", 2864),
    "test-clean": Subset(12, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23", 2620),
    "test-other": Subset(12, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29", 2939),
}

_FULL = ("dev-clean", "dev-other", "test-clean", "test-other")
PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mini": (("train-clean-5",), ("dev-clean-2", "test-clean", "test-other")),
    "100": (("train-clean-100",), _FULL),
    "460": (("train-clean-100", "train-clean-360"), _FULL),
    "960": (("train-clean-100", "train-clean-360", "train-other-500"), _FULL),
}
"""Value of `--parts` -> the subsets of the training set, and the dev and test sets."""

_TRANSCRIPTS = "*.trans.txt"
_SOUNDS = (".flac", ".wav")


def prepare(
    out: Path,
    *,
    parts: str,
    librispeech: Path | None = None,
    downloads: Path | None = None,
    partial: bool = False,
) -> list[DataDir]:
    """Write `out/train` and a data directory for each dev and test set, such as `out/dev_clean`.

    Args:
        out: folder for the data directories.
        parts: one of `PARTS`.
        librispeech: folder with subsets (`train-clean-100`) at a depth of up to three; None downloads them.
        downloads: folder for downloads; None is `downloads` next to `out`.
        partial: whether to accept subsets with a different number of utterances.

    Raises:
        OSError: if a subset is missing or cannot be downloaded, with what was tried.
        ValueError: naming a subset whose number of utterances differs from the distribution's, or an invalid
            file.
    """
    trained, tested = PARTS[parts]
    find = (
        functools.partial(_find, librispeech)
        if librispeech
        else functools.partial(fetch, downloads or out.parent / "downloads")
    )
    sets = {"train": trained, **{name.replace("-", "_"): (name,) for name in tested}}
    made = []
    for name, subsets in sets.items():
        data = _union([_read(subset, find(subset), partial) for subset in subsets], out / name)
        made.append(data)
    datadir.write(*made)
    return made


def fetch(downloads: Path, subset: str) -> Path:
    """Return the folder of a subset under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / "librispeech" / subset
    known = SUBSETS[subset]
    address = f"https://www.openslr.org/resources/{known.resource}/{subset}.tar.gz"
    check = download.holds(known.utterances, "*.flac")
    download.archive(folder, [address], f"LibriSpeech {subset}", ADVICE, checksum=known.checksum, check=check)
    return _find(folder, subset)


def _find(folder: Path, subset: str) -> Path:
    files.require_folder(folder)
    for pattern in (subset, f"*/{subset}", f"*/*/{subset}"):
        for found in sorted(folder.glob(pattern)):
            if found.is_dir() and next(files.without_hidden(found.rglob(_TRANSCRIPTS)), None):
                return found
    raise FileNotFoundError(f"{folder}: no folder {subset} with {_TRANSCRIPTS} in it")


def _read(subset: str, folder: Path, partial: bool) -> DataDir:
    """Read one subset as a data directory."""
    text: dict[str, str] = {}
    wavs: dict[str, str] = {}
    for path in sorted(files.without_hidden(folder.rglob(_TRANSCRIPTS))):
        chapter = path.parent.resolve()
        listed = files.without_hidden(chapter.iterdir())
        sounds = {sound.stem: sound for sound in listed if sound.suffix.lower() in _SOUNDS}
        for number, (utterance, words) in enumerate(_lines(path), 1):
            if utterance not in sounds:
                raise ValueError(f"{path}: no {utterance}{_SOUNDS[0]} next to it")
            repeated.add(text, utterance, words, f"{path}:{number}")
            wavs[utterance] = str(sounds[utterance])
    expected = SUBSETS[subset].utterances
    if len(text) != expected and not partial:
        raise ValueError(f"{folder}: must have {expected} utterances, got {len(text)} (see --partial)")
    utt2spk = {utterance: utterance.partition("-")[0] for utterance in text}
    return DataDir(path=folder, wavs=wavs, text=text, utt2spk=utt2spk)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read utterance and text from each line.

    Raises:
        ValueError: naming file and line, if a line is not `READER-CHAPTER-NUMBER TEXT` of this file's
            chapter.
    """
    chapter = path.name.removesuffix(_TRANSCRIPTS[1:])
    for number, line in enumerate(files.read_lines(path), 1):
        utterance, _, text = line.strip().partition(" ")
        if not text.strip() or utterance.rpartition("-")[0] != chapter:
            raise ValueError(f"{path}:{number}: not `{chapter}-NUMBER TEXT`: {line!r}")
        yield utterance, " ".join(text.split())


def _union(subsets: Iterable[DataDir], path: Path) -> DataDir:
    wavs: dict[str, str] = {}
    text: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    for subset in subsets:
        wavs |= subset.wavs
        text |= subset.text
        utt2spk |= subset.utt2spk
    return DataDir(path=path, wavs=wavs, text=text, utt2spk=utt2spk)
