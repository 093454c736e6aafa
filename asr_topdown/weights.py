"""The weights of a network in a file: safetensors, whole or absent."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from asr_topdown.files import written_aside

AVERAGE = "average.safetensors"  # in a model's folder: the mean of several epochs' weights


def weights_of_epoch(folder: Path, epoch: int) -> Path:
    """Where a model's folder keeps the weights of one epoch."""
    return folder / f"epoch-{epoch}.safetensors"


def model_weights(folder: Path, best_epoch: int) -> Path:
    """The weights that decoding takes from a model's folder: the average if there is one, else the best
    epoch's.
    """
    average = folder / AVERAGE
    return average if average.exists() else weights_of_epoch(folder, best_epoch)


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `model`, whole or not at all; tied ones once each.

    A model with a method `plain_state` says by it what others are to load (`topdown.lora`).
    """
    state = getattr(model, "plain_state", model.state_dict)
    save_state(state(), path)


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors, whole or not at all."""
    copies = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
    with written_aside(path) as aside:
        safetensors.torch.save_file(copies, aside)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read what `save_weights` wrote.

    Raises:
        ValueError: naming the file, if it is missing, truncated or not a weights file.
    """
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such weights") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: truncated or corrupt weights ({error})") from error


def weights_hash(path: Path) -> str:
    """16 hex digits for the content of a weights file, wherever it lies.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such weights") from error


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors in what `save_weights` wrote; the tensors are not read.

    Raises:
        ValueError: as `load_weights`.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such weights") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: truncated or corrupt weights ({error})") from error


def average_weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several networks' weights: of files that `save_weights` wrote, oldest first.

    Summed in float64, so that equal weights average to themselves, bit for bit. What is not a floating-point
    number (batch normalisation counts its batches) is the last file's.

    Raises:
        ValueError: naming the file that is missing or damaged, or has other tensors than the first.
    """
    assert paths
    first = load_weights(paths[0])
    total = {key: tensor.double() if tensor.is_floating_point() else tensor for key, tensor in first.items()}
    for path in paths[1:]:
        state = load_weights(path)
        if {key: tensor.shape for key, tensor in state.items()} != {key: t.shape for key, t in first.items()}:
            raise ValueError(f"{path}: has other tensors than {paths[0]}")
        for key, tensor in state.items():
            total[key] = total[key] + tensor if tensor.is_floating_point() else tensor
    return {
        key: (tensor / len(paths)).to(first[key].dtype) if tensor.is_floating_point() else tensor
        for key, tensor in total.items()
    }
