"""Samples: bounded, seeded, whatever the partitions; and who is far from all others is never missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.engine.base import Engine
from spark_apps.segmentation import clusters, sampling
from spark_apps.segmentation.clusters import Users
from spark_apps.segmentation.inputs import FEATURES, points_of
from spark_apps.segmentation.sampling import drawn_numbers
from tests.segmentation.conftest import features_table, surveyed, user_row

USERS = 2000
FAR = 1777
Drawn = Callable[..., Users]


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Users who differ a little, and one who spent a thousand times what others did."""
    users = [user_row(user, recency=user % 31, monetary=float(user % 7)) for user in range(USERS)]
    users[FAR] = user_row(FAR, monetary=6000.0)
    return features_table(users)


@pytest.fixture
def drawn(rows: pa.Table, here: Engine, tmp_path: Path) -> Drawn:
    def draw(wanted: int, seed: int = 7) -> Users:
        return surveyed(rows, here, tmp_path / f"{wanted}-{seed}", wanted, seed)

    return draw


def test_the_scale_is_that_of_numpy(rows: pa.Table, drawn: Drawn) -> None:
    points, scale = points_of(rows), drawn(10).scale
    np.testing.assert_allclose(scale.mean, points.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scale.deviation, points.std(axis=0, ddof=1), rtol=1e-13)


def test_a_feature_that_all_users_share_has_no_spread(here: Engine, tmp_path: Path) -> None:
    """Nine times 0.1 divided by nine is not 0.1."""
    rows = features_table([user_row(user, conversion_rate=0.1) for user in range(9)])
    scale = surveyed(rows, here, tmp_path / "users").scale
    assert not scale.deviation.any() and scale.mean[FEATURES.index("conversion_rate")] == 0.1


def test_a_sample_is_about_as_large_as_wanted_and_never_larger_than_the_users(drawn: Drawn) -> None:
    assert 240 <= len(drawn(300).sample) <= 360
    assert drawn(USERS).sample.shape == (USERS, len(FEATURES))
    assert drawn(50 * USERS).sample.shape == (USERS, len(FEATURES))


def test_the_seed_changes_the_sample(drawn: Drawn) -> None:
    assert not np.array_equal(drawn(300).sample, drawn(300, seed=8).sample)


@pytest.mark.parametrize("users_of_a_task", [0, USERS])
def test_sample_and_scale_are_the_same_on_every_engine(
    rows: pa.Table, engine: Engine, here: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users_of_a_task: int
) -> None:
    one = surveyed(rows, here, tmp_path / "one", 300, 7, files=1)
    monkeypatch.setattr(clusters, "USERS_OF_A_TASK", users_of_a_task)
    other = surveyed(
        rows.take(np.random.default_rng(1).permutation(USERS)), engine, tmp_path / "other", 300, 7, files=3
    )
    # parts of users are added up in another order
    exactly = {"rtol": 1e-12 if users_of_a_task == 0 else 0, "atol": 1e-12 if users_of_a_task == 0 else 0}
    np.testing.assert_array_equal(one.sample, other.sample)
    np.testing.assert_allclose(one.coreset.points, other.coreset.points, **exactly)
    np.testing.assert_allclose(one.coreset.weights, other.coreset.weights, **exactly)
    np.testing.assert_allclose(one.scale.mean, other.scale.mean, **exactly)
    np.testing.assert_allclose(one.scale.deviation, other.scale.deviation, **exactly)


def test_draws_are_spread_evenly_whatever_the_ids_and_the_seed() -> None:
    for ids in (np.arange(100_000), np.arange(100_000) * 2**32, -np.arange(100_000) - 1):
        for seed in (0, 42, -1, 2**64 + 42):
            numbers = drawn_numbers(ids, seed)
            assert numbers.min() >= 0 and numbers.max() < 1
            assert np.abs(np.histogram(numbers, bins=10, range=(0, 1))[0] - 10_000).max() < 500
    apart = drawn_numbers(np.arange(100_000), 1), drawn_numbers(np.arange(100_000), 2)
    assert abs(np.corrcoef(*apart)[0, 1]) < 0.02


def test_the_numbers_are_those_of_splitmix64() -> None:
    """Its generator with the state 1234567, as published, begins with these."""
    state = np.uint64(1234567)
    step = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        states = np.array([state, state + step, state + step + step])
    assert sampling._mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_coreset_is_bounded_and_stands_for_all_users(drawn: Drawn) -> None:
    found = drawn(300).coreset
    assert 300 <= len(found.points) <= 720
    assert found.weights.min() >= 1.0
    assert found.weights.sum() == pytest.approx(USERS, rel=0.1)
    mean = (found.points * found.weights[:, None]).sum(axis=0) / found.weights.sum()
    assert np.abs(mean).max() < 0.2


@pytest.mark.parametrize("seed", range(5))
def test_who_is_far_from_all_others_is_in_every_coreset(drawn: Drawn, seed: int) -> None:
    found, monetary = drawn(50, seed).coreset, FEATURES.index("monetary")
    furthest = found.points[:, monetary].argmax()
    assert found.points[furthest, monetary] > 40
    assert found.weights[furthest] == 1.0


def test_few_users_are_all_in_the_coreset_once(drawn: Drawn) -> None:
    found = drawn(USERS).coreset
    np.testing.assert_array_equal(found.weights, np.ones(USERS))
    varies = found.points.std(axis=0) > 0
    np.testing.assert_allclose(found.points[:, varies].std(axis=0, ddof=1), 1.0)
    np.testing.assert_array_equal(found.points[:, ~varies], 0.0)
