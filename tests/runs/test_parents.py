"""Which layers must be new if the units are others."""

from pathlib import Path
from typing import Any

import pytest
from networks import NETWORKS, blstm

from asr_topdown import config as configuration
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.parents import vocabulary_layers
from asr_topdown.text import Vocabulary
from asr_topdown.text.word_vocabulary import WordVocabulary

LM = {"kind": "awd_lstm", "num_layers": 2, "hidden_size": 4, "embedding_size": 3}
FEATURES = {"fbank": {"num_mels": 9}}
BY_LOSS = {"metric": "loss"}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"features": FEATURES, "model": NETWORKS["blstm_ctc"]}, ("softmax",)),
        ({"features": FEATURES, "model": NETWORKS["blstm"]}, ("decoder", "softmax")),
        ({"features": FEATURES, "model": NETWORKS["transformer"]}, ("dec.0", "softmax")),
        ({"features": FEATURES, "model": NETWORKS["transducer"]}, ("predictor", "softmax")),
        ({"features": FEATURES, "model": NETWORKS["hybrid"]}, ("dec.0", "predictor", "softmax")),
        (
            {"text": {"unit": "label"}, "model": {"encoder": [blstm(1, 4)], "label": {}}, "train": BY_LOSS},
            ("softmax",),
        ),
        ({"model": {**LM, "tied": True}, "train": BY_LOSS}, ("softmax",)),
        ({"model": {**LM, "tied": False}, "train": BY_LOSS}, ("lstm.0", "softmax")),
    ],
)
def test_layers_with_units_are_the_output_and_as_a_whole_those_with_embeddings(
    settings: dict[str, Any], wanted: tuple[str, ...], tmp_path: Path
) -> None:
    config, tokens = configuration.parse(settings), tmp_path / "tokens.txt"
    if config.is_language_model:
        WordVocabulary(("a", "b", "c", "<eos>")).save(tokens)
    else:
        Vocabulary.build(["a", "b", "c"], config.text.unit).save(tokens)
    assert vocabulary_layers(Experiment(config, tmp_path, tmp_path, tokens)) == wanted
