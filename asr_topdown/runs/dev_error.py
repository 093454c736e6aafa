"""The error by which networks are compared: that of the dev set, decoded with the configured decoder.

Training chooses its best epoch by `train.metric`, which costs one pass; searches compare, and reports
show, the error of the final decoder.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.config import Config
from asr_topdown.data.inputs import read_utterances
from asr_topdown.decode.error_rates import error_rates
from asr_topdown.decode.model import decoder_hash
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs.experiment import Experiment
from asr_topdown.schedule.node import LOSS, Outcome
from asr_topdown.train.distributed import local_device
from asr_topdown.weights import load_weights, model_weights


def decoder_of(experiment: Experiment) -> str:
    """The hash of the decoding settings of `experiment`; "" if its networks do not recognise speech."""
    return "" if experiment.config.is_language_model else decoder_hash(experiment.config.decode)


def with_dev_error(outcome: Outcome, experiment: Experiment, folder: Path) -> Outcome:
    """Decode the dev set and record the error rates, one of which becomes the outcome's error.

    This is the word error rate if the units are words or subwords, the label error rate for labels,
    otherwise the character error rate; for a language model, the dev loss.

    Args:
        outcome: of a finished training; its own error is ignored.
        experiment: to which it belongs.
        folder: holds the network's weights: the average if there is one, otherwise the best epoch's.
    """
    metrics = dict(outcome.metrics)
    if not experiment.config.is_language_model:
        metrics |= _decoded(outcome.best_epoch, experiment, folder)
    error = metrics[error_metric(experiment.config)]
    return replace(outcome, error=error, metrics=metrics, decoder=decoder_of(experiment))


def error_metric(config: Config) -> str:
    """The name of the metric that is an outcome's error."""
    if config.is_language_model:
        return LOSS
    return {"char": "dev_cer", "label": "dev_label_error"}.get(config.text.unit, "dev_wer")


def _decoded(best_epoch: int, experiment: Experiment, folder: Path) -> Mapping[str, float]:
    vocabulary, dev = experiment.vocabulary(), experiment.dev
    network = experiment.fresh_model(0)
    assert isinstance(network, Recognizer)
    network.load_state_dict(load_weights(model_weights(folder, best_epoch)))
    network.to(local_device(experiment.device)).eval()
    data = read_utterances(dev, vocabulary, experiment.config.features, experiment.cmvn())
    references = datadir.read_transcripts(dev / "text")
    rates = error_rates(network, data, references, vocabulary, experiment.config.decode)
    return {f"dev_{name}": rate for name, rate in rates.items()}
