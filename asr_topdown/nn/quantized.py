"""8-bit weights for inference on a CPU."""

import copy
import warnings
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

_READ_WEIGHTS = frozenset({"WavLMAttention"})
"""Modules of libraries that use their submodules' weights directly, which must therefore stay tensors."""


def dynamic_int8(network: Network, device: torch.device) -> Network:
    """A copy of `network` whose linear layers and LSTMs multiply in int8.

    Each row of a weight has its own scale; the inputs of a product share one, which is computed at run
    time ("dynamic"), so that it depends slightly on the other utterances of the batch. Layers that use
    their submodules' weights directly, such as the LSTM decoder, are unchanged.

    Raises:
        ValueError: on another device than a CPU.
    """
    if device.type != "cpu":
        raise ValueError(f"decode.precision: int8 is for CPUs, and this runs on {device.type}: try bfloat16")
    # PyTorch wants this API to move to torchao, a package that would be needed for nothing else; it has been
    # announced as gone from 2.10 on, and is still there in 2.13.
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    kept = {
        f"{name}.{part}" if part else name
        for name, module in network.named_modules()
        if getattr(module, "reads_weights", False) or type(module).__name__ in _READ_WEIGHTS
        for part, _ in module.named_modules()
    }
    wanted = {
        name: per_channel_dynamic_qconfig
        for name, module in network.named_modules()
        if type(module) in (nn.Linear, nn.LSTM) and name not in kept
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", r"[\s\S]*quantized tensor creation functions", UserWarning)
        quantized: Network = quantize_dynamic(copy.deepcopy(network), wanted, inplace=True)
    return quantized
