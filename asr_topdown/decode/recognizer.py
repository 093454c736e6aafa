"""A trained model as an object that turns sound files into text."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr_topdown import audio
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.model import TrainedModel, load_trained
from asr_topdown.decode.searches import build_search, with_beam
from asr_topdown.features.front_end import front_end


class Recognizer:
    """Speech to text with one trained model.

    Args:
        model: what `load_trained` gives.
        decode: how to search; the model's own settings if absent.
    """

    def __init__(self, model: TrainedModel, decode: DecodeConfig | None = None) -> None:
        self.model = model
        self._search = build_search(model.network, decode or model.config.decode, model.vocabulary)

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu", beam: int | None = None) -> "Recognizer":
        """Load a model folder; `beam` asks for a beam search of that width, as `searches.with_beam` says."""
        model = load_trained(folder, device)
        return cls(model, with_beam(model.network, model.config.decode, beam) if beam else None)

    @torch.no_grad()
    def transcribe(self, files: Sequence[Path | str]) -> list[str]:
        """The text of each sound file, one by one.

        Raises:
            ValueError: naming the file, if it cannot be read, has another sampling rate than the model
                was trained on, or is shorter than one frame.
        """
        return [self._text(self._features(str(file))) for file in files]

    def _features(self, file: str) -> Tensor:
        waveform, rate = audio.read(audio.Clip(file))
        settings = self.model.config.features
        try:
            feats = front_end(torch.from_numpy(waveform), rate, settings.fbank, settings.deltas)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return self.model.cmvn.apply(feats) if self.model.cmvn else feats

    def _text(self, feats: Tensor) -> str:
        batch = feats[None].to(self.model.device)
        lengths = torch.tensor([len(feats)], device=self.model.device)
        (result,) = self._search(batch, lengths)
        return self.model.vocabulary.decode(result.best.ids)
