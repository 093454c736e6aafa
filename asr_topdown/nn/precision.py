"""The number format of matrix products, and whether this machine has hardware for it."""

import functools
import platform

import torch
from torch import nn

_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A context in which matrix products are computed in `precision`, softmaxes, sums and losses in float32.

    Args:
        precision: float32, tf32, bfloat16 or float16; `available` says what becomes of it.
        device: where.
    """
    dtype = _AUTOCAST.get(available(precision, device))
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def set_tf32(precision: str, device: torch.device) -> None:
    """Let a GPU round the factors of float32 products to 10 bits if `precision` is tf32; otherwise forbid it.

    PyTorch's own default is to round them in convolutions and LSTMs only.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


def available(precision: str, device: torch.device) -> str:
    """Return what `device` computes in when `precision` is asked for: on a CPU without bfloat16, float32.

    There PyTorch's products in bfloat16 take up to thirty times as long as in float32, and LSTMs have none
    below AVX-512.
    """
    lacking = precision == "bfloat16" and device.type == "cpu" and not has_bfloat16(device)
    return "float32" if lacking else precision


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are in the hardware: CUDA from Ampere on; x86 with AMX or AVX512-BF16.

    Of other processors it is known only whether an LSTM runs, and then assumed.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    if not _is_x86():
        return _runs_lstms()
    return any(
        getattr(torch.cpu, name, lambda: False)()
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )


@functools.cache
def _runs_lstms() -> bool:
    try:
        with torch.random.fork_rng([]), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(8, 8)(torch.zeros(1, 1, 8))
    except RuntimeError:
        return False
    return True


def slowness(precision: str, device: torch.device, setting: str = "train.precision") -> str:
    """A one-line warning about a precision that is float32 on this machine, or gains nothing; "" if it gains.

    Raises:
        ValueError: for float16 on a CPU, which cannot run LSTMs in it.
    """
    gpu = device.type == "cuda"
    if precision == "float16" and device.type == "cpu":
        raise ValueError(f"{setting}: float16 is for GPUs, and this runs on cpu: try bfloat16")
    if precision == "tf32" and not (gpu and torch.cuda.get_device_capability(device) >= (8, 0)):
        return f"{setting}: {device} has no TF32: tf32 is float32 here"
    if available(precision, device) != precision:
        lacks = "neither AMX nor AVX512-BF16" if _is_x86() else "no bfloat16"
        return f"{setting}: {device} has {lacks}: {precision} is float32 here"
    if precision == "bfloat16" and not has_bfloat16(device):
        return f"{setting}: {device} has no bfloat16: {precision} is slower here than float32"
    return ""


def _is_x86() -> bool:
    return platform.machine() in ("x86_64", "AMD64")
