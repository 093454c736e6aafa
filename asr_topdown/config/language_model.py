"""How a language model reads its text: what `language_model:` may hold in an experiment's YAML."""

from pydantic import Field

from asr_topdown.config.section import Section


class LanguageModelConfig(Section):
    """How the text of a language model is read; only for `model.kind: awd_lstm`."""

    batch: int = Field(80, ge=1, description="number of columns that the training text is cut into")
    dev_batch: int = Field(10, ge=1, description="number of columns of the dev text")
    test_batch: int = Field(1, ge=1, description="number of columns of other texts")
    bptt: int = Field(70, ge=1, description="words that a gradient goes back in time, on average")
