"""A Kaldi data directory in memory and on disk.

Kaldi's contract: `wav.scp` (recording, location of its audio), `segments` (utterance, recording, start, end
in seconds, or -1 for that of the recording; absent when each recording is one utterance), `text`, `utt2spk`,
`spk2utt`, `feats.scp`, `utt2num_frames`; each sorted by its first column in byte order. Our extensions are
`utt2speed` (utterance, factor): the utterance is its recording played this many times faster; and
`sample_rate` (a number): all audio is resampled to this rate in Hz. `reco2file_and_channel` (recording, file,
A or B) tells which channel of a stereo file a recording is.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.lines import parse_table
from asr_topdown.datadir.parsing import Segment, Side
from asr_topdown.datadir.transcripts import parse_transcript, read_transcripts
from asr_topdown.features import content as features
from asr_topdown.features.fbank_options import FbankOptions

if TYPE_CHECKING:
    from asr_topdown.audio import Clip

V = TypeVar("V")

_CHANNELS = {"A": 0, "1": 0, "B": 1, "2": 1}


@dataclass(frozen=True, kw_only=True)
class DataDir:
    """The tables of a data directory.

    Attributes:
        path: the folder.
        wavs: recording -> Kaldi rxfilename (a path, or a command that ends in `|`).
        text: utterance -> transcript, which may be empty.
        utt2spk: utterance -> speaker; defines the set of utterances.
        segments: utterance -> (recording, start, end in seconds or None for the recording's), or None if
            utterances are recordings.
        speed: utterance -> speed factor, for those that are not played at their original speed.
        feats: utterance -> location of its features (`ark:offset`).
        num_frames: utterance -> number of feature frames.
        sides: recording -> its file and channel (reco2file_and_channel).
        sample_rate: Hz, to which all audio is resampled; None = no resampling.
    """

    path: Path
    wavs: Mapping[str, str]
    text: Mapping[str, str]
    utt2spk: Mapping[str, str]
    segments: Mapping[str, Segment] | None = None
    speed: Mapping[str, float] = field(default_factory=dict)
    feats: Mapping[str, str] = field(default_factory=dict)
    num_frames: Mapping[str, int] = field(default_factory=dict)
    sides: Mapping[str, Side] = field(default_factory=dict)
    sample_rate: int | None = None

    def utterances(self) -> list[str]:
        """Utterance ids, sorted."""
        return sorted(self.utt2spk)

    def spk2utt(self) -> dict[str, list[str]]:
        """Speaker -> utterances; both sorted."""
        spoken = defaultdict(list)
        for utterance in self.utterances():
            spoken[self.utt2spk[utterance]].append(utterance)
        return dict(sorted(spoken.items()))

    def recording(self, utterance: str) -> str:
        """The recording that contains an utterance."""
        return utterance if self.segments is None else self._segment(utterance)[0]

    def clips(self) -> "dict[str, Clip]":
        """Utterance -> location of its audio, sorted.

        Raises:
            ValueError: naming the directory and the utterance that has no segment or no recording, or the
                recording whose channels cannot be counted.
        """
        channels = {recording: self._channel(recording) for recording in self.sides.keys() & self.wavs.keys()}
        return {utterance: self._clip(utterance, channels) for utterance in self.utterances()}

    def check_unperturbed(self, what: str) -> None:
        """Refuse what would separate the copies of a recording, which count as other utterances and speakers.

        Raises:
            ValueError: if utterances are played at other speeds; names `what` that is.
        """
        if self.speed:
            raise ValueError(
                f"{self.path}: is speed-perturbed (utt2speed), and {what} would put copies of one recording "
                "into several sets: take the data as they were before `data speed`"
            )

    def without_features(self) -> list[str]:
        """The utterances that `asr-topdown features` left out, sorted; none if there are no features."""
        silent = features.left_out(self.path) if self.feats else {}
        return sorted((silent.keys() & self.utt2spk.keys()) - self.feats.keys())

    def _channel(self, recording: str) -> int | None:
        """The channel to read; None if there is only one: a command's output (as in Kaldi), mono."""
        from asr_topdown.audio import is_command, num_channels

        source = self.wavs[recording]
        channel = None if is_command(source) else _CHANNELS.get(self.sides[recording].channel)
        if not channel:
            return channel
        try:
            # A file of its own for each side: B is its only channel.
            return None if num_channels(source) == 1 else channel
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{self.path / 'wav.scp'}: recording {recording}: {files.explain(error)}"
            ) from None

    def _clip(self, utterance: str, channels: Mapping[str, int | None]) -> "Clip":
        from asr_topdown.audio import Clip

        recording, start, end = utterance, 0.0, None
        if self.segments is not None:
            recording, start, end = self._segment(utterance)
        if recording not in self.wavs:
            raise ValueError(f"{self.path / 'wav.scp'}: no recording {recording} (utterance {utterance})")
        return Clip(
            self.wavs[recording],
            start=start,
            end=end,
            channel=channels.get(recording),
            speed=self.speed.get(utterance, 1.0),
            rate=self.sample_rate,
        )

    def _segment(self, utterance: str) -> Segment:
        assert self.segments is not None
        if utterance not in self.segments:
            raise ValueError(f"{self.path / 'segments'}: no segment for utterance {utterance}")
        return self.segments[utterance]


def read(path: Path | str) -> DataDir:
    """Read a data directory; `utt2spk` must exist, the other tables are empty if missing.

    Raises:
        FileNotFoundError: if there is no such directory, or no `utt2spk` in it.
        ValueError: naming file and line: a duplicate key, a missing or extra field, not a number.
    """
    path = Path(path)
    if not (path / "utt2spk").is_file():
        raise FileNotFoundError(f"{path}: not a data directory (it has no utt2spk)")
    return DataDir(
        path=path,
        wavs=_table(path / "wav.scp", parsing.parse_source),
        text=read_transcripts(path / "text", parse_transcript) if (path / "text").exists() else {},
        utt2spk=_table(path / "utt2spk", parsing.parse_word),
        segments=_table(path / "segments", parsing.parse_segment) if (path / "segments").exists() else None,
        speed=_table(path / "utt2speed", parsing.parse_positive),
        feats=_table(path / "feats.scp", parsing.parse_source),
        num_frames=_table(path / "utt2num_frames", parsing.parse_count),
        sides=_table(path / "reco2file_and_channel", parsing.parse_side),
        sample_rate=parsing.read_sample_rate(path / "sample_rate"),
    )


def content_hash(path: Path | str) -> str:
    """16 hex digits for what a training depends on: features, utterance ids and transcripts.

    Raises:
        ValueError: naming the directory and the first utterance without frames (features are missing)
            or without a transcript.
    """
    data = read(path)
    digest = hashlib.sha256()
    for utterance in sorted(data.utt2spk.keys() - set(data.without_features())):
        if utterance not in data.num_frames:
            raise ValueError(
                f"{data.path / 'utt2num_frames'}: no line for {utterance}; compute features first"
            )
        if utterance not in data.text:
            raise ValueError(f"{data.path / 'text'}: no line for {utterance}")
        digest.update(f"{utterance} {data.num_frames[utterance]} {data.text[utterance]}\n".encode())
    digest.update(features.read(path, data.feats).hash.encode())
    return digest.hexdigest()[:16]


def features_hash(path: Path | str) -> str:
    """16 hex digits for a data directory's features, whatever was said.

    Raises:
        ValueError, OSError: naming the directory that has none, or an entry that cannot be read.
    """
    return features.read(path, _table(Path(path) / "feats.scp", parsing.parse_source)).hash


def check_features(path: Path | str, fbank: FbankOptions, deltas: int, given: int = 0) -> bool:
    """Make sure that a data directory's features were made with these settings.

    Returns:
        Whether their settings are known; if not, only the size was compared.

    Raises:
        ValueError: naming the directory, what differs and both values, or that there are no features.
    """
    feats = _table(Path(path) / "feats.scp", parsing.parse_source)
    return features.check(path, feats, fbank, deltas, given)


def _table(path: Path, parse: Callable[[str], V]) -> dict[str, V]:
    return parse_table(path, parse) if path.exists() else {}
