"""Decoding in parts: a share of a data set's batches by one model, in one process."""

import functools
import time
from pathlib import Path
from typing import NamedTuple

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.inputs import read_utterances
from asr_topdown.decode.model import TrainedModel, load_trained
from asr_topdown.decode.recognize import WHOLE, Share, recognize
from asr_topdown.decode.result import DecodeResult
from asr_topdown.engines.parts import Tick
from asr_topdown.nn.reuse import keep_memory_and_kernels


class Part(NamedTuple):
    """A share of the batches of `data`, for one model."""

    model: Path
    data: Path
    decode: DecodeConfig | None  # None: the model's own
    device: str
    share: Share = WHOLE


class Decoded(NamedTuple):
    """The result for each utterance, the seconds taken, and the number of input frames."""

    found: dict[str, DecodeResult]
    seconds: float
    frames: int


def decode_part(part: Part, tick: Tick) -> Decoded:
    """Decode a part; `tick` is called for each utterance.

    Raises:
        ValueError: naming the file that is missing or does not fit, or the head that the model lacks.
    """
    keep_memory_and_kernels()
    model = _model(part.model, part.device)
    dataset = read_utterances(part.data, model.vocabulary, model.config.features, model.cmvn)
    started = time.perf_counter()
    found = recognize(
        model.network,
        dataset,
        model.vocabulary,
        part.decode or model.config.decode,
        share=part.share,
        tick=tick,
    )
    seconds = time.perf_counter() - started
    return Decoded(found, seconds, sum(one.frames for one in dataset.utterances if one.id in found))


def joined(parts: list[Decoded]) -> Decoded:
    """Merge the parts: utterances in the order of their ids, seconds and frames summed."""
    found = {name: result for part in parts for name, result in part.found.items()}
    return Decoded(
        dict(sorted(found.items())), sum(part.seconds for part in parts), sum(part.frames for part in parts)
    )


@functools.lru_cache(maxsize=1)
def _model(folder: Path, device: str) -> TrainedModel:
    return load_trained(folder, device)
