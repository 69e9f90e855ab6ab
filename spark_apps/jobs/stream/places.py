"""Where the stream's files stand, and small tables read and written without Spark."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from spark_apps.storage import StoragePath
from spark_apps.streaming.records import LEDGER, record_name
from spark_apps.streaming.state import StreamState
from spark_apps.tables import Table

STATE = "processed/stream_state"
STATE_FILE = f"{STATE}/state.json"
# bases of buckets, and of what the catalogue is made of
HISTORY, PROFILES = "history", "profiles"
PRODUCTS, SCORES, GAINS = "products", "scores", "gains"


def ledger_path(batch: int) -> str:
    """Returns the path below the root of a batch's record."""
    return f"{LEDGER}/{record_name(batch)}"


def batch_file(folder: str, batch: int) -> str:
    """Returns the path of a batch's file in a folder below the root."""
    return f"{folder}/batch-{batch:08d}.parquet"


def gains_file(batch: int) -> str:
    """Returns the path below the root of what a batch adds to the scores."""
    return batch_file(f"{STATE}/{GAINS}", batch)


def base_file(kind: str, batch: int, bucket: int | None = None) -> str:
    """Returns the path below the root of a base that holds all batches before this one."""
    name = "base" if bucket is None else f"bucket-{bucket:05d}"
    return f"{STATE}/{kind}/{name}-{batch:08d}.parquet"


def read_state(root: StoragePath) -> StreamState | None:
    """Returns the stream's state; None before its first start."""
    try:
        return StreamState.model_validate_json((root / STATE_FILE).read_bytes())
    except FileNotFoundError:
        return None


def claims(batch: int) -> list[str]:
    """Returns what a batch replaces, as a claim against other writers."""
    return [STATE, ledger_path(batch)]


def read_file(path: StoragePath, columns: Sequence[str]) -> pa.Table:
    """Reads one small Parquet file."""
    return pq.read_table(pa.BufferReader(path.read_bytes()), columns=list(columns))


def write_file(path: StoragePath, rows: pa.Table, rows_per_group: int | None = None) -> None:
    """Writes one Parquet file, in the place of the one that is there."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=rows_per_group)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sink.getvalue().to_pybytes())


def numbered(rows: pa.Table, table: Table, batch: int) -> pa.Table:
    """Gives rows the columns of a table that has the number of the batch."""
    number = pa.array([batch] * len(rows), pa.int32())
    return rows.append_column("batch", number).select(table.schema.fieldNames())
