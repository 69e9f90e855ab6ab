"""Tables of the batch jobs against those that they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spark_apps.engine.database import sql
from spark_apps.ingestion.manifests import Manifest
from spark_apps.provenance import AppliedBatch, CleanedDate, EventsRead
from spark_apps.reconciliation.reconcile import Reconciliation, Sides, counted, nothing_of, summed
from spark_apps.tables import DateRange, part_of

TRAIN, CLEAN = "shopstream train", "shopstream clean"
_ROOM = "spark_apps.reconciliation"


@dataclass(frozen=True)
class Comparison:
    """What an engine compares in one run of `reconcile.compare`.

    Attributes:
        by: the column that names the place.
        columns: input -> columns that are read of it.
        sides: the counts.
    """

    by: str
    columns: Mapping[str, tuple[str, ...]]
    sides: tuple[Sides, ...]


FEATURES_BY_USER = Comparison(
    "user_id",
    {"events": ("user_id", "event_type"), "users": ("user_id", "total_events"), "pairs": ("user_id", "purchases")},
    (
        Sides(
            "events = those of user_features, per user",
            counted("events", "user_id"),
            summed("users", "user_id", "total_events"),
            TRAIN,
        ),
        Sides(
            "purchases = those of interactions, per user",
            counted("events", "user_id", "event_type = 'purchase'"),
            summed("pairs", "user_id", "purchases", "purchases > 0"),
            TRAIN,
        ),
    ),
)
FEATURES_BY_PRODUCT = Comparison(
    "product_id",
    {"events": ("product_id",), "products": ("product_id", "events"), "pairs": ("product_id", "interaction_count")},
    (
        Sides(
            "events = those of product_features, per product",
            counted("events", "product_id"),
            summed("products", "product_id", "events"),
            TRAIN,
        ),
        Sides(
            "events = those of interactions, per product",
            counted("events", "product_id"),
            summed("pairs", "product_id", "interaction_count"),
            TRAIN,
        ),
    ),
)
_SEGMENTED = Sides(
    "users = rows of user_segments, per user", counted("users", "user_id"), counted("segments", "user_id"), TRAIN
)
_WHOLE = Sides(
    "users in segments = whole lists of recommendations, per user",
    counted("segments", "user_id"),
    sql(_ROOM, "whole_lists"),
    TRAIN,
)
_NOT_BOUGHT = Sides(
    "products listed though bought = none, per user",
    counted("lists", "user_id", "false"),
    sql(_ROOM, "listed_though_bought"),
    TRAIN,
)


def lists_comparison(has_lists: bool, fits_features: bool, exclude_purchased: bool) -> Comparison | None:
    """Returns how the users of the features are compared with their segments and lists; None where nothing is.

    Args:
        has_lists: whether there are recommendations.
        fits_features: whether segments and lists were made of the features that are there.
        exclude_purchased: whether lists leave out what their users bought.
    """
    columns: dict[str, tuple[str, ...]] = {"users": ("user_id",), "segments": ("user_id",)}
    if has_lists:
        columns |= {
            "lists": ("user_id", "product_id", "rank"),
            "pairs": ("user_id", "product_id", "purchases"),
        }
    wanted = (
        (_SEGMENTED, fits_features),
        (_WHOLE, has_lists),
        (_NOT_BOUGHT, has_lists and fits_features and exclude_purchased),
    )
    sides = tuple(one for one, applies in wanted if applies)
    return Comparison("user_id", columns, sides) if sides else None


def stale_dates(manifests: Sequence[Manifest], cleaned: Mapping[date, CleanedDate | None]) -> Iterator[Reconciliation]:
    """Compares the files that `clean` made dates of with those that are landed now.

    Args:
        manifests: of the landed files; none where raw rows are kept elsewhere, or not at all.
        cleaned: dates that `clean` published, with what it noted of them.
    """
    stale = []
    for day, note in cleaned.items():
        landed = sorted(part_of(one.sha256) for one in manifests if day.isoformat() in one.rows_per_date)
        if note is not None and landed and landed != sorted(note.parts):  # dates without a file have other counts, too
            stale.append(f"{day}: {len(landed)} files landed, cleaned from {len(note.parts)}")
    yield from nothing_of("dates cleaned = dates cleaned of the files that are landed", stale, CLEAN)


def left_out(
    read: EventsRead | None, cleaned: Mapping[date, CleanedDate | None], batches: Sequence[AppliedBatch]
) -> Iterator[Reconciliation]:
    """Compares the events that were applied when features were made with those that they were made of.

    Args:
        read: of the features; None where an earlier version made them, which did not write it down.
        cleaned: dates that `clean` published, with what it noted of them.
        batches: of the stream.
    """
    if read is None:
        missed = ["features were made by an earlier version, which did not write down of what"]
    else:
        missed = [*_dates_left_out(read, cleaned), *_batches_left_out(read, batches)]
    yield from nothing_of("events applied = events that features were made of, per date or batch", missed, TRAIN)


def _dates_left_out(read: EventsRead, cleaned: Mapping[date, CleanedDate | None]) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for day, note in cleaned.items():
        if day not in asked:
            continue
        parts = read.cleaned.get(day.isoformat())
        if day.isoformat() not in read.cleaned and read.covers_date(day, note):
            yield f"{day}: {note.clean if note else 0:,} and 0"
        elif note is not None and parts is not None and set(parts) != set(note.parts):
            yield f"{day} was cleaned of other files since"


def _batches_left_out(read: EventsRead, batches: Sequence[AppliedBatch]) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for batch in batches:
        missed = batch.batch >= read.batches and read.covers_batch(batch)
        if missed and batch.dates is not None and any(day in asked for day in batch.dates):
            yield f"batch {batch.batch}: {batch.clean:,} and 0"
