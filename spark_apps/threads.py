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
