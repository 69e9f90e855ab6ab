"""The tables and files of one batch, staged for its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from spark_apps.engine.published import stored_schema
from spark_apps.jobs.stream.lines import Lines, numbered
from spark_apps.storage import StoragePath, concatenate, parquet_files, write_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.figures import Answered, Learned, gains_of
from spark_apps.tables import (
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_USERS,
    STREAM_WINDOWS,
    Table,
    batch_file,
    gains_file,
    partition_folder,
)

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Staged:
    """A file of a table: where it stands, and the path below the root that it will have."""

    file: StoragePath
    path: str


class Outputs:
    """What one batch writes."""

    def __init__(self, transaction: Transaction, batch: int) -> None:
        """Names the batch and the transaction that will show it."""
        self._transaction, self.batch = transaction, batch

    def scratch(self, name: str) -> StoragePath:
        """Returns a new folder for files of tasks."""
        return self._transaction.scratch(name)

    def stage_lines(self, lines: Lines) -> dict[date | None, Staged]:
        """Stages events and quarantine; returns the file of each date's events."""
        self._stage_dates(STREAM_QUARANTINE, lines.refused)
        return self._stage_dates(STREAM_EVENTS, lines.events)

    def stage_users(self, folders: Mapping[str, StoragePath], last: date) -> str:
        """Stages users and their lists; returns the path that the users will have.

        Args:
            folders: the files that tasks wrote of both, by the names of the tables.
            last: the date under which the lists stand.
        """
        files = {name: parquet_files(folder) for name, folder in folders.items()}
        self._stage(STREAM_RECOMMENDATIONS, files[STREAM_RECOMMENDATIONS.name], last)
        return self._stage(STREAM_USERS, files[STREAM_USERS.name]).path

    def stage_figures(self, learned: Learned, answered: Answered) -> None:
        """Stages what the driver has; it grows with the batch's products and windows."""
        for table, rows in ((STREAM_WINDOWS, learned.windows), (STREAM_PRODUCTS, learned.products)):
            schema = stored_schema(table)
            self._write(
                batch_file(table.path, self.batch), numbered(rows, self.batch).select(schema.names).cast(schema)
            )
        self._write(gains_file(self.batch), gains_of(answered))

    def _write(self, path: str, rows: pa.Table) -> None:
        write_parquet(self._transaction.stage(path), rows)
        self._transaction.replace(path)

    def _stage_dates(
        self, table: Table, files: Mapping[date | None, Sequence[StoragePath]]
    ) -> dict[date | None, Staged]:
        return {day: self._stage(table, paths, day) for day, paths in files.items()}

    def _stage(self, table: Table, files: Sequence[StoragePath], day: date | None = None) -> Staged:
        """Stages files of tasks as one file of a table."""
        folder = f"{table.path}/{partition_folder(day)}" if table.partition else table.path
        path = batch_file(folder, self.batch)
        file = files[0] if len(files) == 1 else self._transaction.stage(path)
        if len(files) != 1:
            concatenate(file, stored_schema(table), files, _ROWS_AT_ONCE)
        self._transaction.replace(path, file)
        return Staged(file, path)
