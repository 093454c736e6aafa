"""The input of a network: what `features:` may hold in an experiment's YAML."""

from typing import Any, Literal

from pydantic import Field, model_validator

from asr_topdown.config.section import Section
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.waveform_options import FRAMES_A_SECOND, WaveformOptions


class FeaturesConfig(Section):
    """The input of the network."""

    kind: Literal["fbank", "given", "waveform"] = Field(
        "fbank",
        description="fbank: computed from the audio; given: from feats.scp in the data directories; "
        "waveform: the samples, read from wav.scp during training",
    )
    fbank: FbankOptions = FbankOptions()
    waveform: WaveformOptions = WaveformOptions()
    dim: int = Field(0, ge=0, description="with given: values per frame, before derivatives are appended")
    deltas: int = Field(0, ge=0, le=2, description="append first (1) and second (2) time derivatives")
    cmvn: Literal["global", "none"] = "global"

    @model_validator(mode="before")
    @classmethod
    def _sound_is_not_normalised(cls, values: Any) -> Any:
        sound = isinstance(values, dict) and values.get("kind") == "waveform"
        return {"cmvn": "none", **values} if sound else values

    @model_validator(mode="after")
    def _fits_sound(self) -> "FeaturesConfig":
        if self.kind != "waveform":
            return self
        if self.cmvn == "global":
            raise ValueError("cmvn: not with kind: waveform, whose samples a network normalises itself")
        if self.deltas or self.fbank != FbankOptions():
            raise ValueError("kind: waveform has neither fbank nor deltas")
        return self

    @model_validator(mode="after")
    def _has_a_dimension(self) -> "FeaturesConfig":
        if (self.kind == "given") != (self.dim > 0):
            raise ValueError("kind: given needs dim, the numbers in a frame; other kinds have none")
        return self

    @classmethod
    def of_sound(cls, sample_rate: int) -> "FeaturesConfig":
        """The settings of a network that reads waveforms at this rate in Hz."""
        return cls(kind="waveform", waveform=WaveformOptions(sample_rate=sample_rate), cmvn="none")

    @property
    def size(self) -> int:
        """Values per frame as a network reads it; a sample is a frame of one value."""
        if self.kind == "waveform":
            return 1
        return (self.dim or self.fbank.dim) * (self.deltas + 1)

    @property
    def frame_seconds(self) -> float:
        """Seconds from one frame to the next, as batches are measured.

        Those of the filter bank are whole samples: 220 at 22,050 Hz, and so 0.2 % less than 10 ms.
        """
        return 1 / FRAMES_A_SECOND if self.kind == "waveform" else self.fbank.shift / self.fbank.sample_rate

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the network's input to the next: a frame, or a sample."""
        return 1 / self.waveform.sample_rate if self.kind == "waveform" else self.frame_seconds

    @property
    def sample_rate(self) -> int:
        """Hz, of the audio that is read."""
        return self.waveform.sample_rate if self.kind == "waveform" else self.fbank.sample_rate
