"""The number format of matrix products, and whether this machine has hardware for it."""

import platform

import torch

_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A context in which matrix products are computed in `precision`, softmaxes, sums and losses in float32.

    Args:
        precision: float32, tf32, bfloat16 or float16.
        device: where.
    """
    dtype = _AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def set_tf32(precision: str, device: torch.device) -> None:
    """Let a GPU round the factors of float32 products to 10 bits if `precision` is tf32; otherwise forbid it.

    PyTorch's own default is to round them in convolutions and LSTMs only.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are in the hardware: CUDA from Ampere on; x86 with AMX or AVX512-BF16.

    Elsewhere PyTorch computes the same results in float32 and converts, which is slower than float32 itself.
    Processors other than x86 are assumed to have them.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return any(
        getattr(torch.cpu, name, lambda: False)()
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )


def slowness(precision: str, device: torch.device, setting: str = "train.precision") -> str:
    """A one-line warning about a precision that gains nothing over float32 on this machine; "" if it does.

    Raises:
        ValueError: for float16 on a CPU, which cannot run LSTMs in it.
    """
    gpu = device.type == "cuda"
    if precision == "float16" and device.type == "cpu":
        raise ValueError(f"{setting}: float16 is for GPUs, and this runs on cpu: try bfloat16")
    if precision == "tf32" and not (gpu and torch.cuda.get_device_capability(device) >= (8, 0)):
        return f"{setting}: {device} has no TF32: tf32 is float32 here"
    if precision == "bfloat16" and not has_bfloat16(device):
        lacks = "no bfloat16" if gpu else "neither AMX nor AVX512-BF16"
        return f"{setting}: {device} has {lacks}: {precision} is slower here than float32"
    return ""
