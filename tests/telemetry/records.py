"""Records of batches for tests: one that has everything, and any that the stream could write."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

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
from spark_apps.telemetry.measurements import EVENT_TYPE_VALUES, RECOMMENDER_VALUES, RFM_VALUES, SOURCE_VALUES

DROPPED = datetime(2026, 3, 4, 5, 6, 7, 890_123, timezone.utc)
NASTY = 'sun, "moon" = a\\b\tstars\nand ümläut 🛒'


def record(batch: int = 0, dropped_at: datetime = DROPPED, **overrides: Any) -> BatchRecord:
    """Returns the record of an applied batch that has something of everything, changed in what a test is about."""
    whole: dict[str, Any] = {
        "batch": batch,
        "file": f"batch-{batch + 1:08d}-{dropped_at:%Y%m%dT%H%M%S.%fZ}.csv",
        "sequence": batch + 1,
        "sha256": f"{batch:064x}",
        "bytes": 123_456,
        "dropped_at": dropped_at,
        "committed_at": dropped_at + timedelta(seconds=3),
        "outcome": "applied",
        "rows": 100,
        "clean": 97,
        "quarantined": {"bad_time": 2, "wrong_columns": 1},
        "late": 4,
        "first_event": datetime(2019, 11, 1, 10, 0, 0, tzinfo=timezone.utc),
        "last_event": datetime(2019, 11, 1, 11, 30, 1, tzinfo=timezone.utc),
        "events": {
            "view": TypeCount(events=80, users=30, priced=79, value=7900.0),
            "cart": TypeCount(events=12, users=8, priced=12, value=600.0),
            "purchase": TypeCount(events=5, users=5, priced=5, value=300.5),
            "remove_from_cart": TypeCount(events=0, users=0, priced=0, value=0.0),
        },
        "activity": Activity(users=31, new_users=6, sessions=40, session_events_mean=2.4, session_minutes_mean=3.0),
        "segments": {
            "Loyal_Customers": SegmentCount(users=25, seen=5, monetary_mean=410.0),
            "Casual_Browsers": SegmentCount(users=75, seen=26, monetary_mean=12.5),
        },
        "moves": (Move(source="Casual_Browsers", target="Loyal_Customers", users=3),),
        "crossings": (
            Crossing(rfm="Champions", segment="Loyal_Customers", users=5),
            Crossing(rfm="New Customers", segment="Casual_Browsers", users=26),
        ),
        "known_users": 25,
        "change_rate": 0.12,
        "shift": 0.03,
        "relevance": {
            "updated": Relevance(trials=10, hits=4, reciprocal_ranks=2.5),
            "static": Relevance(trials=10, hits=3, reciprocal_ranks=1.0),
            "popularity": Relevance(trials=0, hits=0, reciprocal_ranks=0.0),
        },
        "lists": Lists(
            users=31, products=44, diversity=0.6, score_mean=1.0, score_p10=0.2, score_p50=0.9, score_p90=2.0
        ),
        "sources": {"als": 200, "content": 90, "popularity": 20},
        "top_products": tuple(
            RankedProduct(product_id=1000 + n, category="a.b", brand="c", points=30.0 - n, events=9) for n in range(10)
        ),
        "top_categories": (RankedCategory(category="a.b", events=60, purchases=4, revenue=250.0),),
        "new_products": 2,
        "lag_files": 1,
        "models": {"als": "20191101T000000Z", "hybrid": "20191101T000000Z"},
        "seconds": {"read": 0.5, "clean": 1.0, "write": 1.25},
    }
    return BatchRecord(**{**whole, **overrides})


_COUNTS = st.integers(0, 2**40)
_IDS = st.integers(0, 2**63 - 1)
_AMOUNTS = st.floats(0, 1e12)
_SHARES = st.floats(0, 1)
# what a tag cannot carry: nothing, a line feed, a backslash at its end (segments and steps have none)
_TAGS = st.text(st.characters(exclude_characters="\n\r\t\\\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_TIMES = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))


def _of(model: type[Any], **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(model, **parts)


@st.composite
def any_record(draw: st.DrawFn) -> BatchRecord:
    """Any record of a batch, also with more segments, steps and products than the measurements have room for."""
    types = _of(TypeCount, events=_COUNTS, users=_COUNTS, priced=_COUNTS, value=_AMOUNTS)
    names = draw(st.lists(_TAGS, unique=True, max_size=30))
    name = st.sampled_from(names) if names else st.nothing()
    relevance = _of(Relevance, trials=_COUNTS, hits=_COUNTS, reciprocal_ranks=_AMOUNTS)
    product = _of(RankedProduct, product_id=_IDS, category=_TEXTS, brand=_TEXTS, points=_AMOUNTS, events=_COUNTS)
    category = _of(RankedCategory, category=_TEXTS, events=_COUNTS, purchases=_COUNTS, revenue=_AMOUNTS)
    segment = _of(SegmentCount, users=_COUNTS, seen=_COUNTS, monetary_mean=_AMOUNTS)
    activity = _of(
        Activity,
        users=_COUNTS,
        new_users=_COUNTS,
        sessions=_COUNTS,
        session_events_mean=_AMOUNTS,
        session_minutes_mean=_AMOUNTS,
    )
    scores = {f"score_{what}": _AMOUNTS for what in ("mean", "p10", "p50", "p90")}
    return record(
        batch=draw(st.integers(0, 99_999_999)),
        dropped_at=draw(_TIMES),
        outcome=draw(st.sampled_from(["applied", "applied", "applied", "duplicate", "refused"])),
        quarantined=draw(st.dictionaries(_TAGS, _COUNTS, max_size=15)),
        last_event=draw(st.none() | _TIMES),
        events=draw(st.dictionaries(st.sampled_from(EVENT_TYPE_VALUES), types)),
        activity=draw(st.none() | activity),
        segments={one: draw(segment) for one in names if draw(st.booleans())},
        moves=tuple(draw(st.lists(_of(Move, source=name, target=name, users=_COUNTS), max_size=40 if names else 0))),
        crossings=tuple(
            draw(st.lists(_of(Crossing, rfm=st.sampled_from(RFM_VALUES), segment=name, users=_COUNTS), max_size=40))
            if names
            else ()
        ),
        relevance=draw(st.dictionaries(st.sampled_from(RECOMMENDER_VALUES), relevance)),
        lists=draw(st.none() | _of(Lists, users=_COUNTS, products=_COUNTS, diversity=_SHARES, **scores)),
        sources=draw(st.dictionaries(st.sampled_from(SOURCE_VALUES), _COUNTS)),
        top_products=tuple(draw(st.lists(product, max_size=12))),
        top_categories=tuple(draw(st.lists(category, max_size=12))),
        models=draw(st.dictionaries(_TAGS, _TEXTS, max_size=4)),
        seconds=draw(st.dictionaries(_TAGS, _AMOUNTS, max_size=30)),
    )
