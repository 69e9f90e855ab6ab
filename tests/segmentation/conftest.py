"""Users in planted groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine import local
from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.database import Limits
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import stored_schema
from spark_apps.engine.spark import SparkEngine
from spark_apps.segmentation.clusters import Users, survey
from spark_apps.tables import USER_FEATURES
from tests.factory import clean_event

Planted = tuple[pa.Table, dict[int, int]]
_MEMORY = 256 << 20

# Groups far apart: recency, frequency, monetary, conversion, abandonment, products, categories, mean price
CENTRES = (
    (2.0, 25.0, 3000.0, 0.30, 0.10, 80.0, 20.0, 300.0),
    (10.0, 8.0, 0.0, 0.00, 0.90, 40.0, 10.0, 900.0),
    (80.0, 1.0, 0.0, 0.00, 0.00, 1.0, 1.0, 50.0),
    (5.0, 2.0, 200.0, 0.90, 0.50, 3.0, 2.0, 1500.0),
)
COLUMNS = (
    "recency",
    "frequency",
    "monetary",
    "conversion_rate",
    "cart_abandonment",
    "unique_products",
    "unique_categories",
    "avg_price",
)
_WHOLE = {"recency", "frequency", "unique_products", "unique_categories"}


def user_row(user_id: int, **features: float | None) -> tuple[object, ...]:
    """One row of schemas.USER_FEATURES; what is not given is that of a single view."""
    seen = clean_event()["event_time"]
    usual: dict[str, object] = dict(zip(COLUMNS, (0, 1, 0.0, 0.0, 0.0, 1, 1, 10.0), strict=True))
    usual |= {"total_events": 1, "views": 1, "carts": 0, "purchases": 0, "removals": 0, "unique_brands": 1}
    usual |= {"sessions": 1, "mean_session_minutes": 0.0}
    usual |= {"first_seen": seen, "last_seen": seen, "preferred_hour": 0}
    row: dict[str, object] = {"user_id": user_id, **usual, **features}
    return tuple(row[name] for name in USER_FEATURES.schema.names)


def features_table(rows: list[tuple[object, ...]]) -> pa.Table:
    """User features from `user_row`s."""
    schema = stored_schema(USER_FEATURES)
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def stored(rows: pa.Table, folder: Path, files: int = 2) -> Relation:
    """Writes rows as several files, in an order of no meaning."""
    folder.mkdir(parents=True)
    for number in range(files):
        pq.write_table(rows.take(np.arange(len(rows))[number::files][::-1]), folder / f"part-{number}.parquet")
    return Relation.of(folder, rows.schema)


def surveyed(rows: pa.Table, engine: Engine, folder: Path, wanted: int = 1000, seed: int = 42, files: int = 2) -> Users:
    """Users of a new folder, measured and drawn."""
    return survey(engine, stored(rows, folder, files), len(rows), wanted, seed)


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """The engine of this machine."""
    with LocalEngine(2, _MEMORY, tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(params=["local", "processes", "spark"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Every engine, one after the other."""
    if request.param == "spark":
        spark: SparkSession = request.getfixturevalue("spark")
        yield SparkEngine(spark, Limits(1, _MEMORY, tmp_path / "spill"))
        return
    if request.param == "processes":
        monkeypatch.setattr(local, "SECONDS_WORTH_PROCESSES", 0)
    with LocalEngine(2, _MEMORY, tmp_path / "spill") as found:
        yield found


def member(user_id: int, group: int, jitter: float) -> tuple[object, ...]:
    """A user of a planted group, its values off the group's centre by a share."""
    values = {name: value * (1 + jitter) for name, value in zip(COLUMNS, CENTRES[group], strict=True)}
    return user_row(user_id, **{name: round(v) if name in _WHOLE else v for name, v in values.items()})


@pytest.fixture(scope="session")
def plant() -> Callable[[int], Planted]:
    """Makes so many users of each group; returns them and each one's group."""

    def plant_groups(per_group: int) -> Planted:
        random = np.random.default_rng(5)
        groups = {user: user % len(CENTRES) for user in range(per_group * len(CENTRES))}
        rows = [member(user, group, random.uniform(-0.05, 0.05)) for user, group in groups.items()]
        return features_table(rows), groups

    return plant_groups
