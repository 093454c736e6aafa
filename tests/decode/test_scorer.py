"""The protocol of scorers, and its implementations."""

import inspect

import pytest

from asr_topdown.decode.language_model import LanguageModelScorer
from asr_topdown.decode.scorer import Scorer
from asr_topdown.models.heads.attention import AttentionScorer


@pytest.mark.parametrize("kind", [AttentionScorer, LanguageModelScorer])
@pytest.mark.parametrize("name", ["init_state", "score", "select"])
def test_every_scorer_has_the_methods_of_the_protocol(kind: type, name: str) -> None:
    expected = inspect.signature(getattr(Scorer, name)).parameters
    found = inspect.signature(getattr(kind, name)).parameters
    assert list(found) == list(expected)
    assert [one.default for one in found.values()] == [one.default for one in expected.values()]
