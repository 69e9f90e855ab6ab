"""`shopstream check`: counts every table of a root again, each against the one that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, LongType, MapType, StringType, StructField, StructType

from spark_apps.analysis.balances import COUNT, PLACE, SHOWN_PLACES, Balance, balance, counted, summed, together
from spark_apps.errors import NothingToDoError
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.provenance import EventsRead, part_of
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
    cleaned_dates,
    published_dates,
    read_applied,
    read_batches,
    read_features_read,
    read_table,
    rows_per_date,
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
        StructField("held", LongType()),
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
        events_since: applied after the features were made, of the dates that these are of.
        events_outside: applied, of other dates than those that were asked for when the features were made.
    """

    balances: list[Balance]
    uncleaned_dates: int
    uncleaned_lines: int
    events_since: int = 0
    events_outside: int = 0


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
        _stale_dates(root),
        _features(spark, root),
        _lists(spark, settings, root),
        _stream(spark, root),
        _put_away(spark, root),
    )
    balances = [one for part in parts for one in part]
    if not balances:
        raise NothingToDoError(f"There is nothing to count under {root}: run `shopstream clean` first.")
    return Counted(balances, len(waiting), sum(waiting), *_not_in_features(spark, root))


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
    events = _events_behind(spark, root).persist()
    yield from _left_out(spark, root)
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
    events.unpersist()


def _events_behind(spark: SparkSession, root: StoragePath) -> DataFrame:
    """The events that were applied when the features were made, of the dates that were asked for: date and ids."""
    read = read_features_read(root)
    dates = DateRange(read.first, read.last) if read is not None else DateRange()
    return _applied(spark, root, dates, again=read).select("date", "user_id", "product_id", "event_type")


def _applied(spark: SparkSession, root: StoragePath, dates: DateRange, again: EventsRead | None = None) -> DataFrame:
    """Events of clean and stream, none where all were taken out."""
    try:
        return read_applied(spark, root, dates, again).events
    except NothingToDoError:
        return spark.createDataFrame([], EVENTS.schema)


def _left_out(spark: SparkSession, root: StoragePath) -> Iterator[Balance]:
    """What was applied when features were made, and is not written down among what they were made of."""
    read = read_features_read(root)
    if read is None:
        missed = ["features were made by an earlier version, which did not write down of what"]
    else:
        missed = [*_dates_left_out(root, read), *_batches_left_out(spark, root, read)]
    if missed:
        what = "events applied = events that features were made of, per date or batch"
        yield Balance(what, len(missed), 0, len(missed), len(missed), tuple(missed[:SHOWN_PLACES]), _TRAIN)


def _dates_left_out(root: StoragePath, read: EventsRead) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for day, note in cleaned_dates(root, (day for day in published_dates(root, EVENTS) if day in asked)).items():
        parts = read.cleaned.get(day.isoformat())
        if day.isoformat() not in read.cleaned and read.covers_date(day, note):
            yield f"{day}: {note.clean if note else 0:,} and 0"
        elif note is not None and parts is not None and set(parts) != set(note.parts):
            yield f"{day} was cleaned of other files since"


def _batches_left_out(spark: SparkSession, root: StoragePath, read: EventsRead) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for batch in read_batches(spark, root):
        missed = batch.batch >= read.batches and read.covers_batch(batch)
        if missed and batch.dates is not None and any(day in asked for day in batch.dates):
            yield f"batch {batch.batch}: {batch.clean:,} and 0"


def _not_in_features(spark: SparkSession, root: StoragePath) -> tuple[int, int]:
    """Events that were applied after the features were made, and those of other dates than were asked for."""
    read = read_features_read(root)
    if read is None:
        return 0, 0
    now = rows_per_date(_applied(spark, root, DateRange()))
    asked = sum(rows for day, rows in now.items() if date.fromisoformat(day) in DateRange(read.first, read.last))
    return max(0, asked - _events_behind(spark, root).count()), sum(now.values()) - asked


def _stale_dates(root: StoragePath) -> Iterator[Balance]:
    """Dates that `clean` made of other files than those that are landed now."""
    manifests = read_manifests(root)
    if not manifests:
        return  # raw rows are kept elsewhere, or not at all
    stale = []
    for day, note in cleaned_dates(root, published_dates(root, EVENTS)).items():
        landed = sorted(part_of(one.sha256) for one in manifests if day.isoformat() in one.rows_per_date)
        if note is not None and landed and landed != sorted(note.parts):  # dates without a file have other counts, too
            stale.append(f"{day}: {len(landed)} files landed, cleaned from {len(note.parts)}")
    if stale:
        what = "dates cleaned = dates cleaned of the files that are landed"
        yield Balance(what, len(stale), 0, len(stale), len(stale), tuple(stale[:SHOWN_PLACES]), "shopstream clean")


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
    learned = F.col("clean") - F.coalesce("held", F.lit(0))
    bad = F.aggregate(F.map_values("quarantined"), F.lit(0).cast("long"), lambda total, one: total + one)
    return records.select(
        "batch",
        "rows",
        "clean",
        bad.alias("bad"),
        (F.col("clean") + bad).alias("accounted"),
        learned.alias("learned"),
        (learned - F.col("late")).alias("in_time"),
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
    ("clean lines = events of stream_products", "learned", STREAM_PRODUCTS, _events),
    ("clean lines in time = events of stream_windows", "in_time", STREAM_WINDOWS, _events),
    ("new lists = users of stream_recommendations", "users", STREAM_RECOMMENDATIONS, _users),
)
