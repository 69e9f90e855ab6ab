"""Rows of Parquet files that are read where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from spark_apps.storage.paths import StoragePath


@dataclass(frozen=True)
class Relation:
    """Rows of Parquet files that are laid out alike.

    Attributes:
        files: Parquet files with the columns of the schema, and perhaps others.
        schema: what is read of them.
        where: a condition in SQL that rows must meet, in what DuckDB and Spark have in common; None keeps all.
    """

    files: tuple[StoragePath, ...]
    schema: pa.Schema
    where: str | None = None

    @classmethod
    def of(cls, folder: StoragePath, schema: pa.Schema, where: str | None = None) -> Relation:
        """Takes all Parquet files of a folder, in the order of their names."""
        files: list[StoragePath] = sorted(folder.glob("*.parquet"), key=str)
        return cls(tuple(files), schema, where)

    def select(self, *names: str) -> Relation:
        """Returns the same rows with fewer columns, in this order."""
        return Relation(self.files, pa.schema([self.schema.field(name) for name in names]), self.where)
