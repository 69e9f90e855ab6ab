"""What goes to InfluxDB of each batch of the stream: every measurement with its tags, fields and units (SPEC I1, I3).

The points of a batch all have one time: when its file was dropped. An event's own time is in 2019 and stands in the
field event_clock. A tag has few values, ever: no user, no product but by its rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["integer", "float", "string"]

TOP = 10
# of an hour: many more than a batch's, so that what is seldom first in an hour but often there is not lost
HOUR_TOP = 50
# what stands for the names beyond a tag's bound
OTHER = "other"

EVENT_TYPE_VALUES = ("view", "cart", "purchase", "remove_from_cart")
RECOMMENDER_VALUES = ("updated", "static", "popularity")
RFM_VALUES = (
    "New Customers",
    "Potential Loyalists",
    "Champions",
    "Promising",
    "Loyal",
    "About To Sleep",
    "Need Attention",
    "Hibernating",
    "At Risk",
    "Cannot Lose Them",
    "Lost",
)
SOURCE_VALUES = ("als", "content", "popularity")
RANK_VALUES = tuple(str(rank) for rank in range(1, TOP + 1))
HOUR_RANK_VALUES = tuple(str(rank) for rank in range(1, HOUR_TOP + 1))
# The stream's names: five rules name the clusters, with a number where k is large; a step is a part of the program.
MAX_SEGMENTS = 20
MAX_STEPS = 20
MAX_REASONS = 12


@dataclass(frozen=True)
class Tag:
    """A tag: what it tells apart, and how many values it can have.

    Attributes:
        name: its key.
        about: what its values are.
        max_values: bound on their number; of more names in a batch the last in order share the value `other`.
        values: all of them, where they are known; otherwise empty.
    """

    name: str
    about: str
    max_values: int
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A field: one figure of a point.

    Attributes:
        name: its key.
        kind: its type in InfluxDB.
        unit: of the figure; empty for names.
        about: what it says.
        absent: when a point has no such field; empty: it always has it.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    absent: str = ""


@dataclass(frozen=True)
class Measurement:
    """A measurement: one kind of point."""

    name: str
    about: str
    fields: tuple[Field, ...]
    tags: tuple[Tag, ...] = ()

    @property
    def max_series(self) -> int:
        """Returns the bound on the number of its series, which is also the most points of one batch."""
        return prod(tag.max_values for tag in self.tags)


def _known(name: str, about: str, values: tuple[str, ...]) -> Tag:
    return Tag(name, about, len(values), values)


def _count(name: str, unit: str, about: str, absent: str = "") -> Field:
    return Field(name, "integer", unit, about, absent)


def _share(name: str, about: str, absent: str = "") -> Field:
    return Field(name, "float", "share, 0 to 1", about, absent)


def _figure(name: str, unit: str, about: str, absent: str = "") -> Field:
    return Field(name, "float", unit, about, absent)


def _text(name: str, about: str, absent: str = "") -> Field:
    return Field(name, "string", "", about, absent)


_RANK = _known("rank", "place in the batch, 1 is first", RANK_VALUES)
_HOUR_RANK = _known("rank", "place in the hour, 1 is first", HOUR_RANK_VALUES)

USER_BEHAVIOR = Measurement(
    "user_behavior",
    "What was done in the batch, by type of event.",
    (
        _count("events", "events", "events of this type"),
        _count("users", "users", "distinct users with an event of this type"),
        _figure("price_mean", "currency", "mean price of the events that have one", "without such an event"),
        _figure("value", "currency", "sum of the events' prices"),
    ),
    (_known("event_type", "type of event", EVENT_TYPE_VALUES),),
)

USER_ACTIVITY = Measurement(
    "user_activity",
    "Who was there, and what came of it.",
    (
        _count("events", "events", "usable events of the batch"),
        _count("users", "users", "distinct users"),
        _count("new_users", "users", "of which without an earlier event"),
        _count("sessions", "sessions", "sessions with an event in the batch"),
        _figure("session_events_mean", "events", "mean events of a session, of those in the batch"),
        _figure("session_minutes_mean", "minutes", "mean time from a session's first to its last event in the batch"),
        _figure("conversion", "purchases per view", "purchases / views", "without a view"),
        _figure("cart_rate", "carts per view", "carts / views", "without a view"),
        _figure("revenue", "currency", "sum of the purchases' prices"),
        _count("event_clock", "seconds since 1970", "original time of the batch's last event, UTC"),
        _count("hour", "hour of the day, 0 to 23", "hour of event_clock, UTC"),
    ),
)

SEGMENT_EVOLUTION = Measurement(
    "segment_evolution",
    "The segments after the batch.",
    (
        _count("users", "users", "users in the segment"),
        _share("share", "of all users"),
        _figure("value", "currency", "mean spend of those of them seen in the batch", "when none was seen"),
        _count("in", "users", "users of the batch who moved in from another segment"),
        _count("out", "users", "users of the batch who moved out to another segment"),
    ),
    (Tag("segment", "name of the segment", MAX_SEGMENTS),),
)

SEGMENT_SHIFT = Measurement(
    "segment_shift",
    "How much the batch changed the segments.",
    (
        _share("change_rate", "share of the batch's known users whose segment changed"),
        _share("shift", "half the sum of absolute changes of the segments' shares of all users"),
        _count("moved", "users", "users who went to another segment"),
        _count("known_users", "users", "users of the batch who had a segment before it"),
        _count("new_users", "users", "users of the batch without an earlier event"),
    ),
)

SEGMENT_MOVES = Measurement(
    "segment_moves",
    "Moves between segments; only pairs that happened in the batch have a point.",
    (_count("users", "users", "users who went this way"),),
    (
        Tag("source", "segment before the batch", MAX_SEGMENTS),
        Tag("target", "segment after it", MAX_SEGMENTS),
    ),
)

SEGMENT_RFM = Measurement(
    "segment_rfm",
    "The batch's users by RFM group and segment; only pairs that occurred in the batch have a point.",
    (_count("users", "users", "users of the batch in both"),),
    (
        _known("rfm", "RFM group after the batch", RFM_VALUES),
        Tag("segment", "segment after the batch", MAX_SEGMENTS),
    ),
)

RECOMMENDATION_METRICS = Measurement(
    "recommendation_metrics",
    "How well the lists in force before the batch guessed its carts and purchases.",
    (
        _count("trials", "user-product pairs", "distinct products put in the cart or bought, new to their user"),
        _count("hits", "user-product pairs", "of which stood among the ten of the user's list"),
        _share("hit_rate", "hits / trials", "without a trial"),
        _share("mrr", "mean of 1 / place in the list, 0 for what was not in it", "without a trial"),
    ),
    (_known("recommender", "which lists: updated by the stream, as trained, most popular", RECOMMENDER_VALUES),),
)

RECOMMENDATION_LISTS = Measurement(
    "recommendation_lists",
    "The lists that the batch wrote.",
    (
        _count("lists", "lists", "users who got a list"),
        _count("coverage", "products", "distinct products in the lists"),
        _share("diversity", "mean share of different categories in a list"),
        _figure("score_mean", "score", "mean score of a place"),
        _figure("score_p10", "score", "10 % of the scores are below this"),
        _figure("score_p50", "score", "half of the scores are below this"),
        _figure("score_p90", "score", "90 % of the scores are below this"),
        _text("model", "version of the models in force", "when no model was in force"),
    ),
)

RECOMMENDATION_SOURCES = Measurement(
    "recommendation_sources",
    "What spoke for the products in the batch's lists.",
    (_count("places", "places", "places of the lists"), _share("share", "of all places of the batch's lists")),
    (_known("source", "part of the hybrid", SOURCE_VALUES),),
)

PRODUCT_POPULARITY = Measurement(
    "product_popularity",
    "The batch's products with most points: 3 a purchase, 2 a cart, 1 a view.",
    (
        _count("product_id", "", "the product"),
        _text("category", "its category path, or unknown"),
        _text("brand", "its brand, or unknown"),
        _figure("score", "points", "its points in the batch"),
        _count("events", "events", "its events in the batch"),
    ),
    (_RANK,),
)

CATEGORY_POPULARITY = Measurement(
    "category_popularity",
    "The batch's categories with most events.",
    (
        _text("category", "the category, or unknown"),
        _count("events", "events", "its events in the batch"),
        _count("purchases", "events", "of which purchases"),
        _figure("revenue", "currency", "sum of the purchases' prices"),
    ),
    (_RANK,),
)

PIPELINE_HEALTH = Measurement(
    "pipeline_health",
    "The stream itself. Files that were applied before, or refused for their header, have this point and no other.",
    (
        _count("batch", "", "number of the batch, from 0"),
        _count("rows", "rows", "lines of the file below its header"),
        _count("clean", "rows", "of which usable events"),
        _count("quarantined", "rows", "of which went to quarantine"),
        _count("late", "events", "usable events of windows that the watermark had closed"),
        _count("bytes", "bytes", "size of the file"),
        _figure("seconds", "seconds", "time taken by the batch: the sum of its steps"),
        _figure("latency", "seconds", "from the file's drop to the commit of its tables"),
        _figure("events_per_second", "rows per second", "rows / seconds", "when seconds is 0"),
        _count("lag_files", "files", "dropped files that waited after this one"),
        _count("new_products", "products", "products seen for the first time"),
    ),
)

PIPELINE_STEPS = Measurement(
    "pipeline_steps",
    "Where a batch's time went.",
    (_figure("seconds", "seconds", "time taken by the step"),),
    (Tag("step", "part of the batch's work", MAX_STEPS),),
)

PIPELINE_QUARANTINE = Measurement(
    "pipeline_quarantine",
    "Why lines could not be used; only reasons that occurred in the batch have a point.",
    (_count("rows", "rows", "lines in quarantine for this reason"),),
    (Tag("reason", "see the guide", MAX_REASONS),),
)

MEASUREMENTS = (
    USER_BEHAVIOR,
    USER_ACTIVITY,
    SEGMENT_EVOLUTION,
    SEGMENT_SHIFT,
    SEGMENT_MOVES,
    SEGMENT_RFM,
    RECOMMENDATION_METRICS,
    RECOMMENDATION_LISTS,
    RECOMMENDATION_SOURCES,
    PRODUCT_POPULARITY,
    CATEGORY_POPULARITY,
    PIPELINE_HEALTH,
    PIPELINE_STEPS,
    PIPELINE_QUARANTINE,
)

# Sums of whole hours, which are sent with the first batch after the hour: a month of batches is too much to add up
# whenever somebody looks. Their points have the time at which the hour begins.
_IN_TEN = "over the hour's batches in whose ten it was"

PRODUCT_POPULARITY_HOURLY = Measurement(
    "product_popularity_hourly",
    "The hour's products with most points, of those that were among the ten of a batch.",
    (
        _count("product_id", "", "the product"),
        _text("category", "its category path, or unknown"),
        _text("brand", "its brand, or unknown"),
        _figure("score", "points", f"its points {_IN_TEN}"),
        _count("events", "events", f"its events {_IN_TEN}"),
    ),
    (_HOUR_RANK,),
)

CATEGORY_POPULARITY_HOURLY = Measurement(
    "category_popularity_hourly",
    "The hour's categories with most events, of those that were among the ten of a batch.",
    (
        _text("category", "the category, or unknown"),
        _count("events", "events", f"its events {_IN_TEN}"),
        _count("purchases", "events", "of which purchases"),
        _figure("revenue", "currency", "sum of the purchases' prices"),
    ),
    (_HOUR_RANK,),
)

HOURLY_MEASUREMENTS = (PRODUCT_POPULARITY_HOURLY, CATEGORY_POPULARITY_HOURLY)

# What `metrics platform` says of the servers below the stream; its points have the time at which it asked.
_SILENT = "when it did not answer"

PLATFORM_HDFS = Measurement(
    "platform_hdfs",
    "HDFS as its NameNode sees it.",
    (
        _count("up", "", "1 when the NameNode answered, else 0"),
        _count("safe_mode", "", "1 in safe mode, else 0", _SILENT),
        _count("live_nodes", "DataNodes", "that report", _SILENT),
        _count("dead_nodes", "DataNodes", "that stopped reporting without having been drained", _SILENT),
        _count("missing_blocks", "blocks", "without any copy", _SILENT),
        _count("short_blocks", "blocks", "with fewer copies than they should have", _SILENT),
        _count("blocks", "blocks", "all", _SILENT),
        _count("files", "files", "files and folders", _SILENT),
        _count("capacity", "bytes", "of all live DataNodes", _SILENT),
        _count("used", "bytes", "by HDFS, all copies", _SILENT),
    ),
)

PLATFORM_SPARK = Measurement(
    "platform_spark",
    "Spark as its master sees it.",
    (
        _count("up", "", "1 when the master answered, else 0"),
        _count("workers", "workers", "that take executors", _SILENT),
        _count("cores", "cores", "of these workers", _SILENT),
        _count("cores_used", "cores", "held by applications", _SILENT),
        _count("memory", "bytes", "that these workers give to executors", _SILENT),
        _count("memory_used", "bytes", "held by applications", _SILENT),
        _count("running", "applications", "at work", _SILENT),
        _count("waiting", "applications", "waiting for cores or memory", _SILENT),
    ),
)

PLATFORM_MEASUREMENTS = (PLATFORM_HDFS, PLATFORM_SPARK)
