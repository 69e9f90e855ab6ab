"""`shopstream check`: counts every table of a root again, each against the one that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, LongType, MapType, StringType, StructField, StructType

from spark_apps.analysis.balances import COUNT, PLACE, Balance, balance, counted, summed, together
from spark_apps.errors import NothingToDoError
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import SEGMENTS, newest
from spark_apps.settings import Settings
from spark_apps.storage import Entry, StoragePath, entries
from spark_apps.streaming.drops import DONE, INCOMING
from spark_apps.streaming.intake import HASH_LETTERS, hash_in_name, shown
from spark_apps.streaming.records import LEDGER
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
    published_dates,
    read_events,
    read_table,
    table_exists,
)

_TRAIN = "shopstream train"
_REPLAY = "bring back the files below processed/stream_* from a copy, or remove them all with temp/stream and replay"
_DROP_AGAIN = f"move them from {DONE} to {INCOMING}, where what was applied is a duplicate, or remove them"
_COUNTS = StructType([StructField(PLACE, StringType()), StructField(COUNT, LongType())])
# of the ledger's records (streaming/records.py), what is counted here
_RECORD = StructType(
    [
        StructField("batch", IntegerType()),
        StructField("file", StringType()),
        StructField("sha256", StringType()),
        StructField("bytes", LongType()),
        StructField("outcome", StringType()),
        StructField("rows", LongType()),
        StructField("clean", LongType()),
        StructField("late", LongType()),
        StructField("quarantined", MapType(StringType(), LongType())),
        StructField("lists", StructType([StructField("users", LongType())])),
    ]
)


@dataclass(frozen=True)
class Counted:
    """What was counted again.

    Attributes:
        balances: in the order in which the tables are made.
        uncleaned_dates, uncleaned_lines: landed and not cleaned, as what `simulate` replays.
    """

    balances: list[Balance]
    uncleaned_dates: int
    uncleaned_lines: int


def run(spark: SparkSession, settings: Settings, root: StoragePath) -> Counted:
    """Counts again whatever tables there are.

    Args:
        spark: the session.
        settings: say whether lists leave out what their users bought.
        root: folder of the tables.

    Raises:
        NothingToDoError: when there is neither an event nor a batch.
    """
    landed = raw_rows(read_manifests(root), DateRange())
    cleaned = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table)}
    waiting = [rows for day, rows in landed.items() if day not in cleaned]
    parts = (
        _lines_landed(spark, root, {day: rows for day, rows in landed.items() if day in cleaned}),
        _features(spark, root),
        _lists(spark, settings, root),
        _stream(spark, root),
        _put_away(spark, root),
    )
    balances = [one for part in parts for one in part]
    if not balances:
        raise NothingToDoError(f"There is nothing to count under {root}: run `shopstream clean` first.")
    return Counted(balances, len(waiting), sum(waiting))


def _lines_landed(spark: SparkSession, root: StoragePath, landed: dict[date | None, int]) -> Iterator[Balance]:
    """Lines landed against the tables that `clean` made of them."""
    if not landed:
        return  # raw rows that are kept elsewhere are no fault
    expected = spark.createDataFrame([(date_key(day), rows) for day, rows in landed.items()], _COUNTS)  # a row a date
    found = together(*(_by_date(read_table(spark, root, table)) for table in (EVENTS, QUARANTINE)))
    yield balance("lines landed = events + quarantine, per date", expected, found, "shopstream clean")


def _by_date(rows: DataFrame) -> DataFrame:
    return counted(rows.select(F.coalesce(F.col("date").cast("string"), F.lit(date_key(None))).alias("date")), "date")


def _features(spark: SparkSession, root: StoragePath) -> Iterator[Balance]:
    """Events against the feature tables, each of which holds all of them."""
    if not table_exists(root, USER_FEATURES):
        return
    users, products, pairs = (read_table(spark, root, one) for one in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS))
    events = _events_behind(spark, root, users)
    sides = (
        ("events = those of user_features, per user", "user_id", users, "total_events"),
        ("events = those of product_features, per product", "product_id", products, "events"),
        ("events = those of interactions, per product", "product_id", pairs, "interaction_count"),
    )
    for what, place, table, number in sides:
        yield balance(what, counted(events, place), summed(table, place, number), _TRAIN)
    bought = counted(events.where(F.col("event_type") == "purchase"), "user_id")
    purchases = summed(pairs.where(F.col("purchases") > 0), "user_id", "purchases")
    yield balance("purchases = those of interactions, per user", bought, purchases, _TRAIN)


def _events_behind(spark: SparkSession, root: StoragePath, users: DataFrame) -> DataFrame:
    """The events of the time that the features were made of."""
    first, last = F.min("first_seen"), F.max("last_seen")
    # not as times, which would be collected in the machine's own zone
    seen = users.agg(F.to_date(first), F.to_date(last), F.unix_micros(first), F.unix_micros(last)).collect()[0]
    first_day, last_day, begin, end = seen
    try:
        events, _ = read_events(spark, root, DateRange(first_day, last_day))
    except NothingToDoError:  # they were taken out
        return spark.createDataFrame([], EVENTS.schema)
    return events.where(F.unix_micros("event_time").between(begin, end))


def _lists(spark: SparkSession, settings: Settings, root: StoragePath) -> Iterator[Balance]:
    """The users of the features against their segments and lists."""
    if not all(table_exists(root, table) for table in (USER_FEATURES, USER_SEGMENTS)):
        return
    users, segments = (counted(read_table(spark, root, table), "user_id") for table in (USER_FEATURES, USER_SEGMENTS))
    # a training that the gate refuses leaves its features beside older segments and lists
    fits_features = current(root, SEGMENTS)[1].version == newest(root, SEGMENTS)[1].version
    if fits_features:
        yield balance("users = rows of user_segments, per user", users, segments, _TRAIN)
    if table_exists(root, RECOMMENDATIONS):
        lists = read_table(spark, root, RECOMMENDATIONS)
        yield balance("users in segments = whole lists of recommendations, per user", segments, _whole(lists), _TRAIN)
        if fits_features and settings.exclude_purchased:
            yield _listed_though_bought(spark, root, lists)
    for stale in stale_tables(root):
        yield Balance("tables made with the models in use", 1, 0, 1, 1, (str(stale),), stale.command)


def _listed_though_bought(spark: SparkSession, root: StoragePath, lists: DataFrame) -> Balance:
    bought = read_table(spark, root, INTERACTIONS).where(F.col("purchases") > 0)
    both = counted(lists.join(bought, ["user_id", "product_id"], "left_semi"), "user_id")
    return balance("products listed though bought = none, per user", both.limit(0), both, _TRAIN)


def _whole(lists: DataFrame) -> DataFrame:
    """Counts 1 for each user whose list has the ranks from 1 on, each once, and no product twice; else 0."""
    places = F.count(F.lit(1))
    whole = (
        (F.max("rank") == places) & (F.count_distinct("rank") == places) & (F.count_distinct("product_id") == places)
    )
    return lists.groupBy(F.col("user_id").alias(PLACE)).agg(F.when(whole, 1).otherwise(0).alias(COUNT))


def _stream(spark: SparkSession, root: StoragePath) -> Iterator[Balance]:
    """The stream's ledger against itself and against the tables, for each batch."""
    if not (root / LEDGER).is_dir():
        return
    ledger = _read_ledger(spark, root).persist()
    last = ledger.agg(F.max("batch")).collect()[0][0]
    if last is None:
        return
    numbers = spark.range(last + 1).select(F.col("id").cast("int").alias("batch"))
    yield balance(
        "batches from 0 on = records, per batch", counted(numbers, "batch"), counted(ledger, "batch"), _REPLAY
    )
    dropped, accounted = (summed(ledger, "batch", name) for name in ("rows", "accounted"))
    yield balance("lines dropped = clean + quarantined, per batch", dropped, accounted, _REPLAY)
    for what, recorded, table, count in _STREAMED:
        if table_exists(root, table):
            # a batch that is applied meanwhile is in a table and not in the ledger as it was read
            rows = count(read_table(spark, root, table).where(F.col("batch") <= last))
            yield balance(f"{what}, per batch", summed(ledger, "batch", recorded), rows, _REPLAY)
    ledger.unpersist()


def _put_away(spark: SparkSession, root: StoragePath) -> Iterator[Balance]:
    """What stands in done against the batch log: nothing is put away that is in no table."""
    done = root / DONE
    if not done.is_dir() or not (root / LEDGER).is_dir():
        return
    # first done, then the log, which has the record before the file is put away; one row a file of the days it is kept
    rows = [(shown(one.name), one.bytes, hash_in_name(one.name)) for one in _files_below(done)]
    if not rows:
        return
    files = spark.createDataFrame(rows, "name string, size long, hash string")
    records = _read_records(spark, root).where(F.col("outcome") != "refused")
    hashes = records.select(F.substring("sha256", 1, HASH_LETTERS).alias("hash"))
    # put away by an earlier version, under the name with which it was dropped
    names = records.select(F.col("file").alias("name"), F.col("bytes").alias("size"))
    known = files.join(hashes, "hash", "left_semi").unionByName(
        files.where(F.col("hash").isNull()).join(names, ["name", "size"], "left_semi"), allowMissingColumns=True
    )
    yield balance("files in done = files with a record", counted(files, "name"), counted(known, "name"), _DROP_AGAIN)


def _files_below(folder: StoragePath) -> Iterator[Entry]:
    """Yields the files in a folder and in the folders that earlier versions made in it."""
    for entry in entries(folder):
        if entry.kind == "folder":
            yield from _files_below(folder / entry.name)
        else:
            yield entry


def _read_records(spark: SparkSession, root: StoragePath) -> DataFrame:
    return spark.read.schema(_RECORD).option("multiLine", True).json(str(root / LEDGER))


def _read_ledger(spark: SparkSession, root: StoragePath) -> DataFrame:
    """The ledger's records, with what they say together beside what they say."""
    records = _read_records(spark, root)
    bad = F.aggregate(F.map_values("quarantined"), F.lit(0).cast("long"), lambda total, one: total + one)
    return records.select(
        "batch",
        "rows",
        "clean",
        bad.alias("bad"),
        (F.col("clean") + bad).alias("accounted"),
        (F.col("clean") - F.col("late")).alias("in_time"),
        F.coalesce("lists.users", F.lit(0)).alias("users"),
    )


def _lines(rows: DataFrame) -> DataFrame:
    return counted(rows, "batch")


def _events(rows: DataFrame) -> DataFrame:
    return summed(rows, "batch", "events")


def _users(rows: DataFrame) -> DataFrame:
    return rows.groupBy(F.col("batch").alias(PLACE)).agg(F.count_distinct("user_id").alias(COUNT))


# in words, the ledger's column, the table, how it is counted
_STREAMED: tuple[tuple[str, str, Table, Callable[[DataFrame], DataFrame]], ...] = (
    ("clean lines = rows of stream_events", "clean", STREAM_EVENTS, _lines),
    ("quarantined lines = rows of stream_quarantine", "bad", STREAM_QUARANTINE, _lines),
    ("clean lines = events of stream_products", "clean", STREAM_PRODUCTS, _events),
    ("clean lines in time = events of stream_windows", "in_time", STREAM_WINDOWS, _events),
    ("new lists = users of stream_recommendations", "users", STREAM_RECOMMENDATIONS, _users),
)
