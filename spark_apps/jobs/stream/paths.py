"""What the stream keeps: its state, and small tables of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from spark_apps.storage import StoragePath, open_parquet, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.state import StreamState
from spark_apps.tables import (
    HISTORY,
    PROFILES,
    STREAM_STATE,
    STREAM_STATE_FILE,
    base_file,
    batch_log_path,
)


def read_state(root: StoragePath) -> StreamState | None:
    """Returns the stream's state; None before its first start."""
    try:
        return StreamState.model_validate_json((root / STREAM_STATE_FILE).read_bytes())
    except FileNotFoundError:
        return None


def claims(batch: int) -> list[str]:
    """Returns what a batch replaces, as a claim against other writers."""
    return [STREAM_STATE, batch_log_path(batch)]


def read_file(path: StoragePath, columns: Sequence[str]) -> pa.Table:
    """Reads columns of one small Parquet file."""
    return open_parquet(path).read(columns=list(columns))


def stage_state(transaction: Transaction, state: StreamState) -> None:
    """Stages the state that a transaction makes the one in force."""
    write_durably(transaction.stage(STREAM_STATE_FILE), state.model_dump_json())
    transaction.replace(STREAM_STATE_FILE)


def staged_below(transaction: Transaction, root: StoragePath) -> str:
    """Returns what stands before a path below the root while it is staged, as a path below the root itself."""
    return transaction.stage(STREAM_STATE).relative_to(root).as_posix().removesuffix(STREAM_STATE)


def replace_bucket_bases(transaction: Transaction, state: StreamState, buckets: Iterable[int]) -> None:
    """Has staged bases of buckets, which hold all batches so far, take the place of the former ones.

    Args:
        transaction: in which tasks staged them.
        state: before the batch.
        buckets: whose bases were made anew.
    """
    for bucket in buckets:
        for kind in (HISTORY, PROFILES):
            old, new = (base_file(kind, batch, bucket) for batch in (state.bases[bucket], state.next_batch))
            transaction.replace(new)
            if old != new:
                transaction.remove(old)


def numbered(rows: pa.Table, batch: int) -> pa.Table:
    """Adds the number of the batch to rows."""
    return rows.append_column("batch", pa.repeat(pa.scalar(batch, pa.int32()), len(rows)))
