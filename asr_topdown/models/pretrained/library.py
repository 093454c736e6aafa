"""Pretrained encoders as built and loaded by the library transformers, which is imported only here."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asr_topdown import pretrained_folder

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
    built: nn.Module = network(settings)
    return _encoder(built)


def published_network(architecture: Mapping[str, Any], path: str, weights: str) -> nn.Module:
    """The library's network with the weights of a folder or hub name, in float32.

    Args:
        architecture: as returned by `pretrained_folder.read`.
        path: of the folder, or a name.
        weights: the hash of the weights' files.

    Raises:
        ValueError: in one line, if the weights differ from those, or are damaged or incomplete.
    """
    network, settings = _described(architecture)
    folder = pretrained_folder.locate(path)
    found = pretrained_folder.weights_hash(folder)
    if found != weights:
        raise ValueError(f"{folder}: holds other weights ({found}) than the configuration names ({weights})")
    safetensors = pretrained_folder.weight_files(folder)[0].suffix == ".safetensors"
    try:
        with _quietly():
            built, report = network.from_pretrained(
                folder,
                config=settings,
                local_files_only=True,
                use_safetensors=safetensors,
                weights_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    # A damaged file raises whatever its reader raises.
    except Exception as error:
        raise ValueError(f"{folder}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    _check_complete(folder, report)
    return _encoder(built)


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
    try:
        settings = network.config_class(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"architecture: {' '.join(str(error).split())}") from None
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


def _check_complete(folder: Path, report: Mapping[str, Any]) -> None:
    """Refuse missing tensors, which would be random."""
    unused = ("masked_spec_embed", "decoder.")
    missing = [key for key in report["missing_keys"] if not any(part in key for part in unused)]
    mismatched = [str(key[0]) for key in report["mismatched_keys"]]
    if wrong := sorted([*missing, *mismatched]):
        some = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ValueError(f"{folder}: lacks weights, or has them of other shapes: {some}")
