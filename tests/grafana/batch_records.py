"""Made-up batches, as the batch log would hold them: what a shop of five segments does in an hour."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import sin
from typing import Any

from spark_apps.streaming.records import (
    Activity,
    BatchRecord,
    Crossing,
    Lists,
    Move,
    RankedCategory,
    RankedProduct,
    Relevance,
    SegmentCount,
    TypeCount,
)
from spark_apps.telemetry.platform_report import Report

INTERVAL = timedelta(seconds=10)
ROWS = 10_000
SEGMENTS = ("VIP_Customers", "Loyal_Customers", "Active_Buyers", "Dormant_Users", "Casual_Browsers")
# ten, as long as a real log's
CATEGORIES = (
    "electronics.smartphone",
    "appliances.kitchen.refrigerators",
    "computers.notebook",
    "apparel.shoes",
    "furniture.living_room.sofa",
    "electronics.audio.headphone",
    "appliances.environment.vacuum",
    "electronics.video.tv",
    "construction.tools.drill",
    "unknown",
)
RFM_USERS = {"New Customers": 600, "Potential Loyalists": 400, "Champions": 200}
STEPS = {"read": 0.4, "clean": 0.5, "features": 0.7, "segments": 0.3, "recommend": 1.2, "publish": 0.4}


def batch_record(number: int, dropped_at: datetime, **changes: Any) -> BatchRecord:
    """Returns one batch, the same for the same number; `changes` replaces whole fields."""
    wave = 1 + 0.2 * sin(number / 9)
    views, carts, purchases = round(9_000 * wave), round(500 * wave), round(180 * wave)
    original = datetime(2019, 11, 1, tzinfo=timezone.utc) + number * timedelta(minutes=6)
    values: dict[str, Any] = {
        "batch": number,
        "file": f"batch-{number:08d}.csv",
        "sequence": number,
        "sha256": f"{number:064x}",
        "bytes": 1_350_000 + 1_000 * (number % 7),
        "dropped_at": dropped_at,
        "committed_at": dropped_at + timedelta(seconds=4.5 + 0.5 * wave),
        "outcome": "applied",
        "rows": ROWS,
        "clean": ROWS - 3,
        "quarantined": {"bad_price": 2, "bad_time": 1},
        "late": number % 2,
        "first_event": original - timedelta(minutes=6),
        "last_event": original,
        "events": {
            "view": TypeCount(events=views, users=2_400, priced=views, value=290.0 * views),
            "cart": TypeCount(events=carts, users=300, priced=carts, value=310.0 * carts),
            "purchase": TypeCount(events=purchases, users=150, priced=purchases, value=305.0 * purchases),
            "remove_from_cart": TypeCount(events=0, users=0, priced=0, value=0.0),
        },
        "activity": Activity(
            users=2_500, new_users=600, sessions=2_900, session_events_mean=4.6 * wave, session_minutes_mean=5.2 * wave
        ),
        "segments": {
            name: SegmentCount(users=1_000 * (place + 1) + number, seen=100, monetary_mean=900.0 / (place + 1))
            for place, name in enumerate(SEGMENTS)
        },
        "moves": (
            Move(source=SEGMENTS[4], target=SEGMENTS[2], users=40),
            Move(source=SEGMENTS[2], target=SEGMENTS[1], users=9),
        ),
        "crossings": tuple(
            Crossing(rfm=group, segment=name, users=users // (place + 1))
            for group, users in RFM_USERS.items()
            for place, name in enumerate(SEGMENTS)
        ),
        "known_users": 1_900,
        "change_rate": 49 / 1_900,
        "shift": 0.002 * wave,
        "relevance": {
            "updated": Relevance(trials=400, hits=round(48 * wave), reciprocal_ranks=21.0 * wave),
            "static": Relevance(trials=400, hits=round(40 * wave), reciprocal_ranks=17.0 * wave),
            "popularity": Relevance(trials=400, hits=round(30 * wave), reciprocal_ranks=11.0 * wave),
        },
        "lists": Lists(
            users=2_500, products=3_100, diversity=0.31, score_mean=0.42, score_p10=0.2, score_p50=0.4, score_p90=0.7
        ),
        "sources": {"als": 14_000, "content": 7_000, "popularity": 4_000},
        "top_products": tuple(
            RankedProduct(product_id=1_000_000 + place, category=name, brand="acme", points=90.0 - place, events=60)
            for place, name in enumerate(CATEGORIES)
        ),
        "top_categories": tuple(
            RankedCategory(category=name, events=3_000 // (place + 1), purchases=60, revenue=15_000.0 / (place + 1))
            for place, name in enumerate(CATEGORIES)
        ),
        "new_products": 12,
        "lag_files": number % 3,
        "models": {"hybrid": "20261120T100000Z" if number < 90 else "20261121T100000Z"},
        "seconds": {step: seconds * wave for step, seconds in STEPS.items()},
    }
    return BatchRecord(**(values | changes))


def batches(count: int, until: datetime, **changes: Any) -> list[BatchRecord]:
    """Returns so many batches, the last dropped at `until`."""
    return [batch_record(number, until - (count - 1 - number) * INTERVAL, **changes) for number in range(count)]


def platform_report(at: datetime, **changes: int) -> Report:
    """Returns what two healthy DataNodes and two workers look like; `changes` replaces figures of HDFS."""
    hdfs = {"up": 1, "safe_mode": 0, "live_nodes": 2, "dead_nodes": 0, "missing_blocks": 0, "short_blocks": 0}
    hdfs |= {"blocks": 900, "files": 1_500, "capacity": 80 * 1024**3, "used": 3 * 1024**3}
    spark = {"up": 1, "workers": 2, "cores": 2, "cores_used": 2, "memory": 4 * 1024**3, "memory_used": 2 * 1024**3}
    spark |= {"running": 1, "waiting": 0}
    return Report(int(at.timestamp()), {"platform_hdfs": hdfs | changes, "platform_spark": spark}, {})
