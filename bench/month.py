"""A day of points as a stream of 10,000-event batches sends them, with figures that vary as real ones do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from spark_apps.streaming.records import BatchRecord, Lists, RankedCategory, RankedProduct, SegmentCount, TypeCount
from spark_apps.telemetry.hours import HourSums
from spark_apps.telemetry.points import lines_of, points_of
from tests.grafana.batch_records import INTERVAL, STEPS, batch_record, platform_report

SEED = 42
_DAY = timedelta(days=1)
_TOP = 10
# How many there are, and how much rarer each is than the one before. In 16 of the generator's 10,000-event batches the
# tens have 42 products and 16 categories, and of these draws 42 and 17.
_PRODUCTS, _PRODUCT_FALL = 5_000, 2.0
_CATEGORIES, _CATEGORY_FALL = 130, 5.0


def points_of_a_day(start: datetime) -> list[tuple[str, int]]:
    """Returns what stands before the time of each point, and the time, Unix seconds.

    Args:
        start: of the first batch, a whole second.
    """
    moments = [start + number * INTERVAL for number in range(_DAY // INTERVAL)]
    batches = (line.rpartition(" ") for line in _lines(moments))
    reports = (line.rpartition(" ") for moment in moments for line in platform_report(moment).lines().splitlines())
    return [(body, int(at) // 10**9) for body, _, at in batches] + [(body, int(at)) for body, _, at in reports]


def _lines(moments: list[datetime]) -> Iterator[str]:
    chance, hour = np.random.default_rng(SEED), HourSums()
    for number, moment in enumerate(moments):
        record = varied_record(number, moment, chance)
        yield from lines_of([*hour.ended_by(record), *points_of(record)]).decode().splitlines()
        hour.add(record)


def varied_record(number: int, dropped_at: datetime, chance: np.random.Generator) -> BatchRecord:
    """Returns the record of a batch whose counts, prices, scores, times, products and categories are drawn."""
    even = batch_record(number, dropped_at)
    latency = timedelta(seconds=float(chance.uniform(3.5, 6)))
    return batch_record(number, dropped_at, **_counts(even, chance), committed_at=dropped_at + latency)


def _counts(even: BatchRecord, chance: np.random.Generator) -> dict[str, Any]:
    def about(value: float) -> int:
        return int(chance.poisson(value))

    assert even.activity is not None and even.lists is not None
    activity, lists = even.activity.model_dump(), even.lists.model_dump()
    return {
        "bytes": about(even.bytes),
        "events": {
            kind: TypeCount(
                events=about(one.events), users=about(one.users), priced=one.priced, value=one.value * _near(chance)
            )
            for kind, one in even.events.items()
        },
        "activity": {
            name: about(value) if isinstance(value, int) else value * _near(chance) for name, value in activity.items()
        },
        "segments": {
            name: SegmentCount(users=one.users, seen=one.seen, monetary_mean=one.monetary_mean * _near(chance))
            for name, one in even.segments.items()
        },
        "moves": tuple(one.model_copy(update={"users": about(one.users)}) for one in even.moves),
        "crossings": tuple(one.model_copy(update={"users": about(one.users)}) for one in even.crossings),
        "change_rate": even.change_rate * _near(chance),
        "shift": even.shift * _near(chance),
        "relevance": {
            name: one.model_copy(
                update={"hits": about(one.hits), "reciprocal_ranks": one.reciprocal_ranks * _near(chance)}
            )
            for name, one in even.relevance.items()
        },
        "lists": Lists(
            **{name: about(value) if isinstance(value, int) else value * _near(chance) for name, value in lists.items()}
        ),
        "sources": {name: about(places) for name, places in even.sources.items()},
        "top_products": tuple(_products(chance)),
        "top_categories": tuple(_categories(chance)),
        "new_products": about(even.new_products),
        "seconds": {step: seconds * _near(chance) for step, seconds in STEPS.items()},
    }


def _near(chance: np.random.Generator) -> float:
    return float(chance.uniform(0.9, 1.1))


def _products(chance: np.random.Generator) -> Iterator[RankedProduct]:
    """Ten different products, fewer points from place to place."""
    for place, product in enumerate(_drawn(chance, _PRODUCTS, _PRODUCT_FALL)):
        category = f"category{product % _CATEGORIES}.of_products"
        events = int(chance.poisson(60 - 4 * place))
        yield RankedProduct(
            product_id=1_000_000 + product,
            category=category,
            brand=f"brand{product % 97}",
            points=1.3 * events,
            events=events,
        )


def _categories(chance: np.random.Generator) -> Iterator[RankedCategory]:
    for place, category in enumerate(_drawn(chance, _CATEGORIES, _CATEGORY_FALL)):
        events, purchases = int(chance.poisson(2_000 / (place + 1))), int(chance.poisson(40 / (place + 1)))
        yield RankedCategory(
            category=f"category{category}.of_products",
            events=events,
            purchases=purchases,
            revenue=300 * purchases * _near(chance),
        )


def _drawn(chance: np.random.Generator, number: int, fall: float) -> list[int]:
    """Ten different numbers below one, each drawn with a weight of 1 / (it + 1) ** fall: Gumbel's way."""
    drawn = chance.gumbel(size=number) - fall * np.log(np.arange(1, number + 1))
    return [int(one) for one in np.argsort(-drawn)[:_TOP]]
