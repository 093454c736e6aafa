"""`swbd`: Switchboard-1 Release 2 (LDC97S62), 300 hours of telephone calls, with the MS98 transcripts.

Each call is a two-channel µ-law SPHERE file at 8 kHz; its sides `sw02001-A` and `sw02001-B` are the
recordings and the speakers. As in ESPnet's recipe the first 4000 utterances are the dev set, and no
transcript is used more than about 300 times in the training set (`selection`). Words are normalised by
`words` and `acronyms`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.corpora import calls, counts, repeated
from asr_topdown.corpora.calls import Utterance
from asr_topdown.corpora.counts import Count
from asr_topdown.corpora.swbd import selection, transcripts
from asr_topdown.datadir import DataDir
from asr_topdown.logs import listed

FILES = (2438, 2435)
HOURS = {"all": 313 + 23 / 60, "train": 286.0, "dev": 5.1}
"""Of all utterances before selection, and of the training and dev sets (comments in ESPnet's run.sh)."""


def prepare(
    out: Path,
    *,
    swbd: Path,
    text: Path | None = None,
    downloads: Path | None = None,
    conv_tab: Path | None = None,
    dev_utterances: int = selection.DEV_UTTERANCES,
    sample_rate: int | None = None,
) -> list[DataDir]:
    """Write `out/train` (Kaldi's train_nodup) and `out/dev` (train_dev).

    Args:
        out: folder for the two data directories.
        swbd: folder with the `.sph` files, at any depth.
        text: folder with the MS98 transcripts, at any depth; None looks in `swbd`, then downloads them.
        downloads: folder for downloads; None is `downloads` next to `out`.
        conv_tab: `conv_tab.csv` with the callers' PINs, to identify speakers; None: each side is a speaker.
        dev_utterances: size of the dev set, the first utterances.
        sample_rate: rate in Hz to which the sound is resampled when read; None = unchanged, 8 kHz.

    Raises:
        OSError: if files are missing, or the transcripts cannot be downloaded.
        ValueError: naming file and line of what cannot be read, or the empty set.
    """
    files = calls.find_calls(swbd)
    root = transcripts.find_root(text or swbd)
    if root is None and text is not None:
        raise FileNotFoundError(f"{text}: no {transcripts.DICTIONARY} in it, at any depth")
    if root is None:
        root = transcripts.find_root(transcripts.fetch(downloads or out.parent / "downloads"))
        assert root is not None
    pins = _read_pins(conv_tab) if conv_tab else {}
    utterances = _with_sound(transcripts.read(root), files)
    whole = _data_dir(out, files, utterances, pins, sample_rate)
    parts = _split(whole, dev_utterances)
    _check_counts(len(files), whole, parts)
    datadir.write(*parts)
    return parts


def _with_sound(utterances: Sequence[Utterance], files: Mapping[str, Path]) -> list[Utterance]:
    """Remove utterances of calls without sound file: some copies lack three."""
    kept = [one for one in utterances if one.side.rpartition("-")[0] in files]
    missing = sorted({one.side.rpartition("-")[0] for one in utterances} - files.keys())
    if missing:
        print(f"warning: left out {len(missing)} calls that have transcripts and no sound: {listed(missing)}")
    if not kept:
        raise ValueError("none of the calls with transcripts has a sound file")
    return kept


def _data_dir(
    out: Path,
    files: Mapping[str, Path],
    utterances: Sequence[Utterance],
    pins: Mapping[str, str],
    sample_rate: int | None,
) -> DataDir:
    segments: dict[str, tuple[str, float, float]] = {}
    text: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    for side, begin, finish, words in utterances:
        start, end = calls.half_up(begin), calls.half_up(finish)
        name = calls.segment_id(side, start, end)
        speaker = side
        if side in pins:
            speaker = f"sw{pins[side]}"
            name = f"{speaker}-{name.removeprefix('sw')}"
        if name in text:
            raise ValueError(f"two utterances of {side} start at {begin} s and end at {finish} s")
        segments[name] = (side, start / 100, end / 100)
        text[name], utt2spk[name] = words, speaker
    return calls.data_dir(out, files, segments, text, utt2spk=utt2spk, sample_rate=sample_rate)


def _split(whole: DataDir, dev_utterances: int) -> list[DataDir]:
    """Divide all utterances into training and dev set."""
    order = whole.utterances()
    rest = {utterance: whole.text[utterance] for utterance in order[dev_utterances:]}
    chosen = {"train": selection.limit_copies(rest), "dev": order[:dev_utterances]}
    parts = []
    for name, utterances in chosen.items():
        kept = [utterance for utterance in utterances if _fits(whole, utterance)]
        if not kept:
            raise ValueError(
                f"{whole.path / name}: empty: of {len(order)} utterances, the first {dev_utterances} "
                "are the dev set (--dev-utterances)"
            )
        parts.append(datadir.subset(whole, kept, whole.path / name))
    return parts


def _fits(data: DataDir, utterance: str) -> bool:
    return selection.fits(data.text[utterance], _seconds(data, [utterance]))


def _seconds(data: DataDir, utterances: Sequence[str]) -> float:
    assert data.segments is not None
    spans = [data.segments[utterance][1:] for utterance in utterances]
    return sum(end - start for start, end in spans if end is not None)  # here each has an end


def _read_pins(path: Path) -> dict[str, str]:
    """Read side -> the speaker's PIN from lines `call, …, PIN of A, PIN of B`."""
    pins: dict[str, str] = {}
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        fields = [field.strip().strip('"') for field in line.split(",")]
        if len(fields) < 4:
            if line.strip():
                raise ValueError(f"{path}:{number}: must have at least 4 columns, got {len(fields)}")
            continue
        for side, pin in zip(calls.SIDES, fields[2:4], strict=True):
            repeated.add(pins, f"sw0{fields[0]}-{side}", pin, f"{path}:{number}", what="PINs")
    return pins


def _check_counts(num_files: int, whole: DataDir, parts: Sequence[DataDir]) -> None:
    hours = {"all": _seconds(whole, whole.utterances()) / 3600}
    hours |= {part.path.name: _seconds(part, part.utterances()) / 3600 for part in parts}
    counts.warn_of_others(
        [
            Count("sound files", FILES, num_files),
            *(Count(f"hours, {name}", (HOURS[name],), hours[name], 0.01) for name in hours),
        ]
    )
