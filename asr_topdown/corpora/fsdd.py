"""`fsdd`: strings of 3 to 7 connected digits, built from the Free Spoken Digit Dataset.

The data set: 3000 recordings of single digits, `<digit>_<speaker>_<index>.wav`; 6 speakers x 10 digits x 50;
8 kHz, 16 bit, mono; CC BY-SA 4.0.

A string is a sequence of one speaker's recordings, unchanged, with gaps of 50 to 250 ms. A gap has white
noise at the level of the quietest 10 ms of its neighbours: digital silence would reveal the joints and is
unlike any microphone's signal. Each recording is used once (`repeats` times in training).

Speakers are disjoint: fold k tests on speaker k (in alphabetical order), uses the next one as dev set and
trains on the other four. Order, lengths, gaps and noise depend only on the seed and on names, so they are the
same on every machine, and a speaker's strings are the same in every fold with the same `repeats`.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown import datadir, files
from asr_topdown.corpora import download
from asr_topdown.datadir import DataDir

if TYPE_CHECKING:
    import numpy as np

ARCHIVE = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PER_DIGIT = 50
SHORTEST, LONGEST = 3, 7  # digits in a string
GAP_MS = (50, 250)
ADVICE = "Download the Free Spoken Digit Dataset elsewhere and name its folder with --fsdd DIR"

Recordings = Mapping[str, Mapping[str, Path]]  # speaker -> name without suffix -> wav


@dataclass(frozen=True)
class DigitString:
    """An utterance: its recordings, and the gaps between them in milliseconds."""

    utterance: str
    names: tuple[str, ...]
    gaps_ms: tuple[int, ...]

    @property
    def text(self) -> str:
        """The spoken digits as words."""
        return " ".join(WORDS[int(name[0])] for name in self.names)


def prepare(
    out: Path,
    *,
    fsdd: Path | None = None,
    downloads: Path | None = None,
    fold: int = 0,
    seed: int = 0,
    repeats: int = 1,
) -> list[DataDir]:
    """Write `out/train`, `out/dev`, `out/test`, and the strings' sound under `out/wav/<speaker>`.

    Args:
        out: target folder.
        fsdd: folder with the recordings, or one with `recordings` at any depth; None downloads it.
        downloads: folder for downloads; None is `downloads` next to `out`.
        fold: 0 to 5, the test speaker.
        seed: determines which recordings are joined.
        repeats: how often a training recording is used, each time with different neighbours.

    Raises:
        OSError: if the data are missing or cannot be downloaded, with what was tried.
        ValueError: if a speaker or digit is missing, or naming an invalid file.
    """
    if fsdd is None:
        fsdd = fetch(downloads or out.parent / "downloads")
    if repeats < 1:
        raise ValueError(f"--repeats {repeats}: must be at least 1")
    recordings = find_recordings(fsdd)
    parts = []
    for name, speakers in speakers_of(fold).items():
        strings = {
            s: plan(s, sorted(recordings[s]), seed, repeats if name == "train" else 1) for s in speakers
        }
        parts.append(_build(out / name, out / "wav", strings, recordings, seed))
    datadir.write(*parts)
    _remove_others(out / "wav", parts)
    return parts


def fetch(downloads: Path) -> Path:
    """Return the folder with the data set under `downloads`, downloading it if it is missing."""
    folder = downloads.resolve() / "free-spoken-digit-dataset"
    check = download.holds(len(SPEAKERS) * len(WORDS) * PER_DIGIT, "[0-9]_*_*.wav")
    download.archive(folder, [ARCHIVE], "the Free Spoken Digit Dataset", ADVICE, check=check)
    return folder


def find_recordings(folder: Path) -> dict[str, dict[str, Path]]:
    """Find speaker -> recording name -> wav. Print a warning and a table unless there are 50 of every digit.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: naming the speaker who has no recording of some digit.
    """
    files.require_folder(folder)
    pattern = "[0-9]_*_*.wav"
    wavs = sorted(folder.glob(pattern)) or sorted(folder.rglob(f"recordings/{pattern}"))
    found: dict[str, dict[str, Path]] = {speaker: {} for speaker in SPEAKERS}
    for wav in wavs:
        speaker = wav.stem.split("_")[1]
        if speaker in found:
            found[speaker][wav.stem] = wav
    counts = {speaker: Counter(name[0] for name in found[speaker]) for speaker in SPEAKERS}
    for speaker, digits in counts.items():
        missing = [digit for digit in "0123456789" if not digits[digit]]
        if missing:
            raise ValueError(f"{folder}: no recordings of speaker {speaker} saying {', '.join(missing)}")
    if any(digits[digit] != PER_DIGIT for digits in counts.values() for digit in "0123456789"):
        lines = [f"{s:10}" + "".join(f"{digits[d]:5}" for d in "0123456789") for s, digits in counts.items()]
        table = "\n".join(["digit     " + "".join(f"{d:>5}" for d in "0123456789"), *lines])
        print(
            f"warning: {folder}: expected {PER_DIGIT} recordings of every digit and speaker, found\n{table}"
        )
    return found


def speakers_of(fold: int) -> dict[str, tuple[str, ...]]:
    """Return set -> its speakers.

    Raises:
        ValueError: unless 0 <= fold <= 5.
    """
    if not 0 <= fold < len(SPEAKERS):
        raise ValueError(f"--fold {fold}: must be 0 to {len(SPEAKERS) - 1}")
    test, dev = SPEAKERS[fold], SPEAKERS[(fold + 1) % len(SPEAKERS)]
    return {"train": tuple(s for s in SPEAKERS if s not in (test, dev)), "dev": (dev,), "test": (test,)}


def plan(speaker: str, names: Sequence[str], seed: int, repeats: int = 1) -> list[DigitString]:
    """Divide a speaker's recordings into strings, using each recording `repeats` times.

    They are shuffled by sorting by SHA-256, which does not depend on a random generator's version.

    Raises:
        ValueError: if there are fewer than three recordings.
    """
    if len(names) < SHORTEST:
        raise ValueError(f"speaker {speaker}: {len(names)} recordings are too few for a string of {SHORTEST}")
    strings: list[DigitString] = []
    for turn in range(repeats):
        order = iter(sorted(names, key=lambda name: _number(seed, turn, name)))
        for length in _lengths(len(names), f"{seed} {turn} {speaker}"):
            utterance = f"{speaker}-{len(strings):04d}"
            shortest, longest = GAP_MS
            gaps = (
                shortest + _number(seed, utterance, i) % (longest - shortest + 1) for i in range(length - 1)
            )
            strings.append(DigitString(utterance, tuple(next(order) for _ in range(length)), tuple(gaps)))
    return strings


def join(digits: "Sequence[np.ndarray]", gaps_ms: Sequence[int], rate: int, noise_seed: int) -> "np.ndarray":
    """Concatenate recordings with noise between them.

    Args:
        digits: sound in [-1, 1], each (samples,).
        gaps_ms: one fewer than recordings.
        rate: Hz.
        noise_seed: 0 to 2**32 - 1.

    Returns:
        (samples,), float64.
    """
    import numpy as np

    assert len(gaps_ms) == len(digits) - 1
    noise = np.random.RandomState(noise_seed)  # the only generator whose numbers NumPy guarantees
    levels = [_quietest(digit, rate) for digit in digits]
    pieces = [digits[0]]
    for i, gap in enumerate(gaps_ms):
        level = min(levels[i], levels[i + 1])
        pieces += [level * noise.standard_normal(round(gap * rate / 1000)), digits[i + 1]]
    return np.concatenate(pieces)


def _build(
    path: Path,
    wav_folder: Path,
    strings: Mapping[str, Sequence[DigitString]],
    recordings: Recordings,
    seed: int,
) -> DataDir:
    wavs, text, utt2spk = {}, {}, {}
    for speaker, planned in strings.items():
        for string in planned:
            wav = wav_folder / speaker / f"{string.utterance}.wav"
            _write_wav(wav, string, recordings[speaker], seed)
            wavs[string.utterance] = str(wav.resolve())
            text[string.utterance] = string.text
            utt2spk[string.utterance] = speaker
    return DataDir(path=path, wavs=wavs, text=text, utt2spk=utt2spk)


def _write_wav(path: Path, string: DigitString, wavs: Mapping[str, Path], seed: int) -> None:
    import soundfile

    from asr_topdown import audio

    digits = []
    rate = None
    for name in string.names:
        samples, this_rate = audio.read(audio.Clip(str(wavs[name])))
        if rate not in (None, this_rate):
            raise ValueError(f"{wavs[name]}: {this_rate} Hz, but {string.names[0]} has {rate} Hz")
        rate = this_rate
        digits.append(samples)
    assert rate is not None
    sound = join(digits, string.gaps_ms, rate, _number(seed, "noise", string.utterance) % 2**32)
    content = io.BytesIO()
    soundfile.write(content, sound, rate, subtype="PCM_16", format="WAV")
    if not path.exists() or path.read_bytes() != content.getvalue():
        with files.written_aside(path) as aside:
            aside.write_bytes(content.getvalue())


def _remove_others(wav_folder: Path, parts: Sequence[DataDir]) -> None:
    """Remove strings from an earlier call with another seed or more repeats."""
    used = {wav for part in parts for wav in part.wavs.values()}
    for wav in wav_folder.glob("*/*-[0-9][0-9][0-9][0-9].wav"):
        if str(wav.resolve()) not in used:
            wav.unlink()


def _lengths(recordings: int, key: str) -> Iterator[int]:
    """Draw numbers from 3 to 7 that sum to `recordings`."""
    draw = 0
    while recordings:
        fitting = [n for n in range(SHORTEST, LONGEST + 1) if recordings == n or recordings - n >= SHORTEST]
        length = fitting[_number(key, draw) % len(fitting)]
        yield length
        recordings -= length
        draw += 1


def _quietest(samples: "np.ndarray", rate: int) -> float:
    """Compute the root mean square of the quietest 10 ms."""
    import numpy as np

    frame = max(1, rate // 100)
    whole = samples[: max(1, len(samples) // frame) * frame]
    return float(
        np.sqrt(np.mean(np.square(whole.reshape(-1, min(frame, len(whole))), dtype=np.float64), axis=1)).min()
    )


def _number(*key: object) -> int:
    return int.from_bytes(hashlib.sha256(" ".join(map(str, key)).encode()).digest()[:8], "big")
