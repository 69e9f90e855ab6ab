"""Sums of whole hours: exact, bounded, and the same wherever the batch log is taken up."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from spark_apps.streaming.records import BatchRecord, RankedCategory, RankedProduct
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.hours import HourSums, sums_before
from spark_apps.telemetry.measurements import HOUR_TOP
from spark_apps.telemetry.points import lines_of
from tests.telemetry.batch_logs import write_batch_log
from tests.telemetry.records import record

NINE = datetime(2026, 3, 4, 9, tzinfo=timezone.utc)
AT_NINE = int(NINE.timestamp()) * 10**9


def batch(number: int, minutes: float, *products: tuple[int, float, int], **changes: Any) -> BatchRecord:
    """A batch so many minutes after nine; products as id, points, events."""
    ranked = tuple(
        RankedProduct(product_id=one, category="a.b", brand="c", points=points, events=events)
        for one, points, events in products
    )
    values: dict[str, Any] = {"top_products": ranked, "top_categories": ()} | changes
    return record(number, NINE + timedelta(minutes=minutes), **values)


def ended(sums: HourSums) -> list[str]:
    """The lines that the first batch after ten brings."""
    return lines_of(sums.ended_by(batch(99, 60))).decode().splitlines()


def summed(*batches: BatchRecord) -> list[str]:
    sums = HourSums()
    for one in batches:
        sums.add(one)
    return ended(sums)


def test_products_are_added_up_and_ranked_anew() -> None:
    found = summed(batch(0, 0, (7, 5.0, 2), (8, 4.0, 4)), batch(1, 59.9, (8, 3.0, 1), (9, 1.0, 1)))
    name = 'product_popularity_hourly,rank={} brand="c",category="a.b",events={}i,product_id={}i,score={} {}'
    assert found == [name.format(*one, AT_NINE) for one in ((1, 5, 8, 7), (2, 2, 7, 5), (3, 1, 9, 1))]


def test_categories_are_added_up_and_ranked_anew() -> None:
    first = RankedCategory(category="a", events=5, purchases=1, revenue=10.5)
    second = RankedCategory(category="b", events=9, purchases=2, revenue=1.25)
    found = summed(batch(0, 0, top_categories=(first,)), batch(1, 1, top_categories=(second, first)))
    assert found == [
        f'category_popularity_hourly,rank=1 category="a",events=10i,purchases=2i,revenue=21 {AT_NINE}',
        f'category_popularity_hourly,rank=2 category="b",events=9i,purchases=2i,revenue=1.25 {AT_NINE}',
    ]


def test_equals_stand_in_the_order_of_their_names() -> None:
    found = summed(batch(0, 0, (9, 1.0, 1), (8, 1.0, 1)))
    assert [line.partition("product_id=")[2].partition("i")[0] for line in found] == ["8", "9"]


def test_an_hour_has_a_bounded_number_of_points() -> None:
    batches = [batch(one, one / 10, *((10 * one + n, 1.0, 1) for n in range(10))) for one in range(20)]
    assert len(summed(*batches)) == HOUR_TOP


def test_what_was_not_applied_brings_nothing() -> None:
    assert summed(batch(0, 0, (7, 5.0, 2), outcome="duplicate")) == []


def test_an_hour_ends_with_the_first_batch_after_it_and_no_sooner() -> None:
    sums = HourSums()
    sums.add(batch(0, 0, (7, 5.0, 2)))
    for early in (0, 59.99, -1):
        assert not sums.ended_by(batch(1, early))
    sums.add(batch(1, -1, (7, 1.0, 1)))  # of a clock that was set back: it is not lost
    assert "score=6 " in ended(sums)[0]
    sums.add(batch(2, 60, (8, 1.0, 1)))
    assert not ended(sums)


def test_an_hour_without_a_batch_has_no_points() -> None:
    assert summed() == []


def test_a_batch_log_is_taken_up_in_the_midst_of_an_hour(tmp_path: Path) -> None:
    batches = [batch(number, 20 * number - 20, (number, 1.0, 1)) for number in range(6)]
    write_batch_log(tmp_path, [one for one in batches if one.batch != 2])
    assert ended(sums_before(BatchLog(tmp_path), 4)) == summed(batches[1], batches[3])
    assert ended(sums_before(BatchLog(tmp_path), 3)) == summed(batches[1])


def test_an_empty_batch_log_has_no_hour(tmp_path: Path) -> None:
    assert ended(sums_before(BatchLog(tmp_path), 5)) == []
    write_batch_log(tmp_path, [batch(5, 0)])
    assert ended(sums_before(BatchLog(tmp_path), 5)) == []
