"""The input of a network from a data directory or from new audio, for all kinds of features.

Everything that depends on `features.kind` after feature extraction is here.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr_topdown import datadir
from asr_topdown.audio import Clip
from asr_topdown.config.features import FeaturesConfig
from asr_topdown.data.dataset import SpeechDataset, Utterance, encoded
from asr_topdown.features import content, waveforms
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.front_end import front_end
from asr_topdown.features.waveforms import Waveforms
from asr_topdown.files import explain
from asr_topdown.logs import warn_once
from asr_topdown.text import Vocabulary


class WaveformDataset(SpeechDataset):
    """Utterances whose samples are read from their audio files each time.

    Args:
        folder: the data directory.
        utterances: in the order of their ids; their frames are of 10 ms.
        clips: utterance -> location of its audio.
        samples: utterance -> number of samples at `rate`.
        rate: Hz.
    """

    def __init__(
        self,
        folder: Path,
        utterances: Sequence[Utterance],
        clips: dict[str, Clip],
        samples: dict[str, int],
        rate: int,
    ) -> None:
        super().__init__(folder, utterances, None)
        self._clips, self._samples, self._rate = clips, samples, rate

    @property
    def input_lengths(self) -> list[int]:
        """Samples of each utterance."""
        return [self._samples[utterance.id] for utterance in self.utterances]

    def load(self, index: int) -> Tensor:
        """(N, 1) samples of one utterance."""
        utterance = self.utterances[index]
        try:
            samples = waveforms.load(self._clips[utterance.id], self._rate)
        except (OSError, ValueError) as error:
            raise ValueError(f"{utterance.id}: {explain(error)}") from error
        if len(samples) != self._samples[utterance.id]:
            raise ValueError(
                f"{utterance.id}: {utterance.feats} has {len(samples)} samples now, and had "
                f"{self._samples[utterance.id]}: it was changed"
            )
        return samples

    def subset(self, utterances: Sequence[Utterance]) -> "WaveformDataset":
        """As `SpeechDataset.subset`."""
        return WaveformDataset(self.folder, utterances, self._clips, self._samples, self._rate)


def read_utterances(
    folder: Path | str, vocabulary: Vocabulary | None, features: FeaturesConfig, cmvn: Cmvn | None
) -> SpeechDataset:
    """The utterances of a data directory as a network reads them; without units if there is no vocabulary.

    Raises:
        ValueError: naming the file and the utterance, if one is missing or damaged.
    """
    folder = Path(folder)
    if features.kind != "waveform":
        return SpeechDataset.read(folder, vocabulary, cmvn)
    options, found = features.waveform, sound_of(folder, features)
    if found.resampled:
        rates = ", ".join(f"{count} utterances at {rate} Hz" for rate, count in found.resampled.items())
        warn_once(f"{folder}: {rates} are resampled to {options.sample_rate} Hz, whenever they are read")
    clips, text = datadir.read(folder).clips(), datadir.read_transcripts(folder / "text")
    utterances = []
    for utterance, transcript in sorted(text.items()):
        if utterance in found.dropped:
            continue
        if utterance not in found.samples:
            raise ValueError(f"{folder / 'utt2spk'}: no line for {utterance}, which has a transcript")
        frames = options.num_frames(found.samples[utterance])
        tokens = encoded(vocabulary, transcript, f"{folder / 'text'}: {utterance}")
        utterances.append(Utterance(utterance, clips[utterance].source, frames, tokens))
    if not utterances:
        raise ValueError(f"{folder}: no utterances")
    return WaveformDataset(folder, utterances, clips, dict(found.samples), options.sample_rate)


def content_hash(folder: Path, features: FeaturesConfig) -> str:
    """16 hex digits for what a training depends on: features, utterance ids and transcripts.

    Raises:
        ValueError: naming the directory and what is missing, or how its features differ from `features`.
    """
    if features.kind != "waveform":
        check(folder, features)
        return datadir.content_hash(folder)
    data, found = datadir.read(folder), sound_of(folder, features)
    digest = hashlib.sha256(f"{found.hash}\n".encode())
    for utterance in found.samples:
        if utterance not in data.text:
            raise ValueError(f"{data.path / 'text'}: no line for {utterance}")
        digest.update(f"{utterance} {data.text[utterance]}\n".encode())
    return digest.hexdigest()[:16]


def features_hash(folder: Path, features: FeaturesConfig) -> str:
    """16 hex digits for a data directory's features, independent of the transcripts.

    Raises:
        ValueError, OSError: naming the directory that has none, or what cannot be read.
    """
    sound = features.kind == "waveform"
    return sound_of(folder, features).hash if sound else datadir.features_hash(folder)


def check(folder: Path, features: FeaturesConfig) -> None:
    """Check that a data directory has what the configuration needs.

    Raises:
        ValueError: naming the directory, what differs and both values, or what cannot be read.
    """
    if features.kind == "waveform":
        sound_of(folder, features)
        return
    known = datadir.check_features(folder, features.fbank, features.deltas, features.dim)
    if not known and features.kind == "fbank":
        warn_once(
            f"{folder}: features made elsewhere, taken for the filter banks of the configuration, which "
            "transcribe, align and export compute; for others, set features.kind: given"
        )


def check_for_model(folder: Path, features: FeaturesConfig, model: Path) -> None:
    """Check that a data directory has what the network in the folder `model` reads.

    Raises:
        ValueError: as `check`, and naming the network's configuration.
    """
    try:
        check(folder, features)
    except ValueError as error:
        raise ValueError(f"{error} (the configuration is {model / 'config.yaml'})") from None


def left_out(folder: Path, features: FeaturesConfig) -> set[str]:
    """The utterances without audio."""
    if features.kind == "waveform":
        return set(sound_of(folder, features).dropped)
    return set(content.left_out(folder))


def seconds(folder: Path, features: FeaturesConfig) -> float:
    """The total duration of a data directory's utterances."""
    if features.kind == "waveform":
        return sum(sound_of(folder, features).samples.values()) * features.step_seconds
    return sum(map(int, datadir.read_table(folder / "utt2num_frames").values())) * features.frame_seconds


def sound_of(folder: Path, features: FeaturesConfig, nj: int = 1) -> Waveforms:
    """The description of a data directory's audio, which is read once and cached next to it.

    Raises:
        ValueError: as `waveforms.examine`.
    """
    return waveforms.examine(datadir.read(folder).clips(), folder, features.sample_rate, nj=nj)


def of_sound(samples: np.ndarray, features: FeaturesConfig, cmvn: Cmvn | None) -> tuple[Tensor, int]:
    """A network's input for a piece of audio, (T, D), and its number of frames for batching.

    Args:
        samples: (n,) at `features.sample_rate`.
        features: of the network.
        cmvn: its normalisation, if it has one.

    Raises:
        ValueError: if it is too short for a frame.
    """
    waveform = torch.from_numpy(samples)
    if features.kind == "waveform":
        return waveform.float()[:, None], features.waveform.num_frames(len(samples))
    feats = front_end(waveform, features.sample_rate, features.fbank, features.deltas)
    return (cmvn.apply(feats) if cmvn else feats), len(feats)
