"""Memory is kept between the steps of a training."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from asr_topdown.nn.allocator import keep_freed_memory
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
    assert faults("keep_freed_memory()") < without / 10
