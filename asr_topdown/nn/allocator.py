"""Keep freed memory for the next step."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of glibc's malloc.h


def keep_freed_memory() -> None:
    """Tell the C library to keep freed memory; does nothing if that library is not glibc.

    By default it returns large tensors to the system at once, and in the next step all their pages are
    zeroed and mapped again: a tenth of the processor time of a training or a beam search. In return the
    process keeps its peak memory until it ends or starts another training or decoding.
    """
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:
        return
    libc.malloc_trim(0)  # what was done in this process before has left
    mallopt(MMAP_THRESHOLD, 1 << 30)
    mallopt(TRIM_THRESHOLD, -1)
