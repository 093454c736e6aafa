"""Networks are built from keyword arguments without defaults; these are in the configuration's sections."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator

import pytest
from torch import nn

from asr_topdown import models
from asr_topdown import nn as blocks
from asr_topdown.build import DECODERS, ENCODERS
from asr_topdown.config import model as sections
from asr_topdown.config.section import Section
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.nn.predictor import LstmPredictor


def modules() -> Iterator[type[nn.Module]]:
    """Every network or part of one that has a constructor of its own."""
    for package in (blocks, models):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(found.name)).values():
                own = inspect.isclass(value) and value.__module__ == found.name and "__init__" in vars(value)
                if own and issubclass(value, nn.Module):
                    yield value


@pytest.mark.parametrize("kind", list(modules()), ids=lambda kind: kind.__name__)
def test_no_argument_has_a_default_or_goes_by_place(kind: type[nn.Module]) -> None:
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter
        assert parameter.default is inspect.Parameter.empty, parameter


def sections_of(kind: str) -> Iterator[type[Section]]:
    for value in vars(sections).values():
        if inspect.isclass(value) and issubclass(value, Section):
            field = value.model_fields.get("kind")
            if field is not None and field.default == kind:
                yield value


SIDES = [
    *(pytest.param(section, make, {"input_size"}, id=f"encoder {kind}")
      for kind, make in ENCODERS.items() for section in sections_of(kind)
      if not issubclass(section, sections.AttentionHeadConfig)),
    *(pytest.param(section, make, {"vocab_size", "memory_size"}, id=f"decoder {kind}")
      for kind, make in DECODERS.items() for section in sections_of(kind)
      if issubclass(section, sections.AttentionHeadConfig)),
    pytest.param(sections.PredictorConfig, LstmPredictor, {"vocab_size"}, id="predictor"),
    pytest.param(sections.AwdLstmConfig, AwdLstm, {"vocab_size"}, id="awd_lstm"),
]  # fmt: skip


def arguments(make: Callable[..., object]) -> set[str]:
    """The names; of `nn.block.stack` with a block, also those that it hands on to the block."""
    own = set(inspect.signature(make).parameters)
    if not isinstance(make, functools.partial):
        return own
    (block,) = make.args
    return own - {"settings"} | set(inspect.signature(block).parameters) - {"input_layer"}


@pytest.mark.parametrize(("section", "make", "besides"), SIDES)
def test_a_sections_settings_are_its_constructors_arguments(
    section: type[Section], make: Callable[..., object], besides: set[str]
) -> None:
    taken = arguments(make) - besides
    given = set(section.model_fields) - {"kind"}
    if issubclass(section, sections.AttentionHeadConfig):
        given -= set(sections.AttentionHeadConfig.model_fields)
    assert taken == given


def test_every_kind_has_a_section() -> None:
    assert len(SIDES) == len(ENCODERS) + len(DECODERS) + 2
