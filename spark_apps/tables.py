"""The path of every table, model, journal and state file below the root, and the columns of the tables.

This is the one place where a path is spelt. What stands there is read and written by storage/ and the rooms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from spark_apps import schemas

# Hive's name for the partition of rows without a date; Spark reads it as null.
UNDATED = "__HIVE_DEFAULT_PARTITION__"

# What was loaded.
RAW_EVENTS, RAW_MANIFESTS = "raw/events", "raw/manifests"
# What tables were made of: of each date that `clean` published, a file a date, and of the feature tables.
CLEANED = "processed/cleaned"
FEATURES_READ = "processed/features_read.json"
# Beside the data of a table that was made with models, their version. Spark and Arrow read no file that begins so.
MADE_WITH_FILE = "_version.json"

# Versions of models, and which of them is promoted.
MODELS = "models"
METADATA, PROMOTED = "metadata.json", "promoted.json"

# For people.
REPORTS = "reports"
ANALYSIS = f"{REPORTS}/analysis.json"
EVALUATION = f"{REPORTS}/evaluation.json"
REPORT = f"{REPORTS}/report.html"
RECOMMENDATIONS_CSV = f"{REPORTS}/recommendations.csv"
# points for InfluxDB where there is none
LINE_PROTOCOL = f"{REPORTS}/metrics"

# The stream: a record a batch, its state, and bases of buckets and of what the catalogue is made of.
BATCH_LOG = "processed/stream_batches"
STREAM_STATE = "processed/stream_state"
STREAM_CONTENTS = f"{STREAM_STATE}/contents"
STREAM_STATE_FILE = f"{STREAM_STATE}/state.json"
HISTORY, PROFILES = "history", "profiles"
PRODUCTS, SCORES, GAINS = "products", "scores", "gains"

# What comes and goes: folders of transactions, and in each who writes and, once it is committed, the renames to do.
TEMP = "temp"
TRANSACTIONS = f"{TEMP}/publish"
OWNER, JOURNAL = "owner.json", "journal.json"
# Files on their way through the stream; beside the one in TAKEN, that it is at work on, stands what it was called.
STREAM_TEMP = f"{TEMP}/stream"
INCOMING = f"{STREAM_TEMP}/incoming"
TAKEN = f"{STREAM_TEMP}/taken"
DONE = f"{STREAM_TEMP}/done"
REFUSED = f"{STREAM_TEMP}/refused"
# of the Structured Streaming query, on a cluster: both are made anew at each start
CHECKPOINT = f"{STREAM_TEMP}/checkpoint"
TRIGGERS = f"{STREAM_TEMP}/triggers"
REPLAY = f"{STREAM_TEMP}/replay"
REPLAY_STATE = f"{REPLAY}/replay.json"
# what a drop was cut from: a file a drop, named like the hash of its bytes, which a new name does not change
PROVENANCE = f"{STREAM_TEMP}/provenance"
# how much of the batch log each sink of telemetry has
DELIVERY_OFFSETS = f"{STREAM_TEMP}/sent.json"

_PART_DIGITS = 16
_BATCH_FILE = re.compile(r"batch-(\d{8,})\.(?:parquet|json)")


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        name: what people call it.
        path: its folder below the root.
        schema: its columns.
        command: the command that writes it.
        partition: its partition column, if it has one.
    """

    name: str
    path: str
    schema: pa.Schema
    command: str
    partition: str | None = None


EVENTS = Table("events", "processed/events", schemas.EVENTS, "clean", "date")
QUARANTINE = Table("quarantine", "processed/quarantine", schemas.QUARANTINE, "clean", "date")
USER_FEATURES = Table("user_features", "processed/user_features", schemas.USER_FEATURES, "features")
PRODUCT_FEATURES = Table("product_features", "processed/product_features", schemas.PRODUCT_FEATURES, "features")
INTERACTIONS = Table("interactions", "processed/interactions", schemas.INTERACTIONS, "features")
USER_SEGMENTS = Table("user_segments", "processed/user_segments", schemas.USER_SEGMENTS, "segment")
RECOMMENDATIONS = Table("recommendations", "processed/recommendations", schemas.RECOMMENDATIONS, "train")
STREAM_EVENTS = Table("stream_events", "processed/stream_events", schemas.STREAM_EVENTS, "stream", "date")
STREAM_QUARANTINE = Table(
    "stream_quarantine", "processed/stream_quarantine", schemas.STREAM_QUARANTINE, "stream", "date"
)
STREAM_USERS = Table("stream_users", "processed/stream_users", schemas.STREAM_USERS, "stream")
STREAM_RECOMMENDATIONS = Table(
    "stream_recommendations", "processed/stream_recommendations", schemas.STREAM_RECOMMENDATIONS, "stream", "date"
)
STREAM_WINDOWS = Table("stream_windows", "processed/stream_windows", schemas.STREAM_WINDOWS, "stream")
STREAM_PRODUCTS = Table("stream_products", "processed/stream_products", schemas.STREAM_PRODUCTS, "stream")

BATCH_TABLES = (EVENTS, QUARANTINE, USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS)
STREAM_TABLES = (
    STREAM_EVENTS,
    STREAM_QUARANTINE,
    STREAM_USERS,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    STREAM_PRODUCTS,
)
TABLES = (*BATCH_TABLES, *STREAM_TABLES)


@dataclass(frozen=True)
class DateRange:
    """An inclusive range of dates; an open end is None."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date | None) -> bool:
        if day is None:
            return self.first is None and self.last is None
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        return f"{self.first or 'the first date'} to {self.last or 'the last date'}"


def partition_folder(day: date | None) -> str:
    """Returns the folder name of a date's partition; None stands for rows without a date."""
    return f"date={day.isoformat() if day else UNDATED}"


def partition_date(folder: str) -> date | None:
    """Returns the date behind a partition folder's name: the inverse of `partition_folder`."""
    value = folder.removeprefix("date=")
    return None if value == UNDATED else date.fromisoformat(value)


def cleaned_path(day: date | None) -> str:
    """Returns the path below the root of what `clean` notes of a date."""
    return f"{CLEANED}/{partition_folder(day)}.json"


def manifest_path(sha256: str) -> str:
    """Returns the path below the root of the manifest of a loaded file."""
    return f"{RAW_MANIFESTS}/{sha256}.json"


def part_of(sha256: str) -> str:
    """Returns the name of the raw parts of a file, for each of its dates the same."""
    return sha256[:_PART_DIGITS]


def raw_path(sha256: str, day: date | None) -> str:
    """Returns the path below the root of a file's raw rows of one date."""
    return f"{RAW_EVENTS}/{partition_folder(day)}/{part_of(sha256)}.csv"


def model_path(name: str, version: str) -> str:
    """Returns the path below the root of a version of a model."""
    return f"{MODELS}/{name}/{version}"


def alias_path(name: str) -> str:
    """Returns the path below the root of the file that names a model's promoted version."""
    return f"{MODELS}/{name}/{PROMOTED}"


def batch_log_path(batch: int) -> str:
    """Returns the path below the root of a batch's record."""
    return f"{BATCH_LOG}/{record_name(batch)}"


def record_name(batch: int) -> str:
    """Returns the name of a batch's file in the batch log."""
    return f"batch-{batch:08d}.json"


def batch_file(folder: str, batch: int) -> str:
    """Returns the path of a batch's file in a folder below the root."""
    return f"{folder}/batch-{batch:08d}.parquet"


def batch_number(name: str) -> int | None:
    """Returns the number of the batch whose file or record has this name; None for a file merged from several."""
    found = _BATCH_FILE.fullmatch(name)
    return int(found[1]) if found else None


def gains_file(batch: int) -> str:
    """Returns the path below the root of what a batch adds to the scores."""
    return batch_file(f"{STREAM_STATE}/{GAINS}", batch)


def contents_file(sha256: str) -> str:
    """Returns the path of the list of the stream's applied contents that a content stands in."""
    return f"{STREAM_CONTENTS}/{sha256[:2]}"


def base_file(kind: str, batch: int, bucket: int | None = None) -> str:
    """Returns the path below the root of a base that holds all batches before this one."""
    name = "base" if bucket is None else f"bucket-{bucket:05d}"
    return f"{STREAM_STATE}/{kind}/{name}-{batch:08d}.parquet"


def provenance_path(sha256: str) -> str:
    """Returns the path below the root of the note of what a drop was cut from (see spark_apps/provenance.py).

    Args:
        sha256: of the drop's bytes.
    """
    return f"{PROVENANCE}/{sha256}.json"
