"""Cluster centres that follow the users of each batch."""

from __future__ import annotations

import numpy as np
import pytest

from spark_apps.streaming.centres import Centres

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
