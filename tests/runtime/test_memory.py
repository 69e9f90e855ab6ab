"""Memory that nobody uses goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MB = 1_000_000
# blocks too small for a mapping of their own; the last one keeps the heap from shrinking at its end
SCRIPT = """
import resource
from spark_apps.runtime.memory import release_unused

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

blocks = [bytearray(b"x" * 60_000) for _ in range(2_000)]
held = resident()
del blocks[:-1]
freed = resident()
release_unused()
print(held, freed, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library gives back what it likes")
def test_freed_blocks_between_used_ones_go_back() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    held, freed, released = map(int, run.stdout.split())
    assert held - freed < 20 * MB, "the allocator keeps them by itself"
    assert freed - released > 100 * MB
