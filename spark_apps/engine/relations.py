"""Inputs of units as relations of a database, whose times are UTC without a zone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_apps.engine.base import Relation
from spark_apps.engine.database import Database
from spark_apps.storage import open_parquet

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_PATTERNS = "*?["


def define(database: Database, name: str, relation: Relation, kept: str | None = None) -> None:
    """Gives the rows of files a name in a database.

    Files of this machine are read where a query needs them; those of HDFS are brought at once.

    Args:
        database: which one.
        name: of the relation.
        relation: the files.
        kept: a further condition.
    """
    here = [path for path in relation.files if isinstance(path, Path)]
    if here and not _is_beyond_patterns(here[0]):
        source = f"read_parquet({_listed(here)}, hive_partitioning = false)"
    elif here:
        source = f"{name}_as_stored"
        database.register(source, _dataset(here, relation.schema))
    else:
        parts = [open_parquet(path).read(relation.schema.names).cast(relation.schema) for path in relation.files]
        source = f"{name}_as_stored"
        database.register(source, pa.concat_tables(parts) if parts else relation.schema.empty_table())
    conditions = [f"({one})" for one in (relation.where, kept) if one is not None]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    database.view(name, f"select {_columns(relation.schema)} from {source}{where}")


def register(database: Database, name: str, rows: pa.Table) -> None:
    """Gives rows in memory a name, as `define` does with those of files."""
    source = f"{name}_in_memory"
    database.register(source, rows)
    database.view(name, f"select {_columns(rows.schema)} from {source}")


def _columns(schema: pa.Schema) -> str:
    return ", ".join(
        f'make_timestamp(epoch_us("{field.name}")) as "{field.name}"' if _has_zone(field.type) else f'"{field.name}"'
        for field in schema
    )


def _has_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _is_beyond_patterns(path: Path) -> bool:
    """DuckDB takes a backslash for a separator where it looks for patterns; on Windows each path has some."""
    return "\\" in str(path) and any(letter in _PATTERNS for letter in str(path))


def _dataset(paths: Sequence[Path], schema: pa.Schema) -> ds.Dataset:
    import pyarrow.dataset as ds  # late: it is hardly ever asked for

    return ds.dataset([str(path) for path in paths], schema, "parquet", pa.fs.LocalFileSystem())


def _listed(paths: Sequence[Path]) -> str:
    """Paths as a list of SQL; in square brackets the characters of patterns stand for themselves."""
    texts = ["".join(f"[{letter}]" if letter in _PATTERNS else letter for letter in str(path)) for path in paths]
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
