"""Where tables and models lie: a folder of this machine or one on HDFS, behind pathlib's own names."""

from spark_apps.storage.leases import Lease, Lock, lock_at
from spark_apps.storage.parquet import (
    ParquetBuilder,
    concatenate,
    count_rows,
    open_parquet,
    parquet_files,
    read_batches,
    read_parquet,
    write_parquet,
    write_parts,
)
from spark_apps.storage.paths import Entry, HdfsPath, StoragePath, entries, for_another_thread, root_path, write_durably

__all__ = [
    "Entry",
    "HdfsPath",
    "Lease",
    "Lock",
    "ParquetBuilder",
    "StoragePath",
    "concatenate",
    "count_rows",
    "entries",
    "for_another_thread",
    "lock_at",
    "open_parquet",
    "parquet_files",
    "read_batches",
    "read_parquet",
    "root_path",
    "write_durably",
    "write_parquet",
    "write_parts",
]
