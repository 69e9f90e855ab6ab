"""Stability: clear groups come out again, noise does not, and odd data has figures too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.engine.base import Engine
from spark_apps.segmentation.clusters import fit_clusters
from spark_apps.segmentation.stability import REPEATS, Stability, stability
from tests.segmentation.conftest import CENTRES, Planted, features_table, surveyed, user_row

Measured = Callable[[pa.Table, int], Stability | None]


@pytest.fixture
def measured(here: Engine, tmp_path: Path) -> Measured:
    def measure(rows: pa.Table, k: int) -> Stability | None:
        users = surveyed(rows, here, tmp_path / "users", 500)
        clustering = fit_clusters(users, k, seed=42)
        found = stability(users, clustering, seed=42)
        assert found == stability(users, clustering, seed=42)
        return found

    return measure


def test_planted_groups_come_out_again_every_time(plant: Callable[[int], Planted], measured: Measured) -> None:
    always = {"mean": 1.0, "lowest": 1.0}
    found = measured(plant(40)[0], len(CENTRES))
    assert found is not None and found.figures() == {
        "users": 160,
        "repeats": REPEATS,
        "other_seed": always,
        "bootstrap": always,
    }


def test_groups_cut_out_of_noise_do_not(measured: Measured) -> None:
    random = np.random.default_rng(2)
    users = [
        user_row(user, recency=int(recency), monetary=float(monetary), conversion_rate=float(rate))
        for user, (recency, monetary, rate) in enumerate(random.uniform(0, 300, size=(600, 3)))
    ]
    found = measured(features_table(users), 7)
    assert found is not None
    assert found.bootstrap.lowest <= found.bootstrap.mean < 0.95
    assert all(-0.5 <= one.lowest <= one.mean <= 1 for one in (found.other_seed, found.bootstrap))


def test_a_single_cluster_has_no_stability(measured: Measured) -> None:
    assert measured(features_table([user_row(user) for user in range(9)]), 3) is None


@pytest.mark.parametrize("users", [3, 6])
def test_few_users_have_figures_without_a_warning(
    measured: Measured, users: int, recwarn: pytest.WarningsRecorder
) -> None:
    found = measured(features_table([user_row(user, monetary=10.0 * user) for user in range(users)]), users - 1)
    assert found is not None and found.users == users
    assert not [one for one in recwarn if "sklearn" in str(one.category)]
