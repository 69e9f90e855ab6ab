"""Sums of whole hours, made from the batch log's records: what a panel over a month reads in place of every batch.

The points of an hour are sent with the first batch after it. They follow from the batch log alone, whatever was sent
before.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TypeVar

from influxdb_client.client.write.point import Point

from spark_apps.streaming.records import BatchRecord, RankedCategory, RankedProduct
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.measurements import CATEGORY_POPULARITY_HOURLY, PRODUCT_POPULARITY_HOURLY
from spark_apps.telemetry.points import ranked_points

Ranked = TypeVar("Ranked", RankedProduct, RankedCategory)


class HourSums:
    """Products and categories of the running hour, added up; each batch brings ten of both at most."""

    def __init__(self) -> None:
        """Begins without an hour: the first batch brings its own."""
        self._start: datetime | None = None
        self._products: dict[tuple[int, str, str], RankedProduct] = {}
        self._categories: dict[str, RankedCategory] = {}

    def ended_by(self, record: BatchRecord) -> list[Point]:
        """Returns the points of the hour, at its beginning, if a batch is the first after it; else none.

        First are those with most points or events, of equals the first by id or name.
        """
        if self._start is None or not self._is_later(record):
            return []
        products = sorted(self._products.values(), key=lambda one: (-one.points, one.product_id))
        categories = sorted(self._categories.values(), key=lambda one: (-one.events, one.category))
        return [
            *ranked_points(PRODUCT_POPULARITY_HOURLY, self._start, products),
            *ranked_points(CATEGORY_POPULARITY_HOURLY, self._start, categories),
        ]

    def add(self, record: BatchRecord) -> None:
        """Adds a batch; one of a later hour begins anew, one from before, of a clock that was set back, counts too."""
        if self._is_later(record):
            self._start = _hour_of(record)
            self._products.clear()
            self._categories.clear()
        if record.outcome != "applied":
            return
        for product in record.top_products:
            key = product.product_id, product.category, product.brand
            self._products[key] = _summed(self._products.get(key), product, "points", "events")
        for category in record.top_categories:
            before = self._categories.get(category.category)
            self._categories[category.category] = _summed(before, category, "events", "purchases", "revenue")

    def began_after(self, record: BatchRecord) -> bool:
        """Says whether a batch is of an earlier hour."""
        return self._start is not None and _hour_of(record) < self._start

    def _is_later(self, record: BatchRecord) -> bool:
        return self._start is None or _hour_of(record) > self._start


def sums_before(batch_log: BatchLog, batch: int) -> HourSums:
    """Returns the sums of the hour that the newest record before a batch belongs to.

    Args:
        batch_log: is read backwards, one record at a time.
        batch: a number.
    """
    sums = HourSums()
    for number in reversed(batch_log.numbers()):
        record = batch_log.record(number) if number < batch else None
        if record is None:
            continue
        if sums.began_after(record):
            break
        sums.add(record)
    return sums


def _hour_of(record: BatchRecord) -> datetime:
    return record.dropped_at.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def _summed(before: Ranked | None, one: Ranked, *names: str) -> Ranked:
    if before is None:
        return one
    return one.model_copy(update={name: getattr(before, name) + getattr(one, name) for name in names})
