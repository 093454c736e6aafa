"""Memory and kernels are kept between the steps of a training."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from asr_topdown.nn.reuse import keep_memory_and_kernels
{call}
faults = []
for _ in range(40):
    torch.ones(1 << 24)  # 64 MiB, freed at once
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[-11])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_what_is_freed_is_not_mapped_again() -> None:
    def faults(call: str) -> int:
        program = [sys.executable, "-c", PROGRAM.format(call=call)]
        return int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)

    if not (without := faults("")):
        pytest.skip("this system's pages are mapped again without a fault")
    assert faults("keep_memory_and_kernels()") < without / 10


SHAPES = """
import torch
from asr_topdown.nn.reuse import keep_memory_and_kernels
{call}
layer = torch.nn.Linear(64, 64).bfloat16()
for _ in range(2):
    for rows in range(16, 1216):
        layer(torch.ones(rows, 64, dtype=torch.bfloat16))
    print("epoch")
"""


def test_kernels_of_1200_shapes_are_compiled_once() -> None:
    def compiled(call: str) -> list[int]:
        environment = {name: value for name, value in os.environ.items() if "PRIMITIVE_CACHE" not in name}
        environment |= {"ONEDNN_VERBOSE": "profile_create"}
        program = [sys.executable, "-u", "-c", SHAPES.format(call=call)]
        out = subprocess.run(program, check=True, capture_output=True, text=True, env=environment).stdout
        return [epoch.count("create:cache_miss") for epoch in out.split("epoch\n")[:2]]

    first, second = compiled("")
    if first < 1200:
        pytest.skip("this processor's products in bfloat16 are not oneDNN's")
    assert second >= 1200, "oneDNN keeps as many of its own accord"
    assert compiled("keep_memory_and_kernels()")[1] == 0
