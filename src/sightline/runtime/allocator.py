"""What the C library keeps of the memory that was given back to it.

By default glibc raises the size from which a block is mapped on its own each time such a block is
freed, up to 32 MB; big tensors then live in the heap, which cannot shrink while anything above
them lives. Measured with Mask R-CNN R-50 FPN: a run needed 848 MB, and 601 MB with the size fixed.
"""

import ctypes
from functools import lru_cache

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MAPPED_FROM = 1 << 20
_NEVER = (1 << 31) - 1


@lru_cache(maxsize=1)
def keep_little() -> None:
    """From now on, map blocks of 1 MB or more on their own, so that freeing them frees them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries do not have the fault either
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)


def keep_much() -> None:
    """From now on keep freed memory for the next use: for training, which needs as much again each step.

    Pages that are given back must be cleared by the kernel before they come again: a step of a small
    detector took 1.4 times as long.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _NEVER)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def share_heaps() -> None:
    """Let all threads use two heaps; call it before they start.

    By default each of up to eight threads a core gets a heap of its own, and each keeps the largest
    of what it ever held: after an overload a server stayed twice as large.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def trim() -> None:
    """Give back what is free in the heap: opening a graph leaves as much as the graph is large."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
