"""Suggestions for unknown keys."""

import difflib
import functools
import itertools
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from asr_topdown.config.yaml_files import Keys

_CLOSE = 0.6
"""Minimum similarity of two keys, as in `difflib.get_close_matches`."""

# What Kaldi, ESPnet, icefall, SpeechBrain, NeMo and Lightning call it -> its path here.
OTHER_NAMES = {
    "accum_grad": "train.grad_accumulation",
    "accumulate": "train.grad_accumulation",
    "accumulate_grad_batches": "train.grad_accumulation",
    "amp": "train.precision",
    "attention_heads": "model.encoder.num_heads",
    "batch": "train.utterances_per_batch",
    "batch_bins": "train.frames_per_batch",
    "batch_size": "train.utterances_per_batch",
    "beam_size": "decode.beam",
    "beam_width": "decode.beam",
    "bpe_size": "text.vocab_size",
    "ctc_conf": "model.ctc.weight",
    "fmax": "features.fbank.high_freq",
    "fmin": "features.fbank.low_freq",
    "fs": "features.fbank.sample_rate",
    "gradient_clip_val": "train.grad_clip",
    "keep_nbest_models": "train.average",
    "language_model_weight": "decode.lm_weight",
    "learning_rate": "train.optimizer.lr",
    "lr": "train.optimizer.lr",
    "linear_units": "model.encoder.ffn_dim",
    "max_epoch": "train.epochs",
    "max_epochs": "train.epochs",
    "mtlalpha": "model.ctc.weight",
    "n_epochs": "train.epochs",
    "n_fft": "features.fbank.frame_length_ms",
    "n_mels": "features.fbank.num_mels",
    "nbpe": "text.vocab_size",
    "num_blocks": "model.encoder.num_layers",
    "num_epochs": "train.epochs",
    "num_mel_bins": "features.fbank.num_mels",
    "optim": "train.optimizer",
    "optimiser": "train.optimizer",
    "sampling_rate": "features.fbank.sample_rate",
    "scheduler": "train.lr_schedule",
    "sortagrad": "train.sortagrad_epochs",
    "specaug": "train.specaugment",
    "token_type": "text.unit",
    "use_amp": "train.precision",
    "use_energy": "features.fbank.energy",
    "warmup": "train.lr_schedule.warmup_steps",
    "warmup_steps": "train.lr_schedule.warmup_steps",
    "window_type": "features.fbank.window",
}
SIBLINGS = {"type": "kind", "name": "kind"}
"""Likewise, for a key in the same section."""


def hint(unknown: Keys, schema: type[BaseModel]) -> str:
    """A hint to append to the unknown key; "" if no setting is similar."""
    dots = unknown[-1].count(".")
    if dots and tuple(".".join(unknown).split(".")) in paths(schema):
        nested = unknown[-1].replace(".", ": {")
        return f": a key in a file has no dots, write {nested}: …{'}' * dots}"
    named = tuple(key for key in unknown if not key.isdigit())
    if named[-1:] == unknown[-1:] and named in paths(schema):
        return ": another kind has it, not this one"
    near = nearest(named, schema)
    return f"; did you mean {near}?" if near else ""


def nearest(unknown: Keys, schema: type[BaseModel]) -> str:
    """The path of the setting most similar to `unknown`; "" if none is."""
    if not unknown:
        return ""
    known = set(paths(schema))
    *above, key = unknown
    sibling = (*above, SIBLINGS.get(key, ""))
    if sibling in known:
        return ".".join(sibling)
    word = key.replace("-", "_").lower()
    if OTHER_NAMES.get(word) and tuple(OTHER_NAMES[word].split(".")) in known:
        return OTHER_NAMES[word]
    scored = [(_likeness(unknown, path), path) for path in sorted(known)]
    likeness, path = max(scored, key=lambda pair: pair[0])
    return ".".join(path) if likeness else ""


def _likeness(unknown: Keys, path: Keys) -> float:
    """0 if the last keys are not similar; otherwise higher for every section that the paths share."""
    alike = difflib.SequenceMatcher(None, unknown[-1], path[-1]).ratio()
    shared = _shared(unknown[:-1], path[:-1])
    return 0.0 if alike < _CLOSE else alike + 0.1 * shared - 0.01 * len(path)


def _shared(one: Keys, other: Keys) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


@functools.cache
def paths(schema: type[BaseModel]) -> tuple[Keys, ...]:
    """Every section and setting that `schema` knows, of all kinds of models; places in lists left out."""
    described = schema.model_json_schema()
    return tuple(dict.fromkeys(_paths(described, described.get("$defs", {}), ())))


def _paths(part: Any, definitions: dict[str, Any], above: Keys) -> Iterator[Keys]:
    if "$ref" in part:
        part = definitions[part["$ref"].rpartition("/")[2]]
    for name, inner in part.get("properties", {}).items():
        yield (*above, name)
        yield from _paths(inner, definitions, (*above, name))
    for choice in (*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())):
        yield from _paths(choice, definitions, above)
    if isinstance(part.get("items"), dict):
        yield from _paths(part["items"], definitions, above)
