"""What a network sees of the sound: what `features:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field

from asr_topdown.config.section import Section
from asr_topdown.features.fbank_options import FbankOptions


class FeaturesConfig(Section):
    """What the network sees of the sound."""

    fbank: FbankOptions = FbankOptions()
    deltas: int = Field(0, ge=0, le=2, description="append first (1) and second (2) time derivatives")
    cmvn: Literal["global", "none"] = "global"
