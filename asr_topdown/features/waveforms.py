"""The audio of a data directory for networks that read waveforms.

Only `waveforms.json` is written: the number of samples of each utterance, and one hash for all. It
is recreated whenever the size or time of a file has changed since it was read. The samples themselves are
read from wav.scp during training.
"""

import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr_topdown import audio, files, hashes
from asr_topdown.audio import Clip, NoSoundError
from asr_topdown.engines.parts import Tick, run_parts
from asr_topdown.logs import shortened

RECORD = "waveforms.json"
_VERSION = 1
"""Raise this when the same audio gives different samples."""

_parts_of_files = threading.Lock()


@dataclass(frozen=True)
class Waveforms:
    """The description of a data directory's audio.

    Attributes:
        hash: 16 hex digits; equal for equal audio at the same rate.
        samples: utterance -> number of samples, at the requested rate.
        dropped: utterance -> why it is left out: as in Kaldi, it is after the end of its recording.
        resampled: original rate in Hz -> number of utterances that are resampled from it.
        remarks: problems of audio that is used nevertheless.
    """

    hash: str
    samples: Mapping[str, int]
    dropped: Mapping[str, str] = field(default_factory=dict)
    resampled: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()


class _Part(NamedTuple):
    clips: Sequence[tuple[str, Clip]]
    rate: int


class _Heard(NamedTuple):
    """For a part's utterances: hash, samples and rate of each one's audio, and problems with others."""

    found: dict[str, tuple[str, int, int]]
    dropped: dict[str, str]
    faults: dict[str, str]
    remarks: list[str]


def examine(clips: Mapping[str, Clip], folder: Path, rate: int, *, nj: int = 1) -> Waveforms:
    """The cached description in `folder`, or a new one from reading all audio once, which is then cached.

    Args:
        clips: utterance -> location of its audio.
        folder: the data directory.
        rate: Hz, to which audio of another rate is resampled.
        nj: number of processes; 1 = this one.

    Raises:
        ValueError: with one line per utterance that cannot be read, at most ten and the number of others; if
            a recording is a command; or if no utterance has audio.
    """
    if not clips:
        raise ValueError(f"{folder}: no utterances")
    key = _key(clips, folder, rate)
    if (known := _known(folder / RECORD, key)) is not None:
        return known
    order, nj = sorted(clips.items()), max(1, min(nj, len(clips)))
    cuts = [len(order) * job // nj for job in range(nj + 1)]
    parts = [_Part(order[cuts[job] : cuts[job + 1]], rate) for job in range(nj)]
    heard = [part for _, part in sorted(run_parts(_hear, parts, len(order), f"sound {folder}"))]
    waveforms = _joined(heard, folder, rate)
    with contextlib.suppress(OSError):  # a folder to be read only: read again the next time
        files.write_json(folder / RECORD, {"key": key, **asdict(waveforms)})
    return waveforms


def load(clip: Clip, rate: int) -> Tensor:
    """(N, 1) samples in [-1, 1] at `rate`, float32; may be called by several threads.

    Raises:
        ValueError, OSError: naming the source, as `audio.read`.
    """
    # A recording of which parts are read stays open, for one reader at a time.
    whole = clip.end is None and not clip.start
    with contextlib.nullcontext() if whole else _parts_of_files:
        samples, found = audio.read(clip, remark=lambda _: None)
    return torch.from_numpy(audio.resample(samples, found, rate))[:, None]


def _hear(part: _Part, tick: Tick) -> _Heard:
    heard = _Heard({}, {}, {}, [])
    for utterance, clip in part.clips:
        try:
            samples, rate = audio.read(clip, remark=heard.remarks.append)
            count = audio.resampled_length(len(samples), rate, part.rate)
        except NoSoundError as error:
            heard.dropped[utterance] = str(error)
        except (ValueError, OSError) as error:
            heard.faults[utterance] = files.explain(error)
        else:
            sound = hashlib.sha256(np.ascontiguousarray(samples, "<f4").tobytes()).hexdigest()[:32]
            heard.found[utterance] = (sound, count, rate)
        tick()
    return heard


def _joined(parts: Sequence[_Heard], folder: Path, rate: int) -> Waveforms:
    faults = [f"utterance {one}: {reason}" for part in parts for one, reason in part.faults.items()]
    if faults:
        raise ValueError("\n".join(shortened(faults)))
    found = {utterance: one for part in parts for utterance, one in part.found.items()}
    dropped = {utterance: reason for part in parts for utterance, reason in part.dropped.items()}
    if not found:
        utterance, reason = next(iter(dropped.items()))
        raise ValueError(f"{folder}: no utterance has sound; {utterance}: {reason}")
    digest = hashlib.sha256(f"waveform {_VERSION} {rate}\n".encode())
    for utterance, (sound, _, own) in found.items():
        digest.update(f"{utterance} {sound} {own}\n".encode())
    return Waveforms(
        hash=digest.hexdigest()[:16],
        samples={utterance: count for utterance, (_, count, _) in found.items()},
        dropped=dropped,
        resampled=dict(Counter(str(own) for _, _, own in found.values() if own != rate)),
        remarks=list(dict.fromkeys(line for part in parts for line in part.remarks)),
    )


def _key(clips: Mapping[str, Clip], folder: Path, rate: int) -> str:
    """Hash of everything known in advance that determines the samples."""
    sources = sorted({clip.source for clip in clips.values()})
    for source in sources:
        if audio.is_command(source):
            raise ValueError(
                f"{folder / 'wav.scp'}: {source}: a command, which would be run in every epoch; "
                "features.kind: waveform reads files only"
            )
    made_from = [_VERSION, rate, {utterance: [*clip] for utterance, clip in sorted(clips.items())}]
    states = {source: hashes.state_of(audio.file_of(source)) for source in sources}
    return hashlib.sha256(json.dumps([*made_from, states]).encode()).hexdigest()[:16]


def _known(path: Path, key: str) -> Waveforms | None:
    try:
        kept = files.read_json(path)
        if kept.pop("key") == key:
            return Waveforms(**kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None
