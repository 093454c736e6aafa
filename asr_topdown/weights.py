"""The weights of a network in a file: safetensors, whole or absent."""

from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from asr_topdown.files import written_aside


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `model`, whole or not at all; tied ones once each."""
    state = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in model.state_dict().items()}
    with written_aside(path) as aside:
        safetensors.torch.save_file(state, aside)


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
