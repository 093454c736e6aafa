"""How speech is decoded: what `decode:` may hold in an experiment's YAML."""

from typing import Literal

from pydantic import Field, model_validator

from asr_topdown.config.section import Section


class DecodeConfig(Section):
    """From a network's outputs to text."""

    method: Literal["greedy", "prefix_beam", "joint_beam", "attention", "transducer_beam"] = Field(
        "greedy",
        description="greedy, prefix_beam: by the CTC output; joint_beam: by CTC and the attention decoder; "
        "attention: by the decoder alone; of a transducer, greedy and transducer_beam",
    )
    beam: int = Field(10, ge=1, description="hypotheses kept per utterance")
    nbest: int = Field(1, ge=1, description="hypotheses written per utterance, at most `beam`")
    ctc_weight: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description="joint_beam: of CTC's score, the decoder's has the rest; 1 = CTC alone",
    )
    max_symbols: int = Field(5, ge=1, description="most labels that a transducer puts out in one frame")
    length_bonus: float = Field(
        0.0, description="in a beam search but prefix_beam: added for each label, in nats"
    )
    max_length_ratio: float = Field(
        1.0, ge=0.0, description="joint_beam, attention: most labels, as a share of the encoder's frames"
    )
    min_length_ratio: float = Field(0.0, ge=0.0, description="joint_beam, attention: fewest labels, likewise")
    pre_beam: int = Field(
        0, ge=0, description="joint_beam: labels per hypothesis that CTC scores, the decoder's best; 0 = all"
    )
    lm: str = Field(
        "",
        description="in a beam search but prefix_beam: folder of a language model over the same units; "
        "empty = none",
    )
    lm_weight: float = Field(0.0, ge=0.0, description="of its log-probabilities (shallow fusion)")
    unscored: tuple[str, ...] = Field(
        (), description="tags such as <NOISE> that error rates leave out on both sides"
    )
    frames_per_batch: int = Field(24000, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> "DecodeConfig":
        if self.nbest > self.beam and self.method != "greedy":
            raise ValueError(f"nbest {self.nbest} is more than the beam, {self.beam}")
        if self.lm_weight and not self.lm:
            raise ValueError(f"an lm_weight of {self.lm_weight} and no lm: which language model?")
        if self.lm and self.method in ("greedy", "prefix_beam"):
            raise ValueError(
                "a language model needs the method joint_beam, attention or transducer_beam, "
                f"not {self.method}"
            )
        return self
