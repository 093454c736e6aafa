"""`mboshi`: 4.5 hours of read Mboshi, a Bantu language (C25) of Congo-Brazzaville (Godard et al., LREC 2018).

5,130 utterances of three speakers, 16 kHz, with nearly phonetic transcripts of 32 characters, including
tone-marked vowels. Research use; arXiv 1710.03501. Preparation:

1. Transcripts (`NAME.mb.cleaned`) are converted to Unicode's composed form, with one blank between words.
2. Names begin with the speaker. 78 of the original recordings are shorter than their headers say; like any
   truncated sound, they are read to their end.
3. The corpus's own `dev` part is the test set. A tenth of its `train` part, chosen by a hash of the
   transcript (`split.part_of`), is the dev set, since many sentences were recorded twice.
"""

import hashlib
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.corpora import download, split
from asr_topdown.corpora.normalise import NORMALISERS
from asr_topdown.datadir import DataDir

ARCHIVE = "https://github.com/besacier/mboshi-french-parallel-corpus/archive/refs/heads/master.tar.gz"
ADVICE = "Clone github.com/besacier/mboshi-french-parallel-corpus elsewhere and name it with --mboshi DIR"
UTTERANCES = {"train": 4616, "dev": 514}
SPEAKERS = ("abiayi", "kouarata", "martial")
SHA256 = "b50747d25419f02710efae7efc71b5b76273462061f6f8e796c3a046c99dad4e"
"""Of all transcripts, train before dev, sorted by name: for each the line `part/name`, then its bytes."""

_FOLDER = "full_corpus_newsplit"
_TRANSCRIPT = ".mb.cleaned"
_SOUNDS = (".wav", ".opus", ".flac")
_PARTS = {"train": 0.9, "dev": 0.1}


def prepare(
    out: Path,
    *,
    mboshi: Path | None = None,
    downloads: Path | None = None,
    partial: bool = False,
    sample_rate: int | None = None,
) -> list[DataDir]:
    """Write `out/train`, `out/dev` and `out/test`.

    Args:
        out: folder for the three data directories.
        mboshi: `full_corpus_newsplit`, or a folder with it at any depth; None downloads it.
        downloads: folder for downloads; None is `downloads` next to `out`.
        partial: whether to accept a copy with fewer utterances or other transcripts.
        sample_rate: rate in Hz to which the audio is resampled when read; None = unchanged, 16 kHz.

    Raises:
        OSError: if the data are missing or cannot be downloaded, with what was tried.
        ValueError: if a count or a transcript differs from the distribution; naming an invalid file.
    """
    root = find_root(fetch(downloads or out.parent / "downloads") if mboshi is None else mboshi)
    if not partial:
        check(root)
    whole = _read(root / "train", out, sample_rate)
    test = _read(root / "dev", out / "test", sample_rate)
    parts = [*split.split(whole, split.Division(_PARTS)), test]
    datadir.write(*parts)
    _warn_of_headers(parts)
    return parts


def fetch(downloads: Path) -> Path:
    """Return the folder with the corpus under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / "mboshi-french-parallel-corpus"
    download.archive(folder, [ARCHIVE], "the Mboshi corpus", ADVICE, check=_is_whole)
    return folder


def find_root(folder: Path) -> Path:
    """Find the folder with the parts `train` and `dev`: `folder`, or a `full_corpus_newsplit` below it.

    Raises:
        FileNotFoundError: if there is none.
    """
    files.require_folder(folder)
    for root in (folder, *sorted(folder.rglob(_FOLDER))):
        if all((root / part).is_dir() for part in UTTERANCES):
            return root
    raise FileNotFoundError(f"{folder}: no {_FOLDER} with train and dev in it, at any depth")


def check(root: Path) -> None:
    """Compare counts and transcripts with the distribution's.

    Raises:
        ValueError: naming the folder, with the numbers found and expected.
    """
    digest = hashlib.sha256()
    for part, expected in UTTERANCES.items():
        paths = sorted(files.without_hidden((root / part).glob(f"*{_TRANSCRIPT}")))
        if len(paths) != expected:
            raise ValueError(
                f"{root / part}: must have {expected} transcripts, got {len(paths)} (see --partial)"
            )
        for path in paths:
            digest.update(f"{part}/{path.name}\n".encode() + path.read_bytes())
    if digest.hexdigest() != SHA256:
        raise ValueError(f"{root}: its transcripts are not those of the distribution (see --partial)")


def _is_whole(folder: Path) -> None:
    try:
        check(find_root(folder))
    except ValueError as error:
        raise OSError(str(error)) from None


def _read(folder: Path, path: Path, sample_rate: int | None) -> DataDir:
    """Read a part of the corpus as a data directory at `path`.

    Raises:
        ValueError: naming a transcript that is empty, not UTF-8, without sound or of an unknown speaker.
    """
    text, wavs, utt2spk = {}, {}, {}
    for transcript in sorted(files.without_hidden(folder.glob(f"*{_TRANSCRIPT}"))):
        utterance = transcript.name.removesuffix(_TRANSCRIPT)
        utt2spk[utterance] = _speaker(transcript)
        text[utterance] = _text(transcript)
        wavs[utterance] = str(_sound(transcript, utterance).resolve())
    if not text:
        raise ValueError(f"{folder}: no transcripts *{_TRANSCRIPT} in it")
    return DataDir(path=path, wavs=wavs, text=text, utt2spk=utt2spk, sample_rate=sample_rate)


def _speaker(transcript: Path) -> str:
    speaker = transcript.name.partition("_")[0]
    if speaker not in SPEAKERS:
        raise ValueError(f"{transcript}: the speaker must be one of {', '.join(SPEAKERS)}, got {speaker!r}")
    return speaker


def _text(transcript: Path) -> str:
    try:
        text = NORMALISERS["none"](transcript.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{transcript}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not text:
        raise ValueError(f"{transcript}: the transcript is empty")
    return text


def _sound(transcript: Path, utterance: str) -> Path:
    for suffix in _SOUNDS:
        path = transcript.with_name(f"{utterance}{suffix}")
        if path.is_file():
            return path
    raise ValueError(f"{transcript}: no sound next to it ({', '.join(f'{utterance}{s}' for s in _SOUNDS)})")


def _warn_of_headers(parts: list[DataDir]) -> None:
    """Print how many recordings differ from their headers, and an example."""
    from asr_topdown.audio import open_source

    remarks = {wav: open_source(wav).remarks for part in parts for wav in part.wavs.values()}
    odd = {wav: said[0] for wav, said in remarks.items() if said}
    if odd:
        name = min(odd)
        print(f"warning: {len(odd)} recordings differ from their headers, such as {name}: {odd[name]}")
