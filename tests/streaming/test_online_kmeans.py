"""Cluster centres that follow the users of each batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.online_kmeans import Centres

CENTRES = Centres(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([3.0, 1.0]))


def test_a_centre_becomes_the_mean_of_all_its_users_without_forgetting() -> None:
    moved = CENTRES.moved(np.array([[4.0, 8.0], [0.0, 0.0]]), np.array([1, 0]), decay=1.0)
    assert moved.places.tolist() == [[1.0, 2.0], [10.0, 0.0]]
    assert moved.weights.tolist() == [4.0, 1.0]


def test_what_was_known_weighs_less_after_each_batch() -> None:
    moved = CENTRES.moved(np.array([[4.0, 8.0], [0.0, 0.0]]), np.array([1, 0]), decay=1 / 3)
    assert moved.places[0] == pytest.approx([2.0, 4.0])
    assert moved.weights.tolist() == pytest.approx([2.0, 1 / 3])


def test_a_centre_without_any_user_stays() -> None:
    nobody = Centres(CENTRES.places, np.zeros(2))
    assert nobody.moved(np.zeros((2, 2)), np.zeros(2, np.int64), decay=0.5).places.tolist() == CENTRES.places.tolist()


@given(
    st.floats(0.001, 1), st.sampled_from((0.0, 5e-324, 1e-320, 1e-300, 1.0, 1e18)), st.floats(-1e6, 1e6), st.booleans()
)
def test_a_centre_that_nobody_is_near_stays_whatever_is_left_of_its_weight(
    decay: float, weight: float, place: float, other_is_met: bool
) -> None:
    """After many batches without a user the weight is next to nothing, and must not drag the centre along."""
    centres = Centres(np.array([[place, -place], [1.0, 1.0]]), np.array([weight, weight]))
    met = int(other_is_met)
    moved = centres.moved(np.array([[0.0, 0.0], [3.0 * met, 5.0 * met]]), np.array([0, met]), decay)
    assert moved.places[0].tolist() == [place, -place]
    assert np.isfinite(moved.places).all() and (moved.weights >= 0).all()
    assert ((moved.places[1] >= 1) & (moved.places[1] <= 5 + 1e-9)).all()
