"""Products that a user has never touched, drawn by chance: what the one held-out product has to be ranked above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_apps.recommendation.topn import Exclusions

NEGATIVES = 99
_WORD = 2**64


def sample_negatives(users: NDArray[np.int64], touched: Exclusions, products: int, seed: int) -> NDArray[np.int64]:
    """Draws products for each user, all equally likely and none twice.

    Each user's generator is seeded by the user's id, so the draw does not depend on who else is in the block.

    Args:
        users: user ids.
        touched: the places that must not be drawn, rising and distinct within a user.
        products: number of products in the catalogue.
        seed: of the draw.

    Returns:
        Places, shape (users, NEGATIVES); where a catalogue has fewer products to offer, the rest is -1.
    """
    drawn = np.full((len(users), NEGATIVES), -1, np.int64)
    for row, user in enumerate(users.tolist()):
        forbidden = touched.ids[touched.offsets[row] : touched.offsets[row + 1]]
        allowed = products - len(forbidden)
        random = np.random.default_rng([seed % _WORD, user % _WORD])
        numbers = random.choice(allowed, min(NEGATIVES, allowed), replace=False)
        drawn[row, : len(numbers)] = _allowed_places(numbers, forbidden)
    return drawn


def _allowed_places(numbers: NDArray[np.int64], forbidden: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turns numbers among the allowed places into places: each forbidden place at or below moves it up by one."""
    places: NDArray[np.int64] = numbers + np.searchsorted(forbidden - np.arange(len(forbidden)), numbers, side="right")
    return places
