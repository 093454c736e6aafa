"""Keep what one step leaves behind, freed memory and compiled kernels, for the next."""

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of glibc's malloc.h
KERNELS = 4096


def keep_memory_and_kernels() -> None:
    """Make this process keep freed memory, and more of the kernels that oneDNN compiles.

    The C library by default returns large tensors to the system at once, and in the next step all their
    pages are zeroed and mapped again: a tenth of the processor time of a training or a beam search. In return
    the process keeps its peak memory until it ends or starts another training or decoding. Only glibc can be
    told to.

    oneDNN, which computes products in bfloat16 and convolutions, compiles a kernel for each shape and keeps
    the last 1,024. A step needs some fifty, and batches differ in length, so that a training compiles most of
    them anew in each epoch: two fifths of a small network's time in bfloat16. `KERNELS` of them take up to
    1 GB. oneDNN reads the environment when it computes for the first time; what the user has set remains.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:
        return
    libc.malloc_trim(0)  # what was done in this process before has left
    mallopt(MMAP_THRESHOLD, 1 << 30)
    mallopt(TRIM_THRESHOLD, -1)
