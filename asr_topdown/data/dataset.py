"""Utterances with their features and units, read from a Kaldi data directory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown import datadir
from asr_topdown.data.batch import SpeechBatch, collate
from asr_topdown.features import content, store
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.files import explain
from asr_topdown.logs import listed, warn_once
from asr_topdown.losses import ctc_frames_needed
from asr_topdown.text import Vocabulary


class Utterance(NamedTuple):
    """One utterance: the location of its features, their number of frames, and its transcript."""

    id: str
    feats: str
    frames: int
    tokens: tuple[int, ...]


class SpeechDataset:
    """The utterances of a data directory, in the order of their ids.

    Args:
        folder: the data directory, which is searched for its features.
        utterances: in the order of their ids.
        cmvn: global mean and variance normalisation of the features, or None.
    """

    def __init__(self, folder: Path, utterances: Sequence[Utterance], cmvn: Cmvn | None) -> None:
        self.folder = folder
        self.utterances = tuple(utterances)
        self.cmvn = cmvn

    @classmethod
    def read(cls, folder: Path | str, vocabulary: Vocabulary | None, cmvn: Cmvn | None) -> "SpeechDataset":
        """Read text, feats.scp and utt2num_frames of `folder`; utterances without audio are left out.

        Without a vocabulary, utterances have no units.

        Raises:
            ValueError: naming the file and the utterance, if one is missing or empty.
        """
        folder = Path(folder)
        text = datadir.read_transcripts(folder / "text")
        feats = datadir.read_table(folder / "feats.scp")
        frames = datadir.read_table(folder / "utt2num_frames")
        silent = content.left_out(folder)
        if silent:
            warn_once(
                f"{folder}: {len(silent)} utterances without sound are left out: {listed(list(silent))}"
            )
        utterances = []
        for utterance, transcript in sorted(text.items()):
            if utterance in silent and utterance not in feats:
                continue
            if utterance not in feats or utterance not in frames:
                raise ValueError(_why_missing(folder, utterance))
            tokens = encoded(vocabulary, transcript, f"{folder / 'text'}: {utterance}")
            utterances.append(Utterance(utterance, feats[utterance], int(frames[utterance]), tokens))
        if not utterances:
            raise ValueError(f"{folder}: no utterances")
        return cls(folder, utterances, cmvn)

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def frames(self) -> list[int]:
        """Input frames of each utterance."""
        return [utterance.frames for utterance in self.utterances]

    @property
    def input_lengths(self) -> list[int]:
        """The length of each utterance for the network: its frames."""
        return self.frames

    def subset(self, utterances: Sequence[Utterance]) -> "SpeechDataset":
        """Some of the utterances."""
        return SpeechDataset(self.folder, utterances, self.cmvn)

    def load(self, index: int) -> Tensor:
        """Normalised features (T, D) of one utterance.

        Raises:
            ValueError: naming the utterance, if its features cannot be read or are not finite.
        """
        utterance = self.utterances[index]
        try:
            feats = torch.from_numpy(store.load(utterance.feats, self.folder))
        except (OSError, ValueError) as error:
            raise ValueError(f"{utterance.id}: {explain(error)}") from error
        # The sum is one pass, and finite only if they all are; a sum can also be too large.
        if len(feats) != utterance.frames or not (feats.sum().isfinite() or feats.isfinite().all()):
            raise ValueError(
                f"features of {utterance.id} ({utterance.feats}) must be {utterance.frames} finite frames, "
                f"got {len(feats)}"
            )
        return self.cmvn.apply(feats) if self.cmvn else feats

    def batch(self, indices: Sequence[int]) -> SpeechBatch:
        """The utterances `indices`, padded to one batch."""
        chosen = [self.utterances[index] for index in indices]
        return collate(
            [utterance.id for utterance in chosen],
            [self.load(index) for index in indices],
            [utterance.tokens for utterance in chosen],
        )

    def keep_trainable(
        self,
        output_length: Callable[[Tensor], Tensor],
        frames_needed: Callable[[Sequence[int]], int] = ctc_frames_needed,
        max_frames: int | None = None,
    ) -> tuple["SpeechDataset", list[str]]:
        """Leave out the utterances that the network cannot align or that are too long, and report them.

        Args:
            output_length: (N,) `input_lengths` -> numbers of the network's output frames.
            frames_needed: minimum number of such frames for these units.
            max_frames: maximum input frames of an utterance; None = no limit.

        Returns:
            the dataset of the others, and one line per utterance left out.
        """
        lengths = output_length(torch.tensor(self.input_lengths)).tolist()
        kept, dropped = [], []
        for utterance, length in zip(self.utterances, lengths, strict=True):
            needed = frames_needed(utterance.tokens)
            if not utterance.tokens:
                dropped.append(f"{utterance.id}: empty transcript")
            elif max_frames and utterance.frames > max_frames:
                dropped.append(f"{utterance.id}: {utterance.frames} frames, train.max_frames is {max_frames}")
            elif length < needed:
                dropped.append(f"{utterance.id}: {length} output frames for a transcript that needs {needed}")
            else:
                kept.append(utterance)
        return self.subset(kept), dropped


def _why_missing(folder: Path, utterance: str) -> str:
    """Why an utterance with a transcript has no features."""
    table = folder / "utt2spk"
    if table.is_file() and utterance not in datadir.read_table(table):
        return f"{table}: no line for {utterance}, which has a transcript"
    return f"{folder}: no features of {utterance}; run `asr-topdown features` again"


def encoded(vocabulary: Vocabulary | None, transcript: str, where: str) -> tuple[int, ...]:
    """The units of a transcript; none without a vocabulary.

    Raises:
        ValueError: naming its origin `where`, if it cannot be split into units.
    """
    if vocabulary is None:
        return ()
    try:
        return tuple(vocabulary.encode(transcript))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
