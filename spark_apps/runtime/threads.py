"""Native threads of BLAS and OpenMP: these libraries read how many they may start when they load, and not again."""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_native_thread() -> None:
    """Lets BLAS and OpenMP work in the thread that calls them, here and in processes that this one starts.

    Matrices here are small and many: several threads would mostly wait for each other (ten starts of k-means take
    twice as long with two). Engines run units side by side instead. Call it before NumPy and the like are imported;
    whoever set the variables gets what they say. Arrow goes by OpenMP's, too: see `engine.local.LocalEngine`.
    """
    for variable in _VARIABLES:
        os.environ.setdefault(variable, "1")


def local_cores(master: str) -> int:
    """Returns the cores that a local master uses; for another master, this machine's."""
    inside = master.removeprefix("local[").removesuffix("]").split(",")[0]
    return int(inside) if inside.isdigit() else (os.cpu_count() or 1)


def task_threads(master: str) -> int:
    """Returns the native threads of a job's only task: a local machine's cores; elsewhere, those of this machine."""
    return local_cores(master) if master.startswith("local") else (os.cpu_count() or 1)
