"""DuckDB as units use it: SQL over relations, in UTC, within a share of the memory, spilling beside the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    import pyarrow.dataset as ds

# Rows of a batch that is taken out of a query at a time.
_BATCH_ROWS = 122_880
# What a thread holds of several groupings at once, however few rows there are: 40 MB were measured with two threads.
_GROUPING_BYTES = 20 << 20


@dataclass(frozen=True)
class Limits:
    """What a database may take.

    Attributes:
        threads: of one query.
        memory: in bytes; what does not fit is spilled.
        spill: folder for what is spilled; it is made when it is needed.
    """

    threads: int
    memory: int
    spill: Path


class Database:
    """A DuckDB database in memory. Times in it are UTC without a zone; Arrow gets them with one.

    Attributes:
        memory: bytes that its queries may take before they spill; lists that a group by collects are never spilled.
    """

    def __init__(self, limits: Limits, beside: Database | None = None) -> None:
        """Opens an empty database.

        Args:
            limits: what it may take.
            beside: another one in whose memory and threads it has a share: it opens in no time, and the other's limits
                hold for both.
        """
        self.memory, self._threads = limits.memory, limits.threads
        self._connection: duckdb.DuckDBPyConnection = beside._connection.cursor() if beside else _open(limits)
        # rows keep no order of their own: a query that wants one says so
        self._connection.execute("set preserve_insertion_order = false")
        # what a command tells is its own
        self._connection.execute("set enable_progress_bar = false")

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees what it holds."""
        self._connection.close()

    def set(self, **values: object) -> None:
        """Sets what texts read as `getvariable('name')`: numbers, texts, dates."""
        for name, value in values.items():
            self._connection.execute(f"set variable {name} = ?", [value])

    def view(self, name: str, text: str) -> None:
        """Names a query, which runs where it is used."""
        self._connection.execute(f"create or replace temp view {name} as {text}")

    def table(self, name: str, text: str) -> None:
        """Runs a query and keeps its rows under a name."""
        self._connection.execute(f"create or replace temp table {name} as {text}")

    def in_shares(self, name: str, column: str, row_bytes: int) -> Iterator[None]:
        """Lets a relation be as many of its rows at a time as there is memory for, one share after the other.

        Queries with several groupings at once need room for a part of each, and fail where there is none.

        Args:
            name: of the relation; its rows are read again for each share.
            column: whole numbers; rows that agree in it are in one share, and shares rise with it.
            row_bytes: memory that is needed for a row, beside what groupings take in each thread.
        """
        room = max(self.memory // 4, self.memory - _GROUPING_BYTES * self._threads)
        shares = int(self.value(f"select count(*) from {name}")) * row_bytes // room + 1
        if shares == 1:
            yield
            return
        parts = [number / shares for number in range(1, shares)]
        bounds = sorted(set(self.value(f"select approx_quantile({column}, {parts}) from {name}")))
        whole = f"all_{name}"
        self._connection.execute(f"alter view {name} rename to {whole}")
        for low, high in zip([None, *bounds], [*bounds, None], strict=True):
            limits = [f"{column} > {low}"] * (low is not None) + [f"{column} <= {high}"] * (high is not None)
            self.view(name, f"select * from {whole} where {' and '.join(limits)}")
            yield

    def register(self, name: str, rows: pa.Table | ds.Dataset) -> None:
        """Gives an Arrow table, or files that Arrow reads, a name."""
        self._connection.register(name, rows)

    def drop(self, name: str) -> None:
        """Frees a table that is not needed any more."""
        self._connection.execute(f"drop table {name}")

    def rows(self, text: str, schema: pa.Schema | None = None) -> pa.Table:
        """Returns a query's rows.

        Args:
            text: the query.
            schema: names, order and types to give them; by default DuckDB's.
        """
        found = self._connection.sql(text).to_arrow_table()
        return found if schema is None else found.select(schema.names).cast(schema)

    def batches(self, text: str, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        """Yields a query's rows a batch at a time: see `rows`."""
        for batch in self._connection.sql(text).to_arrow_reader(_BATCH_ROWS):
            rows = pa.Table.from_batches([batch])
            yield rows if schema is None else rows.select(schema.names).cast(schema)

    def value(self, text: str) -> Any:
        """Returns the one value of a query of one row and column."""
        (row,) = self._connection.execute(text).fetchall()
        return row[0]


def _open(limits: Limits) -> duckdb.DuckDBPyConnection:
    limits.spill.parent.mkdir(parents=True, exist_ok=True)  # DuckDB makes the folder itself, and removes it
    config: dict[str, Any] = {
        "threads": limits.threads,
        "memory_limit": f"{limits.memory >> 20}MiB",
        "temp_directory": str(limits.spill),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    return duckdb.connect(config=config)


def sql(package: str, name: str) -> str:
    """Returns a room's SQL text.

    Args:
        package: the room, for example `spark_apps.features`.
        name: of the file, without its ending: as a rule that of the table that it makes.
    """
    return (resources.files(package) / f"{name}.sql").read_text(encoding="utf-8")
