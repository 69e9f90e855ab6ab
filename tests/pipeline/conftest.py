"""Two roots with everything in them, made by the jobs: of the real rows, and of generated ones with bad rows among."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import analyze, clean, load, report, train
from spark_apps.jobs.recommend import Recommendation
from spark_apps.settings import AlsParameters, Settings
from spark_apps.tables import RECOMMENDATIONS, DateRange, Table
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.storage.conftest import on_hdfs

__all__ = ["on_hdfs"]
GENERATED = 20_000
# Rows that cannot be used, with their reasons.
BAD_ROWS = [
    ("", "empty_line"),
    ("not an event", "wrong_columns"),
    (csv_line(event_time="2019-10-07", price=1) + ",one more", "wrong_columns"),
    (csv_line(event_time="2019-10-08 25:00:00 UTC"), "bad_time"),
    (csv_line(event_time="yesterday"), "bad_time"),
    (csv_line(event_time="2019-10-09", event_type="wish"), "unknown_event_type"),
    (csv_line(event_time="2019-10-09", user_id=""), "bad_id"),
    (csv_line(event_time="2019-10-10", product_id="9223372036854775808"), "bad_id"),
    (csv_line(event_time="2019-10-11", price="cheap"), "bad_price"),
]
# Users whose interest in their only product sums up to nothing, and to less than nothing.
UNDECIDED, DISAPPOINTED = 1001, 1002
PECULIAR_ROWS = [
    csv_line(event_time="2019-10-05 10:00:00 UTC", user_id=UNDECIDED),
    csv_line(event_time="2019-10-05 10:01:00 UTC", user_id=UNDECIDED, event_type="remove_from_cart"),
    csv_line(event_time="2019-10-06 10:01:00 UTC", user_id=DISAPPOINTED, event_type="remove_from_cart"),
    csv_line(event_time="2019-10-06 11:00:00 UTC", user_session=None, brand=None, category_code=None, price=0),
    csv_line(event_time="2019-10-06 11:00:00 UTC", user_session=None, brand=None, category_code=None, price=0),
]


@dataclass(frozen=True)
class Trained:
    """A root, the log it was made from, and what the jobs returned."""

    root: Path
    log: Path
    settings: Settings
    balance: clean.Balance
    figures: dict[str, Any]
    training: train.Training
    page: Path

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """A table's rows, read without Spark."""
        return ds.dataset(self.root / table.path, format="parquet", partitioning="hive").to_table().to_pylist()

    def lists(self) -> dict[int, list[Recommendation]]:
        """Every user's list in the table, in rank order."""
        lists: dict[int, list[Recommendation]] = {}
        for row in sorted(self.rows(RECOMMENDATIONS), key=lambda row: (row["user_id"], row["rank"])):
            found = lists.setdefault(row["user_id"], [])
            assert row["rank"] == len(found) + 1
            found.append(Recommendation(row["product_id"], row["score"], row["source"]))
        return lists


def small_settings(settings: Settings) -> Settings:
    """Settings with which training takes seconds."""
    return settings.model_copy(
        update={"als": AlsParameters(rank=16, iterations=5), "als_library": "implicit", "cluster_curve_users": 400}
    )


def run_jobs(settings: Settings, root: Path, log: Path) -> Trained:
    """Runs every step from a log to the report."""
    load.run(root, [log])
    balance = clean.run(local_engine(), root, DateRange())
    figures = analyze.run(local_engine(), root, DateRange()).figures()
    small = small_settings(settings)
    training = train.run(local_engine(), small, root, DateRange(), "5")
    return Trained(root, log, small, balance, figures, training, report.run(local_engine(), root))


@pytest.fixture(scope="session")
def mixed_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated events with removals, and bad and peculiar rows at places of their own."""
    folder = tmp_path_factory.mktemp("mixed")
    write_events(GeneratorSpec(GENERATED, "2019-10", 3, removals=0.4), folder / "generated.csv")
    _, *lines = (folder / "generated.csv").read_text(encoding="utf-8").splitlines()
    places = random.Random(8)
    for line in (*PECULIAR_ROWS, *(row for row, _ in BAD_ROWS)):
        lines.insert(places.randrange(1, len(lines)), line)
    return write_log(folder / "synthetic-mixed.csv", lines)


@pytest.fixture(scope="session")
def trained_root(settings: Settings, mixed_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Everything, of the generated and mixed rows. Read it, don't write to it."""
    return run_jobs(settings, tmp_path_factory.mktemp("generated-root"), mixed_log)


@pytest.fixture(scope="session")
def sample_root(settings: Settings, sample_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Everything, of the real rows. Read it, don't write to it."""
    return run_jobs(settings, tmp_path_factory.mktemp("sample-root"), sample_path)


@pytest.fixture(params=["sample_root", "trained_root"])
def trained(request: pytest.FixtureRequest) -> Trained:
    """Either root."""
    root: Trained = request.getfixturevalue(request.param)
    return root


def planted_reasons() -> Counter[str]:
    """How many bad rows of each reason the mixed log holds."""
    return Counter(reason for _, reason in BAD_ROWS)


def assert_same_lists(found: list[Recommendation], expected: list[Recommendation], tolerance: float = 1e-5) -> None:
    """Checks that two lists are the same; products whose scores differ by less than the tolerance may change places."""
    assert [one.source for one in found] == [one.source for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=tolerance)
    scores = {one.product_id: one.score for one in expected}
    for one in found:
        least = expected[-1].score
        assert abs(one.score - scores.get(one.product_id, least)) <= tolerance, f"{one} is not in the other list"
