"""Memory that a long-lived process keeps for later goes back to the system."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGE_BYTES = 4 << 20
_KEPT_BYTES = 128 << 20


def return_freed_memory() -> None:
    """Has this process hand memory back to the system when it is freed; for one that lives long, at its start.

    By itself, Arrow's pool keeps what it once had; and glibc, once an array of some MB was freed, takes the next ones
    from a heap that it cannot shorten, one for each thread. So Arrow gets its memory from glibc, which maps each large
    array on its own and has two heaps. Smaller limits give back a little more, and cost a batch of the stream a
    fifth more time for pages that are fetched anew (decision 11).
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # glibc has it
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 2)


def release_unused() -> None:
    """Gives back what Arrow's pool and C's allocator hold and nobody uses.

    Neither does so by itself when what was freed lies between what is in use: after some rounds of large arrays a
    process holds twice what it needs. Takes some milliseconds, so it is for the end of a task.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
        if trim is not None:
            trim(0)
