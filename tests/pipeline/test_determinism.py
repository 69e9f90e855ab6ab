"""Same events, same seed: the same tables, models and metrics, in another process cut into other partitions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from spark_apps.jobs import features, segment
from spark_apps.registry.versions import ALS, POPULARITY, SEGMENTS, newest
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
)
from tests.comparing import assert_rows, same
from tests.engines import local_engine
from tests.pipeline.conftest import Trained, assert_same_lists
from tests.terminal import shopstream

KEYS = {USER_FEATURES: ["user_id"], PRODUCT_FEATURES: ["product_id"], INTERACTIONS: ["user_id", "product_id"]}


@pytest.fixture(scope="module")
def again(java: Path, trained_root: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same clean events trained by the command, on one core and five partitions."""
    root = tmp_path_factory.mktemp("again")
    for table in (EVENTS, QUARANTINE):
        shutil.copytree(trained_root.root / table.path, root / table.path)
    als = trained_root.settings.als
    environment = {
        "SHOPSTREAM_SHUFFLE_PARTITIONS": "5",
        "SHOPSTREAM_CLUSTER_CURVE_USERS": str(trained_root.settings.cluster_curve_users),
    }
    command = ["train", "--root", root, "--master", "local[1]", "--seed", 42, "--rank", als.rank]
    done = shopstream(*command, "--iterations", als.iterations, "--als", "implicit", **environment)
    assert done.returncode == 0, done.stderr
    return Trained(root, trained_root.log, trained_root.settings, {}, {}, trained_root.training, root)


def in_order(rows: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [row[key] for key in keys])


@pytest.mark.parametrize("table", KEYS, ids=lambda table: table.name)
def test_features_are_the_same(trained_root: Trained, again: Trained, table: Table) -> None:
    found, expected = (in_order(root.rows(table), KEYS[table]) for root in (again, trained_root))
    assert_rows(found, expected, rel=1e-9)


def test_segments_are_the_same(trained_root: Trained, again: Trained) -> None:
    found, expected = (in_order(root.rows(USER_SEGMENTS), ["user_id"]) for root in (again, trained_root))
    assert_rows(found, expected)


def test_lists_are_the_same(trained_root: Trained, again: Trained) -> None:
    found, expected = again.lists(), trained_root.lists()
    assert found.keys() == expected.keys()
    for user, listed in expected.items():
        assert_same_lists(found[user], listed)


@pytest.mark.parametrize(("name", "rel"), [(SEGMENTS, 1e-9), (POPULARITY, 0.0), (ALS, 1e-5)])
def test_metrics_are_the_same(trained_root: Trained, again: Trained, name: str, rel: float) -> None:
    found, expected = (newest(root.root, name)[1] for root in (again, trained_root))
    assert same(found.metrics, expected.metrics, rel), (found.metrics, expected.metrics)
    assert (found.parameters, found.segments) == (expected.parameters, expected.segments)


def test_features_and_segment_by_themselves_make_what_train_makes(sample_root: Trained, tmp_path: Path) -> None:
    shutil.copytree(sample_root.root / EVENTS.path, tmp_path / EVENTS.path)
    rows = features.run(local_engine(), sample_root.settings, tmp_path, DateRange())
    assert rows == {table.name: len(sample_root.rows(table)) for table in KEYS}
    metadata = segment.run(local_engine(), sample_root.settings, tmp_path, "5")
    alone = Trained(tmp_path, sample_root.log, sample_root.settings, {}, {}, sample_root.training, tmp_path)
    for table, keys in {**KEYS, USER_SEGMENTS: ["user_id"]}.items():
        assert_rows(in_order(alone.rows(table), keys), in_order(sample_root.rows(table), keys), rel=1e-9)
    assert same(metadata.metrics, newest(sample_root.root, SEGMENTS)[1].metrics, 1e-9)
