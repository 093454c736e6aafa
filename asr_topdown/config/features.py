"""What a network sees of the sound: what `features:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field, model_validator

from asr_topdown.config.section import Section
from asr_topdown.features.fbank_options import FbankOptions


class FeaturesConfig(Section):
    """What the network sees of the sound."""

    kind: Literal["fbank", "given"] = Field(
        "fbank",
        description="fbank: of the sound; given: what feats.scp of the data directories holds",
    )
    fbank: FbankOptions = FbankOptions()
    dim: int = Field(0, ge=0, description="with given: numbers in a frame, before derivatives are appended")
    deltas: int = Field(0, ge=0, le=2, description="append first (1) and second (2) time derivatives")
    cmvn: Literal["global", "none"] = "global"

    @model_validator(mode="after")
    def _has_a_dimension(self) -> "FeaturesConfig":
        if (self.kind == "given") != (self.dim > 0):
            raise ValueError("kind: given needs dim, the numbers in a frame; kind: fbank has none")
        return self

    @property
    def size(self) -> int:
        """Numbers in a frame as a network reads it."""
        return (self.dim or self.fbank.dim) * (self.deltas + 1)
