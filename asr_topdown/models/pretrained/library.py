"""Pretrained encoders as built and loaded by the library transformers, which is imported only here."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr_topdown import pretrained_folder
from asr_topdown.logs import ONCE, first_of
from asr_topdown.weights import check_numbers

# The library's name of an architecture -> its class.
_CLASSES = {
    "data2vec-audio": "Data2VecAudioModel",
    "hubert": "HubertModel",
    "wav2vec2": "Wav2Vec2Model",
    "wav2vec2-bert": "Wav2Vec2BertModel",
    "wavlm": "WavLMModel",
    "whisper": "WhisperModel",
}
KINDS = tuple(sorted(_CLASSES))

# Random numbers inside layers, and layers left out at random: a stage has one dropout, on its output.
_RANDOM = (
    *("activation_dropout", "activation_dropout_prob", "attention_dropout", "conformer_conv_dropout"),
    *("dropout", "encoder_layerdrop", "feat_proj_dropout", "final_dropout", "hidden_dropout", "layerdrop"),
)
# What else these may say asks for parts that the stages do not have.
_SUPPORTED: Mapping[str, tuple[object, ...]] = {
    "add_adapter": (False,),
    "adapter_attn_dim": (None,),
    "conv_pos_batch_norm": (False,),
    "position_embeddings_type": ("relative_key", None),
}


def random_network(architecture: Mapping[str, Any]) -> nn.Module:
    """The library's own network, with its own random initialisation, from the global generator.

    Raises:
        ValueError: in one line, if the library is missing or does not support the architecture.
    """
    network, settings = _described(architecture)
    with _in_one_line("architecture"):
        built: nn.Module = network(settings)
    return _encoder(built)


def published_network(architecture: Mapping[str, Any], path: str, weights: str) -> nn.Module:
    """The library's network with the weights of a folder or hub name, in float32.

    Args:
        architecture: as returned by `pretrained_folder.read`.
        path: of the folder, or a name.
        weights: the hash of the weights' files.

    Raises:
        ValueError: in one line, if the weights differ from those, are damaged, or lack some of the
            architecture's.
    """
    network, settings = _described(architecture)
    folder = pretrained_folder.locate(path)
    found = pretrained_folder.weights_hash(folder)
    if found != weights:
        raise ValueError(f"{folder}: holds other weights ({found}) than the configuration names ({weights})")
    safetensors = pretrained_folder.weight_files(folder)[0].suffix == ".safetensors"
    with _in_one_line(f"{folder}: cannot be loaded"), _quietly():
        built, report = network.from_pretrained(
            folder,
            config=settings,
            local_files_only=True,
            use_safetensors=safetensors,
            weights_only=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # `_check_fit` names them
            output_loading_info=True,
        )
    _check_fit(folder, built, report)
    encoder = _encoder(built)
    check_numbers(folder, encoder.state_dict())
    return encoder


def _described(architecture: Mapping[str, Any]) -> tuple[Any, Any]:
    """The library's class and configuration, without randomness."""
    kind = architecture.get("model_type")
    if kind not in _CLASSES:
        raise ValueError(f"architecture.model_type: must be one of {', '.join(KINDS)}, got {kind!r}")
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"a pretrained encoder needs the package transformers: pip install 'asr_topdown[pretrained]' "
            f"({error})"
        ) from None
    network = getattr(transformers, _CLASSES[kind])
    given = {name: value for name, value in architecture.items() if name != "model_type"}
    with _in_one_line("architecture"):
        settings = network.config_class(**given)
    for name, values in _SUPPORTED.items():
        if getattr(settings, name, values[0]) not in values:
            raise ValueError(f"architecture.{name}: {getattr(settings, name)!r} is not supported")
    for name in _RANDOM:
        if hasattr(settings, name):
            setattr(settings, name, 0.0)
    return network, settings


def _encoder(built: Any) -> nn.Module:
    """Drop Whisper's decoder; the others are encoders."""
    encoder: nn.Module = built.encoder if built.config.model_type == "whisper" else built
    return encoder


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the library's progress bar and its list of unused tensors (a checkpoint's output layer)."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Raise a ValueError for whatever the library raises for wrong settings or damaged files."""
    try:
        yield
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{what}: {kind}{' '.join(str(error).split())[:300]}") from None


def _check_fit(folder: Path, built: Any, report: Mapping[str, Any]) -> None:
    """Refuse tensors that are missing, and would be random, or have other shapes; name those without a place.

    Those are only named because an encoder may have been cut on purpose, by fewer layers in its config.json.
    """
    wrong = [
        f"{key} must be {tuple(wanted)}, got {tuple(found)}"
        for key, found, wanted in sorted(report["mismatched_keys"])
    ]
    unused = ("masked_spec_embed", "decoder.")
    missing = (key for key in report["missing_keys"] if not any(part in key for part in unused))
    wrong += [f"{key} is missing" for key in sorted(missing)]
    if wrong:
        some = first_of(wrong, 2)
        raise ValueError(f"{folder}: the weights do not fit {pretrained_folder.ARCHITECTURE}: {some}")
    if surplus := sorted(key for key in report["unexpected_keys"] if _of_encoder(key, built)):
        some = first_of(surplus, 2)
        message = f"{folder}: {pretrained_folder.ARCHITECTURE} has no place for {some}: left out"
        logging.getLogger(__name__).warning(message, extra={ONCE: message})


def _of_encoder(key: str, built: Any) -> bool:
    """Whether a tensor without a place in the network belongs to a part that is used, not to a head."""
    part, _, rest = key.removeprefix(f"{built.base_model_prefix}.").partition(".")
    # Whisper's decoder is dropped, and ...ForXVector has a matrix by the name of the convolutions.
    if part == "decoder" or (part == "feature_extractor" and rest in ("weight", "bias")):
        return False
    return part in dict(built.named_children())
