"""How speech is decoded: what `decode:` may hold in an experiment's YAML."""

from collections.abc import Collection
from typing import Literal, NamedTuple, get_args

from pydantic import Field, field_validator, model_validator

from asr_topdown.config.section import Section

Precision = Literal["float32", "bfloat16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Method(NamedTuple):
    """A decoder's requirements.

    Attributes:
        heads: the model's heads that it reads; greedy decoding reads whichever exist.
        fuses_lm: whether it can add a language model's scores.
    """

    heads: tuple[str, ...]
    fuses_lm: bool


# The name of a decoder is that of its module in `decode/`.
METHODS = {
    "greedy": Method((), fuses_lm=False),
    "prefix_beam": Method(("ctc",), fuses_lm=False),
    "joint_beam": Method(("ctc", "attention"), fuses_lm=True),
    "attention": Method(("attention",), fuses_lm=True),
    "transducer_beam": Method(("transducer",), fuses_lm=True),
}


class DecodeConfig(Section):
    """From the encoder's output to text."""

    method: str = Field(
        "greedy",
        description="greedy: on the label, transducer, CTC or attention output, the first that exists; "
        "prefix_beam: on CTC; joint_beam: on CTC and the attention decoder; attention: on the decoder alone; "
        "transducer_beam",
    )
    beam: int = Field(10, ge=1, description="hypotheses kept per utterance")
    nbest: int = Field(1, ge=1, description="hypotheses written per utterance, at most `beam`")
    ctc_weight: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description="joint_beam: weight of CTC's score; the decoder's gets the rest; 1 = CTC alone",
    )
    max_symbols: int = Field(
        5, ge=1, description="maximum number of labels that a transducer emits per frame"
    )
    length_penalty: float = Field(
        0.0,
        description="beam searches except prefix_beam: added to the score for each label, in nats; "
        "positive values favour long texts, negative ones short texts",
    )
    max_length_ratio: float = Field(
        0.0,
        ge=0.0,
        description="joint_beam, attention, and greedy on the attention output: most labels, as a "
        "fraction of the encoder's frames; 0 = as many as frames",
    )
    min_length_ratio: float = Field(0.0, ge=0.0, description="minimum number of labels, likewise")
    pre_beam_size: int = Field(
        0,
        ge=0,
        description="joint_beam: number of labels per hypothesis that CTC scores, the best by all other "
        "scores; 0 = all, in one matrix product: fewer is faster only with thousands of units",
    )
    lm: str = Field(
        "",
        description="beam searches except prefix_beam: folder of a language model over the same units; "
        "empty = none",
    )
    lm_weight: float = Field(0.0, ge=0.0, description="weight of its log-probabilities (shallow fusion)")
    nlsyms: tuple[str, ...] = Field(
        (),
        description="non-linguistic symbols such as <NOISE>, which error rates ignore on both sides",
    )
    precision: Precision = Field(
        "float32",
        description="of the network's matrix products and LSTMs; int8: weights of 8 bits, on a CPU only, and "
        "not in an attention decoder of kind lstm; scores stay float32. docs/speed.md says what it gains",
    )
    frames_per_batch: int = Field(24000, ge=1)

    @field_validator("method")
    @classmethod
    def _is_known(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(f"must be one of {', '.join(METHODS)}, got {method!r}")
        return method

    @model_validator(mode="after")
    def _fits(self) -> "DecodeConfig":
        if self.nbest > self.beam and self.method != "greedy":
            raise ValueError(f"nbest {self.nbest} is more than the beam, {self.beam}")
        if self.min_length_ratio > (self.max_length_ratio or 1):
            most = self.max_length_ratio or "0, as many labels as frames"
            raise ValueError(
                f"min_length_ratio {self.min_length_ratio} is more than max_length_ratio, {most}"
            )
        if self.lm_weight and not self.lm:
            raise ValueError(f"an lm_weight of {self.lm_weight} and no lm: which language model?")
        if self.lm and not METHODS[self.method].fuses_lm:
            able = ", ".join(name for name, method in METHODS.items() if method.fuses_lm)
            raise ValueError(f"a language model needs a method that can use one ({able}), not {self.method}")
        return self

    def check_heads(self, heads: Collection[str]) -> None:
        """Check that a model with these heads can be decoded with this method.

        Raises:
            ValueError: naming the head that is missing.
        """
        without_score = {0.0: "ctc", 1.0: "attention"}.get(self.ctc_weight)
        for head in METHODS[self.method].heads:
            if head in heads or (self.method == "joint_beam" and head == without_score):
                continue
            reads = f"with a ctc_weight of {self.ctc_weight:g} " if self.method == "joint_beam" else ""
            able = [name for name, method in METHODS.items() if set(method.heads) <= set(heads)]
            raise ValueError(
                f"decode.method: {self.method} {reads}reads model.{head}, and this model has "
                f"{' and '.join(heads)}: use {' or '.join(able)}"
            )
