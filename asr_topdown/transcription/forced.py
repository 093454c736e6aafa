"""Forced alignment: the times of each word and unit of a known transcript."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_topdown import audio
from asr_topdown.data.inputs import of_sound
from asr_topdown.data.sampler import length_batches
from asr_topdown.datadir import DataDir
from asr_topdown.decode.ctc_alignment import ctc_align
from asr_topdown.decode.model import TrainedModel
from asr_topdown.files import explain
from asr_topdown.text import UNKNOWN_ID
from asr_topdown.transcription.transcript import Failure, Word
from asr_topdown.transcription.words import frames_joined, units_of, words_of

log = logging.getLogger(__name__)

_AHEAD = 24_000  # frames of features in memory at a time


@dataclass(frozen=True)
class Aligned:
    """An utterance with the times of its words and units, in seconds from its start.

    Attributes:
        utterance: its id.
        seconds: its duration.
        words: its words.
        units: the network's units, including spaces between words.
        score: the best alignment's log-probability per frame; low if the transcript does not fit.
    """

    utterance: str
    seconds: float
    words: tuple[Word, ...]
    units: tuple[Word, ...]
    score: float


@dataclass(frozen=True)
class _Heard:
    utterance: str
    seconds: float
    feats: Tensor
    frames: int


class Aligner:
    """Forced alignment by the CTC output of a trained network.

    Args:
        model: from `load_trained`.
        pipes: whether to run commands in wav.scp.

    Raises:
        ValueError: if the network has no CTC output, or reads given features.
    """

    def __init__(self, model: TrainedModel, *, pipes: bool = False) -> None:
        if model.network.ctc is None:
            raise ValueError(f"{model.folder}: an alignment needs a network with a CTC output")
        if model.config.features.kind == "given":
            raise ValueError(f"{model.folder}: reads the features of data directories, not sound")
        self._model, self._ctc, self._pipes = model, model.network.ctc, pipes
        self._frame_seconds = frames_joined(model.network) * model.config.features.step_seconds
        self._unknown = 0

    @torch.no_grad()
    def align(self, data: DataDir) -> Iterator[Aligned | Failure]:
        """Align each utterance of a data directory, computing features from its sound.

        Raises:
            ValueError: naming the directory, if an utterance has no transcript.
        """
        missing = data.utt2spk.keys() - data.text.keys()
        if missing:
            raise ValueError(f"{data.path / 'text'}: no line for {min(missing)}")
        waiting: list[_Heard] = []
        for utterance, clip in data.clips().items():
            try:
                waiting.append(self._hear(utterance, clip))
            except (ValueError, OSError) as error:
                yield Failure(utterance, f"{utterance}: {explain(error)}")
            if sum(one.frames for one in waiting) >= _AHEAD:
                yield from self._aligned(waiting, data.text)
                waiting = []
        yield from self._aligned(waiting, data.text)
        if self._unknown:
            log.warning(
                "%s: %d transcripts have units that the model does not know; these are aligned as <unk>",
                data.path,
                self._unknown,
            )

    def _hear(self, utterance: str, clip: audio.Clip) -> _Heard:
        settings = self._model.config.features
        rate = settings.sample_rate
        samples, found = audio.read(clip, pipes=self._pipes)
        # As in training: what the directory's own rate leaves out is not heard here either.
        samples = audio.resample(samples, found, rate)
        return _Heard(utterance, len(samples) / rate, *of_sound(samples, settings, self._model.cmvn))

    def _aligned(self, waiting: list[_Heard], text: Mapping[str, str]) -> Iterator[Aligned | Failure]:
        plan = length_batches(
            [one.frames for one in waiting], frames_per_batch=_AHEAD, utterances_per_batch=64
        )
        found: dict[str, Aligned | Failure] = {}
        for indices in plan:
            batch = [waiting[index] for index in indices]
            device = self._model.device
            feats = pad_sequence([one.feats for one in batch], batch_first=True).to(device)
            sizes = torch.tensor([len(one.feats) for one in batch])
            memory, lengths = self._model.network.encode(feats, sizes.to(device), host_lengths=sizes)
            rows = self._ctc.log_probs(memory).cpu().double().numpy()
            for one, row, count in zip(batch, rows, lengths.tolist(), strict=True):
                found[one.utterance] = self._one(one, text[one.utterance], row[:count])
        yield from (found[one.utterance] for one in waiting)

    def _one(self, heard: _Heard, text: str, log_probs: np.ndarray) -> Aligned | Failure:
        vocabulary = self._model.vocabulary
        ids = vocabulary.encode(text)
        self._unknown += UNKNOWN_ID in ids
        try:
            alignment = ctc_align(log_probs, ids)
        except ValueError as error:
            return Failure(heard.utterance, f"{heard.utterance}: cannot be aligned: {error}")
        times = {"offset": 0.0, "frame_seconds": self._frame_seconds, "seconds": heard.seconds}
        return Aligned(
            heard.utterance,
            heard.seconds,
            words_of(vocabulary, ids, alignment, **times),
            units_of(vocabulary, alignment, **times),
            alignment.score / max(1, len(log_probs)),
        )
