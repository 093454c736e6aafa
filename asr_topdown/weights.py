"""The weights of a network in a safetensors file, complete or absent."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from asr_topdown.files import explain, printable, written_aside

AVERAGE = "average.safetensors"  # in a model's folder: the mean of several epochs' weights


def weights_of_epoch(folder: Path, epoch: int) -> Path:
    """The file with the weights of one epoch in a model's folder."""
    return folder / f"epoch-{epoch}.safetensors"


def model_weights(folder: Path, best_epoch: int) -> Path:
    """The weights in a model's folder that decoding uses: the average if there is one, else the best
    epoch's.
    """
    average = folder / AVERAGE
    return average if average.exists() else weights_of_epoch(folder, best_epoch)


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `model` atomically; tied ones once each.

    A model with a method `plain_state` defines with it the tensors to save (`runs.lora`).
    """
    state = getattr(model, "plain_state", model.state_dict)
    save_state(state(), path)


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors atomically."""
    copies = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
    with written_aside(path) as aside:
        safetensors.torch.save_file(copies, aside)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the output of `save_weights`.

    Raises:
        ValueError: naming the file, if it is missing, truncated or not a weights file.
    """
    with _opened(path) as file:
        content = None if printable(str(path)) == str(path) else file.read()
    try:
        # safetensors opens only what is named in UTF-8.
        return safetensors.torch.load_file(path) if content is None else safetensors.torch.load(content)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: truncated or corrupt weights ({error})") from error


def check_numbers(source: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse tensors with NaN or infinity, from which nothing can be computed.

    Raises:
        ValueError: naming `source` and the first such tensor.
    """
    for key, tensor in state.items():
        if not tensor.isfinite().all():
            held = "NaN" if tensor.isnan().any() else "infinity"
            raise ValueError(f"{source}: {key} holds {held}: nothing can be computed from it")


def weights_hash(path: Path) -> str:
    """16 hex digits for the content of a weights file, independent of its path.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _opened(path: Path) -> io.BufferedReader:
    """Open weights to read: safetensors says of all that cannot be opened that it is not there."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such weights") from error
    except OSError as error:
        raise ValueError(explain(error)) from error


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors in a file from `save_weights`, without reading the tensors.

    Raises:
        ValueError: as `load_weights`.
    """
    if printable(str(path)) != str(path):
        return {key: tuple(tensor.shape) for key, tensor in load_weights(path).items()}
    _opened(path).close()
    try:
        with safetensors.safe_open(path, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: truncated or corrupt weights ({error})") from error


def average_weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several networks' weights, from files written by `save_weights`, oldest first.

    Summed in float64, so that equal weights average to themselves, bit for bit. Tensors that are not
    floating-point (batch normalisation counts its batches) are taken from the last file.

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
