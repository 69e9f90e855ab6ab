"""With little memory the jobs of this machine's engine spill, and make the tables that much memory makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from spark_apps.engine.database import Database
from spark_apps.engine.local import LocalEngine
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import analyze, clean, load, train
from spark_apps.settings import Settings
from spark_apps.tables import (
    ANALYSIS,
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
)
from tests.pipeline.conftest import BAD_ROWS, small_settings

EVENT_COUNT = 600_000
LITTLE, MUCH = 64 << 20, 2 << 30
_ALL = DateRange()
_KEYS = {
    EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    QUARANTINE: ("raw_line",),
    USER_FEATURES: ("user_id",),
    PRODUCT_FEATURES: ("product_id",),
    INTERACTIONS: ("user_id", "product_id"),
    USER_SEGMENTS: ("user_id",),
    RECOMMENDATIONS: ("user_id", "rank"),
}


def run_all(root: Path, log: Path, settings: Settings, memory: int) -> None:
    load.run(root, [log])
    with LocalEngine(2, memory, root / "spills") as engine:
        clean.run(engine, root, _ALL)
        train.run(engine, settings, root, _ALL, "5")  # features and segments too
        analyze.run(engine, root, _ALL)


def rows(root: Path, table: Table) -> pa.Table:
    found = ds.dataset(root / table.path, format="parquet", partitioning="hive").to_table()
    return found.sort_by([(name, "ascending") for name in _KEYS[table]])


def analysis(root: Path) -> Any:
    return json.loads((root / ANALYSIS).read_text(encoding="utf-8"))


@pytest.fixture
def spilled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders into which databases had spilled when they were closed."""
    folders: list[Path] = []
    close = Database.close

    def noted(database: Database) -> None:
        folder = Path(database.value("select current_setting('temp_directory')"))
        if folder.exists():
            folders.append(folder)
        close(database)

    monkeypatch.setattr(Database, "close", noted)
    return folders


def test_little_memory_makes_the_same_tables(tmp_path: Path, settings: Settings, spilled: list[Path]) -> None:
    log, little, much = tmp_path / "log.csv", tmp_path / "little", tmp_path / "much"
    write_events(GeneratorSpec(EVENT_COUNT, "2019-10", 3), log)
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line, _ in BAD_ROWS)
    run_all(much, log, small_settings(settings), MUCH)
    assert not spilled
    run_all(little, log, small_settings(settings), LITTLE)
    assert spilled and not any((little / "spills").rglob("*"))
    for table in _KEYS:
        found, expected = rows(little, table), rows(much, table)
        assert len(expected) and found.equals(expected), table.name
    assert analysis(little) == analysis(much)
