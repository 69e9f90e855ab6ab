"""Where the stream's files stand, and small tables of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from spark_apps.storage import StoragePath, open_parquet, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.records import BATCH_LOG, record_name
from spark_apps.streaming.state import StreamState

STATE = "processed/stream_state"
STATE_FILE = f"{STATE}/state.json"
# bases of buckets, and of what the catalogue is made of
HISTORY, PROFILES = "history", "profiles"
PRODUCTS, SCORES, GAINS = "products", "scores", "gains"


def batch_log_path(batch: int) -> str:
    """Returns the path below the root of a batch's record."""
    return f"{BATCH_LOG}/{record_name(batch)}"


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
    return [STATE, batch_log_path(batch)]


def read_file(path: StoragePath, columns: Sequence[str]) -> pa.Table:
    """Reads columns of one small Parquet file."""
    return open_parquet(path).read(columns=list(columns))


def stage_state(transaction: Transaction, state: StreamState) -> None:
    """Stages the state that a transaction makes the one in force."""
    write_durably(transaction.stage(STATE_FILE), state.model_dump_json())
    transaction.replace(STATE_FILE)


def staged_below(transaction: Transaction, root: StoragePath) -> str:
    """Returns what stands before a path below the root while it is staged, as a path below the root itself."""
    return transaction.stage(STATE).relative_to(root).as_posix().removesuffix(STATE)


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
