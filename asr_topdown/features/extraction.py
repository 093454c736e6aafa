"""Extract the features of some utterances into one archive, and collect all problems with the others."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from asr_topdown import files
from asr_topdown.audio import Clip, NoSoundError, read
from asr_topdown.engines.parts import Tick
from asr_topdown.features import ark
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.front_end import front_end


class Part(NamedTuple):
    """The work of one process: an archive and its utterances."""

    ark: Path
    clips: Sequence[tuple[str, Clip]]
    fbank: FbankOptions
    deltas: int


class Entry(NamedTuple):
    """An utterance whose features have been written."""

    utterance: str
    place: str  # ark:offset
    frames: int
    sound: str  # hash of its samples


@dataclass
class Extracted:
    """The result for a part's utterances.

    Attributes:
        entries: those that have features.
        dropped: utterance -> why it has none: as in Kaldi, those after the end of their recording or shorter
            than a frame are left out.
        remarks: what is wrong with sound that was used all the same.
        faults: utterance -> why it cannot be read.
    """

    entries: list[Entry] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def extract(part: Part, tick: Tick) -> Extracted:
    """Write one archive; `tick` is called for each utterance.

    Raises:
        OSError: if the archive cannot be written.
    """
    found = Extracted()
    with files.written_aside(part.ark) as aside, open(aside, "wb") as file:
        for utterance, clip in part.clips:
            # Dither, if any, is the utterance's own: it does not depend on the order or on other utterances.
            generator = torch.Generator().manual_seed(zlib.crc32(utterance.encode()))
            try:
                samples, rate = read(clip, pipes=True, remark=found.remarks.append)
                feats = front_end(samples, rate, part.fbank, part.deltas, generator)
            except NoSoundError as error:
                found.dropped[utterance] = _reason(clip, error)
            # An OSError here is about the sound, one outside is about the archive.
            except (ValueError, OSError) as error:
                found.faults[utterance] = _reason(clip, error)
            else:
                offset = ark.save(file, utterance, feats.numpy())
                sound = hashlib.sha256(np.ascontiguousarray(samples, "<f4").tobytes()).hexdigest()[:32]
                found.entries.append(Entry(utterance, f"{part.ark}:{offset}", len(feats), sound))
            tick()
    return found


def joined(parts: Sequence[Extracted]) -> Extracted:
    """Merge all parts, in order; each remark once."""
    whole = Extracted()
    for part in parts:
        whole.entries += part.entries
        whole.dropped |= part.dropped
        whole.faults |= part.faults
        whole.remarks += part.remarks
    whole.remarks = list(dict.fromkeys(whole.remarks))
    return whole


def _reason(clip: Clip, error: Exception) -> str:
    reason = files.explain(error)
    return reason if clip.source in reason else f"{clip.source}: {reason}"
