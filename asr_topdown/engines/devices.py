"""Devices by the names that commands and `asr_topdown.load` take: cpu, cuda and cuda:N."""

import re


def check_device(name: object) -> None:
    """Check that this machine has the device.

    Raises:
        ValueError: naming a device that it does not have.
    """
    if name == "cpu":
        return
    wanted = re.fullmatch(r"cuda(?::(\d+))?", str(name))
    if wanted is None:
        raise ValueError(f"device {name}: must be cpu, cuda or cuda:N")
    import torch

    if not (count := visible_gpus()):
        why = "PyTorch was built without CUDA" if torch.version.cuda is None else "PyTorch finds none"
        raise ValueError(f"device {name}: there is no usable GPU here ({why}, {torch.__version__})")
    if int(wanted[1] or 0) >= count:
        raise ValueError(f"device {name}: there are {count} GPUs, counted from 0")


def visible_gpus() -> int:
    """Return the number of GPUs that PyTorch may use."""
    import torch

    return torch.cuda.device_count()
