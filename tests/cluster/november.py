"""A small November, streamed on a cluster and, undisturbed, on one machine: what both have to agree on."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import BATCH_LOG, STREAM_EVENTS, STREAM_USERS, STREAM_WINDOWS, Table
from tests.cluster.conftest import PATIENCE, RunningCluster, eventually
from tests.cluster.sizes import EVENTS_EACH
from tests.comparing import assert_rows

SIMULATE = ("submit", "simulate", "--stream", "--events", str(EVENTS_EACH))
COMPARED: dict[Table, tuple[str, ...]] = {
    STREAM_EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    STREAM_WINDOWS: ("window_start", "batch"),
    STREAM_USERS: ("user_id", "batch"),
}
# columns of users that follow from models, whose last digits may differ between two trainings
_OF_MODELS = ("listed", "first_listed", "cluster", "segment", "behaviour")
# Run by the client's Python: the batch log, a record a line.
_BATCH_LOG = f"""
from spark_apps.settings import load_settings, table_root
for path in sorted((table_root(load_settings()) / "{BATCH_LOG}").glob("*.json"), key=str):
    print(path.read_text())
"""


def records(cluster: RunningCluster) -> list[BatchRecord]:
    """Returns what the stream of a cluster says of its batches."""
    lines = cluster.run_in("client", "python", "-c", _BATCH_LOG).splitlines()
    return [BatchRecord.model_validate_json(line) for line in lines]


def await_batches(
    cluster: RunningCluster, process: subprocess.Popen[str], wanted: int, patience: float = PATIENCE
) -> None:
    """Waits until so many batches are applied, while the stream runs."""

    def there() -> bool:
        assert process.poll() is None, f"the stream ended with {process.returncode}: {_said(process)}"
        return applied(cluster) >= wanted

    eventually(there, f"{wanted} batches are applied", patience)


def applied(cluster: RunningCluster) -> int:
    """Returns how many batches a cluster's stream has applied."""
    return len(cluster.names_in(BATCH_LOG))


def _said(process: subprocess.Popen[str]) -> str:
    return " ".join(process.communicate())[-3000:]


def streamed_rows(root: Path, table: Table) -> list[dict[str, Any]]:
    """Returns the rows of a table of the stream on this machine."""
    found = ds.dataset(root / table.path, format="parquet", partitioning="hive").to_table()
    return found.sort_by([(name, "ascending") for name in COMPARED[table]]).to_pylist()


def assert_streamed(found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> None:
    """Compares rows of a table of the stream, except for what follows from models."""
    for row in (*found, *expected):
        for name in _OF_MODELS:
            row.pop(name, None)
        row |= {name: value.isoformat() for name, value in row.items() if isinstance(value, date)}
    assert_rows(found, expected, rel=1e-9)


def drop(cluster: RunningCluster, name: str, text: str) -> None:
    """Drops a file for the cluster's stream, by rename."""
    cluster.run_in("client", "python", "-c", _DROP, name, text)


# Run by the client's Python: drops a file, by rename.
_DROP = """
import sys
from spark_apps.settings import load_settings, table_root
from spark_apps.tables import INCOMING, STREAM_TEMP
root = table_root(load_settings())
draft = root / STREAM_TEMP / "draft"
draft.write_bytes(sys.argv[2].encode())
draft.rename(root / INCOMING / sys.argv[1])
"""
