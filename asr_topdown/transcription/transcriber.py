"""A trained model as an object that turns sound into text."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.inputs import of_sound
from asr_topdown.data.sampler import length_batches
from asr_topdown.decode.decoders import with_beam
from asr_topdown.decode.inference import Inference
from asr_topdown.decode.model import TrainedModel, load_trained
from asr_topdown.decode.result import DecodeResult
from asr_topdown.engines.devices import check_device
from asr_topdown.files import explain
from asr_topdown.transcription.cutting import cut
from asr_topdown.transcription.settings import check_settings
from asr_topdown.transcription.sound import SoundReader, SoundSource, check_several, is_source, name_of
from asr_topdown.transcription.transcript import Failure, Hypothesis, Segment, Transcript
from asr_topdown.transcription.words import frames_joined, timed_words

LONGEST = 30.0
"""Maximum seconds of sound that are recognised at once."""

_WHOLE = 1e9  # seconds: longer than any sound
_AHEAD = 6000  # maximum frames in a CPU's batch: a minute, so that texts come early


@dataclasses.dataclass
class _Job:
    """A sound in progress, with its segments; those not yet decoded are None."""

    name: str
    segments: list[Segment | None] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    reason: str = ""
    read: bool = False

    def result(self) -> Transcript | Failure:
        if self.reason:
            return Failure(self.name, self.reason)
        return Transcript(self.name, self.seconds, tuple(s for s in self.segments if s is not None))


@dataclasses.dataclass(frozen=True)
class _Waiting:
    """A piece of sound to decode: the network's input, its number of frames, and the place of its segment."""

    job: _Job
    number: int
    start: float
    end: float
    feats: Tensor
    frames: int


class Transcriber:
    """Speech to text with one trained model.

    Args:
        model: from `load_trained`.
        decode: how to decode; None: the model's own settings.
        channel: of sounds with several channels, from 0; None mixes them.
        longest: in seconds; longer sounds are cut at quiet places, unless the model labels whole sounds.

    Raises:
        ValueError: if the model lacks a head that the decoder reads, or reads given features, or `channel` or
            `longest` is wrong.
    """

    def __init__(
        self,
        model: TrainedModel,
        decode: DecodeConfig | None = None,
        *,
        channel: int | None = None,
        longest: float = LONGEST,
    ) -> None:
        check_settings(channel=channel, longest=longest)
        if model.config.features.kind == "given":
            raise ValueError(f"{model.folder}: reads the features of data directories, not sound")
        self.model = model
        self._decode_config = decode or model.config.decode
        self._infer = Inference(model.network, self._decode_config, model.vocabulary)
        self._rate = model.config.features.sample_rate
        self._longest = longest if model.network.label is None else _WHOLE
        self._sound = SoundReader(self._rate, channel)
        self._frame_seconds = frames_joined(model.network) * model.config.features.step_seconds

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "cpu",
        beam: int | None = None,
        nbest: int | None = None,
        precision: str | None = None,
        channel: int | None = None,
        longest: float = LONGEST,
    ) -> "Transcriber":
        """Load a model folder: see `asr_topdown.load`."""
        check_settings(beam=beam, nbest=nbest, precision=precision, channel=channel, longest=longest)
        check_device(device)
        model = load_trained(folder, device)
        decode = model.config.decode
        if nbest is not None:
            beam = max(nbest, beam or decode.beam)
        if beam is not None:
            decode = with_beam(model.network, decode, int(beam))
        if nbest is not None:
            decode = decode.model_copy(update={"nbest": int(nbest)})
        if precision is not None:
            decode = decode.model_copy(update={"precision": precision})
        return cls(model, decode, channel=channel, longest=longest)

    def transcribe(self, sources: SoundSource | Sequence[SoundSource]) -> list[Transcript]:
        """Transcribe sounds.

        Args:
            sources: paths, open files, or (samples, rate in Hz); or one of these.

        Raises:
            ValueError: naming the first sound that is missing, cannot be read, or is shorter than a frame.
        """
        found = []
        for result in self.stream([sources] if is_source(sources) else sources):  # type: ignore[arg-type,list-item]
            if isinstance(result, Failure):
                raise ValueError(result.reason)
            found.append(result)
        return found

    @torch.no_grad()
    def stream(self, sources: Iterable[SoundSource]) -> Iterator[Transcript | Failure]:
        """Transcribe sounds in their order, yielding each as soon as it is done.

        Sounds are decoded in batches, with only a few minutes in memory at a time.
        """
        jobs: deque[_Job] = deque()
        waiting: list[_Waiting] = []
        budget = self._decode_config.frames_per_batch
        budget = min(budget, _AHEAD) if self.model.device.type == "cpu" else budget
        if is_source(sources):
            raise ValueError("stream takes a list of sounds; for one sound there is transcribe")
        check_several(sources)
        for source in sources:
            job = _Job(name_of(source))
            jobs.append(job)
            for piece in self._pieces(job, source):
                waiting.append(piece)
                if sum(one.frames for one in waiting) >= budget:
                    self._decode(waiting)
                    waiting = []
            job.read = True
            yield from _finished(jobs)
        self._decode(waiting)
        yield from _finished(jobs)

    def _pieces(self, job: _Job, source: SoundSource) -> Iterator[_Waiting]:
        """Iterate over the pieces of a sound; store the reason in the job if it cannot be read."""
        try:
            for piece in cut(self._sound.read(source), self._rate, self._longest):
                start, end = piece.start / self._rate, (piece.start + len(piece.samples)) / self._rate
                feats, frames = self._features(piece.samples, job.name)
                job.seconds = end
                job.segments.append(None)
                yield _Waiting(job, len(job.segments) - 1, start, end, feats, frames)
        except (ValueError, OSError) as error:
            job.reason = explain(error)

    def _features(self, samples: np.ndarray, name: str) -> tuple[Tensor, int]:
        try:
            return of_sound(samples, self.model.config.features, self.model.cmvn)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _decode(self, waiting: Sequence[_Waiting]) -> None:
        pieces = [one for one in waiting if not one.job.reason]
        plan = length_batches(
            [one.frames for one in pieces],
            frames_per_batch=self._decode_config.frames_per_batch,
            utterances_per_batch=64,
        )
        for indices in plan:
            self._decode_batch([pieces[index] for index in indices])

    def _decode_batch(self, batch: Sequence[_Waiting]) -> None:
        device = self.model.device
        feats = pad_sequence([one.feats for one in batch], batch_first=True).to(device)
        sizes = torch.tensor([len(one.feats) for one in batch])
        found, lengths, log_probs = self._infer(feats, sizes.to(device), 0, sizes)
        rows: list[np.ndarray | None] = [None] * len(batch)
        if log_probs is not None:
            counts = lengths.tolist()
            rows = [row[:count] for row, count in zip(log_probs.cpu().double().numpy(), counts, strict=True)]
        for one, result, row in zip(batch, found, rows, strict=True):
            one.job.segments[one.number] = self._segment(one, result, row)

    def _segment(self, piece: _Waiting, result: DecodeResult, log_probs: np.ndarray | None) -> Segment:
        vocabulary = self.model.vocabulary
        words = timed_words(
            vocabulary,
            result.best.ids,
            log_probs,
            offset=piece.start,
            frame_seconds=self._frame_seconds,
            seconds=piece.end - piece.start,
        )
        hypotheses = tuple(Hypothesis(vocabulary.transcript(one.ids), one.score) for one in result.hypotheses)
        return Segment(piece.start, piece.end, words, hypotheses)


def _finished(jobs: deque[_Job]) -> Iterator[Transcript | Failure]:
    """Remove finished jobs from the front, and yield their results."""
    while jobs and jobs[0].read and (jobs[0].reason or None not in jobs[0].segments):
        yield jobs.popleft().result()
