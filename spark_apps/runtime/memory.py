"""Memory that a long-lived process keeps for later goes back to the system."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa


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
