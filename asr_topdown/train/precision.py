"""Whether this machine computes in bfloat16, or only pretends to."""

import platform

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are in the hardware: CUDA from Ampere on; x86 with AMX or AVX512-BF16.

    Elsewhere PyTorch gives the same results by way of float32, which takes longer than float32 itself. Of
    other processors than x86 nothing is known here, and they are believed.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return any(
        getattr(torch.cpu, name, lambda: False)()
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )


def slowness(precision: str, device: torch.device) -> str:
    """A line for who asks for a precision that this machine is slow in; "" if all is well."""
    if precision == "float32" or has_bfloat16(device):
        return ""
    lacks = "no bfloat16" if device.type == "cuda" else "neither AMX nor AVX512-BF16"
    return f"train.precision: {device} has {lacks}: {precision} is slower here than float32"
