"""Which of the paper's tables belongs to which configuration."""

from types import SimpleNamespace

import pytest

from asr_topdown import config
from asr_topdown.report import published as tables
from asr_topdown.report.published import published


@pytest.mark.parametrize(
    ("corpus", "name", "table"),
    [
        ("wsj", "blstm_ctc", tables.BLSTM_CTC),
        ("wsj", "blstm_ctc_dropout", tables.BLSTM_CTC_DROPOUT),
        ("wsj", "blstm_ctc_attention", tables.MODEL_A),
        ("wsj", "vgg_ctc_attention", tables.MODEL_B),
        ("wsj", "conformer_ctc_attention", None),
        ("swbd", "transformer_ctc_attention", tables.TRANSFORMER),
        ("wikitext2", "cpu", tables.AWD_LSTM),
        ("an4", "blstm_ctc", None),
    ],
)
def test_the_papers_table_of_a_configuration(repository, corpus, name, table):
    model = config.load(repository / "egs" / corpus / "conf" / f"{name}.yaml").model
    experiment = SimpleNamespace(corpus=corpus, model=model.model_dump(mode="json"))
    assert published(experiment) is table
    assert published(SimpleNamespace(corpus=corpus, model={})) is None
