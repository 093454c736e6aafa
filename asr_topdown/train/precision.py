"""Whether this machine computes in bfloat16, or only pretends to."""

import platform

import torch


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


def slowness(precision: str, device: torch.device) -> str:
    """Warn, in one line, of a precision in which this machine is slower than in float32; "" if it is not."""
    if precision == "float32" or has_bfloat16(device):
        return ""
    lacks = "no bfloat16" if device.type == "cuda" else "neither AMX nor AVX512-BF16"
    return f"train.precision: {device} has {lacks}: {precision} is slower here than float32"
