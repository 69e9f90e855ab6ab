"""Which dates of a table have files that should be one, and how many files they should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from spark_apps.hdfs.usage import is_data, is_small
from spark_apps.storage import StoragePath
from spark_apps.tables import Table, partition_date

# One block of HDFS: what a Spark task reads at a time.
TARGET_BYTES = 128 << 20


@dataclass(frozen=True)
class Partition:
    """The files of one date.

    Attributes:
        day: the date; None for rows without one.
        files: its data files.
        small_files: those of them that are small.
        bytes: their size, one copy.
    """

    day: date | None
    files: int
    small_files: int
    bytes: int

    @property
    def wanted_files(self) -> int:
        """How many files of a block's size its rows need."""
        return max(1, -(-self.bytes // TARGET_BYTES))

    def worth_merging(self) -> bool:
        """Says whether fewer files would hold it, and at least two of them are small."""
        return self.small_files > 1 and self.wanted_files < self.files


def partitions(root: StoragePath, table: Table) -> list[Partition]:
    """Returns the dates of a date-partitioned table with their files, in order, undated rows last."""
    folders = sorted((path for path in (root / table.path).glob("date=*") if path.is_dir()), key=lambda one: one.name)
    return [_partition(folder) for folder in folders]


def _partition(folder: StoragePath) -> Partition:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file() and is_data(path.name)}
    small = sum(is_small(name, size) for name, size in sizes.items())
    return Partition(partition_date(folder.name), len(sizes), small, sum(sizes.values()))
