"""`shopstream recommend --all`: every user's list as recommendations.csv, for people who want a file (SPEC R6)."""

from __future__ import annotations

from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from spark_apps.errors import MissingTableError, ReplacedTableError
from spark_apps.progress import notice, row_progress
from spark_apps.registry.serving import stale_tables
from spark_apps.storage import StoragePath, count_rows, read_batches, read_parquet
from spark_apps.storage.transaction import Transaction, commit_lock
from spark_apps.tables import PRODUCT_FEATURES, RECOMMENDATIONS, RECOMMENDATIONS_CSV, Table

# category is the whole code, price the mean price of the product's events, empty where none is known
COLUMNS = pa.schema(
    [
        ("user_id", pa.int64()),
        ("rank", pa.int32()),
        ("product_id", pa.int64()),
        ("category", pa.string()),
        ("brand", pa.string()),
        ("price", pa.float64()),
        ("score", pa.float32()),
        ("source", pa.string()),
    ]
)
_DESCRIBED = ("product_id", "category_code", "brand", "avg_price")
_ROWS_PER_BATCH = 65_536


def run(root: StoragePath) -> tuple[StoragePath, int]:
    """Writes the published lists as one RECOMMENDATIONS_CSV file, in the order of the table.

    A batch of rows at a time is in memory, and id, category, brand and price of the products, some 100 bytes each.

    Returns:
        The file, which appears when it is complete, and its rows.

    Raises:
        MissingTableError: when nothing was trained yet.
        ReplacedTableError: when another command replaced the lists meanwhile.
    """
    for stale in stale_tables(root):
        notice(f"{stale}: run `{stale.command}` to make it anew.")
    with Transaction(root, [RECOMMENDATIONS_CSV]) as transaction:
        try:
            rows = _write(root, transaction.stage(RECOMMENDATIONS_CSV))
        except FileNotFoundError as error:
            raise ReplacedTableError(root) from error
        transaction.replace(RECOMMENDATIONS_CSV)
        transaction.commit()
    return root / RECOMMENDATIONS_CSV, rows


def _write(root: StoragePath, target: StoragePath) -> int:
    with commit_lock(root):
        lists: list[StoragePath] = sorted(_folder(root, RECOMMENDATIONS).glob("*.parquet"), key=str)
        catalogue = read_parquet(_folder(root, PRODUCT_FEATURES), _DESCRIBED)
    rows, done = sum(count_rows(path) for path in lists), 0
    with row_progress("Writing", rows) as progress, target.open("ab") as stream, csv.CSVWriter(stream, COLUMNS) as out:
        for batch in chain.from_iterable(read_batches(path, _ROWS_PER_BATCH) for path in lists):
            out.write_table(_described(batch, catalogue))
            done += batch.num_rows
            progress(done)
    return rows


def _folder(root: StoragePath, table: Table) -> StoragePath:
    folder = root / table.path
    if not folder.is_dir():
        raise MissingTableError(table.name, table.command)
    return folder


def _described(lists: pa.RecordBatch, catalogue: pa.Table) -> pa.Table:
    found = catalogue.take(pc.index_in(lists["product_id"], value_set=catalogue["product_id"].combine_chunks()))
    columns = {name: lists[name] for name in ("user_id", "rank", "product_id", "score", "source")}
    columns |= {"category": found["category_code"], "brand": found["brand"], "price": pc.round(found["avg_price"], 2)}
    return pa.table([columns[name] for name in COLUMNS.names], names=COLUMNS.names).cast(COLUMNS)
