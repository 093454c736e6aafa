"""A published pretrained encoder: a folder, or a name on the Hugging Face hub.

It holds `config.json` (the architecture), `preprocessor_config.json` (the network's input; or
`processor_config.json`, which has it under `feature_extractor`) and the weights: `model.safetensors`, whole
or sharded, or else `pytorch_model.bin`. Nothing here needs torch.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from asr_topdown import files, hashes

ARCHITECTURE, PREPROCESSOR, PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", "pytorch_model.bin", "pytorch_model-*-of-*.bin")

_ADAPTER = "adapter_config.json"  # where it is, the library changes the weights by what it describes

# What says where a file is from, or how it is stored, and nothing of the network.
_NOT_OF_THE_NETWORK = frozenset(
    {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
)
_NOT_OF_THE_INPUT = frozenset({"auto_map", "processor_class"})


class Published(NamedTuple):
    """The description of a network in its folder.

    Attributes:
        architecture: the content of config.json, without its origin.
        preprocessor: likewise of preprocessor_config.json, or of what replaces it in processor_config.json.
        weights: 16 hex digits for the content of the files of weights.
    """

    architecture: dict[str, Any]
    preprocessor: dict[str, Any]
    weights: str


def read(path: str) -> Published:
    """Read the folder or hub name `path`.

    Raises:
        ValueError: in one line, if there is no such folder and no hub that has it, or a file is missing.
    """
    folder = locate(path)
    return Published(
        _without(_settings(folder / ARCHITECTURE), _NOT_OF_THE_NETWORK),
        _without(_preprocessor(folder), _NOT_OF_THE_INPUT),
        weights_hash(folder),
    )


def locate(path: str) -> Path:
    """The folder itself; for a hub name, the folder of the local copy, downloaded if necessary.

    Raises:
        ValueError: as `read`.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or path.count("/") != 1 or path.startswith((".", "~")):
        raise ValueError(f"{path}: no such folder")
    return _snapshot(path)


def weight_files(folder: Path) -> list[Path]:
    """The files of weights: safetensors if there are any, otherwise PyTorch's own.

    Raises:
        ValueError: naming the folder, if it has none, or the adapter that the library would add to them.
    """
    if (folder / _ADAPTER).exists():
        raise ValueError(
            f"{folder / _ADAPTER}: an adapter, which is not part of the weights: save the network with it "
            "merged into them (in peft: merge_and_unload), or, to use the weights alone, take this file away"
        )
    for pattern in _WEIGHTS:
        if found := sorted(folder.glob(pattern)):
            return found
    raise ValueError(f"{folder}: holds no weights (model.safetensors or pytorch_model.bin)")


def weights_hash(folder: Path) -> str:
    """16 hex digits for the content of the files of weights.

    Raises:
        ValueError: as `weight_files`.
    """
    digests = [hashes.cached_file_hash(path) for path in weight_files(folder)]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def _preprocessor(folder: Path) -> dict[str, Any]:
    """The settings of the input; as in transformers, those beside a tokenizer's come first."""
    if (folder / PROCESSOR).is_file():
        inner = _settings(folder / PROCESSOR).get("feature_extractor")
        if isinstance(inner, dict):
            return inner
    return _settings(folder / PREPROCESSOR)


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; a pretrained encoder's folder needs it")
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: must hold a JSON object")
    return found


def _without(settings: dict[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in sorted(settings.items()) if key not in left_out}


@functools.lru_cache(maxsize=8)
def _snapshot(name: str) -> Path:
    """Download the needed files of a hub model; without a connection, use those downloaded before."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise ValueError(
            f"{name}: no such folder, and a name on the hub needs the extra: pip install "
            "'asr_topdown[pretrained]'"
        ) from None
    wanted = [ARCHITECTURE, PREPROCESSOR, PROCESSOR, "model.safetensors", "model*.safetensors*"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted))
        if not any(folder.glob("model*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*wanted, "pytorch_model*"]))
    except HFValidationError as error:
        raise ValueError(f"{name}: no such folder, and no name of a hub's ({error})") from None
    # The hub's client raises errors of several libraries when there is no connection.
    except (HfHubHTTPError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{name}: no such folder here, and the hub cannot be reached or does not have it ({reason})"
        ) from None
    return folder
