"""Random numbers that need no memory: a hash of a key and a counter stands where a stored draw would.

A user's tastes are a pure function of (seed, user), so nothing is kept per user however many there are.
The hash is the finaliser of splitmix64 (Steele, Lea and Flood, 2014), applied once per counter.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
UInts: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_PURPOSE_STEP = 0xD1B54A32D192ED03
_MULTIPLY_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = np.uint64(0x94D049BB133111EB)


class Purpose(IntEnum):
    """What a stream of random numbers is for. Two purposes never share numbers."""

    TAIL_CATEGORY = 1
    DEPARTMENT = 2
    PRODUCT_RANK = 10
    BRAND_PRICE = 11
    PRODUCT_PRICE = 12
    PRODUCT_ID = 13
    NEW_PRODUCT = 20
    NEW_PRICE = 21
    USER_ID = 30
    SESSION_ID_HIGH = 31
    SESSION_ID_LOW = 32
    FAVOURITE = 40
    SAME_DEPARTMENT = 41
    BRAND_TASTE = 42
    PRICE_TASTE = 43
    PRICE_EXCEPTION = 44
    OTHER_PRICE_TASTE = 45
    PRICE_OF_DAY = 50


def mixed(values: UInts) -> UInts:
    """Scrambles 64-bit numbers one to one.

    Args:
        values: any shape; left unchanged.

    Returns:
        An array of the same shape in which every bit depends on every bit of the input.
    """
    out: UInts = values ^ (values >> np.uint64(30))
    out *= _MULTIPLY_1
    out ^= out >> np.uint64(27)
    out *= _MULTIPLY_2
    out ^= out >> np.uint64(31)
    return out


def hashed(seed: int, purpose: Purpose, *counters: npt.NDArray[Any] | int) -> UInts:
    """Hashes whole numbers under a seed.

    Args:
        seed: the generator's seed, 0 or more.
        purpose: what the numbers are for.
        counters: arrays of whole numbers that broadcast together, or single numbers.

    Returns:
        uint64 array of the broadcast shape, evenly spread over all 64-bit numbers.
    """
    start = (seed * _STEP + int(purpose) * _PURPOSE_STEP + _STEP) & _MASK
    out = mixed(mixed(np.array([start], dtype=np.uint64)))
    for counter in counters:
        number = np.atleast_1d(counter).astype(np.uint64)
        out = mixed(out + (number + np.uint64(1)) * np.uint64(_STEP))
    return out


def chances(seed: int, purpose: Purpose, *counters: npt.NDArray[Any] | int) -> Floats:
    """Random numbers strictly between 0 and 1 (53 bits), the same whenever they are asked for.

    Args:
        seed: the generator's seed.
        purpose: what the numbers are for.
        counters: as for `hashed`.

    Returns:
        Numbers of the broadcast shape.
    """
    bits = hashed(seed, purpose, *counters) >> np.uint64(11)
    return np.asarray((bits.astype(np.float64) + 0.5) * 2.0**-53)
