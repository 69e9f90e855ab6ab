"""Figures that tasks add up in parts, and the whole that the driver makes of the parts.

Users stand in one bucket each, so numbers of users and sessions of several buckets add up. What comes back to the
driver grows with the batch's products and windows, not with its users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.features.grouping import COUNTED_TYPES, grouped, summed
from spark_apps.features.products import merge_descriptions
from spark_apps.schemas import EVENT_TYPES
from spark_apps.streaming.records import (
    Activity,
    Crossing,
    Lists,
    Move,
    RankedCategory,
    RankedProduct,
    Relevance,
    SegmentCount,
    TypeCount,
)

_SUMMED = ("events", *COUNTED_TYPES.values())


RELEVANCE = pa.schema(
    [("recommender", pa.string()), ("trials", pa.int64()), ("hits", pa.int64()), ("reciprocal_ranks", pa.float64())]
)


@dataclass
class Relevances:
    """Trials, hits and reciprocal ranks of one recommender, while they are counted."""

    trials: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0

    def judge(self, listed: Sequence[int], products: Sequence[int]) -> None:
        """Counts one user's list against the products that the user wanted."""
        places = {product: place for place, product in enumerate(listed, start=1)}
        ranks = [places[product] for product in products if product in places]
        self.trials += len(products)
        self.hits += len(ranks)
        self.reciprocal_ranks += sum(1 / rank for rank in ranks)


@dataclass
class Answered:
    """What the lists of a part of the users are like, and where its users went.

    Attributes:
        gains: segment, product_id, score: how much scores rose.
        moves: (old, new) segment of known users -> users.
        arrived: segments of new users -> users.
        crossed: (RFM group, segment) -> users of the batch.
        sums: of the users nearest to each centre, in standard deviations; nearest: their numbers.
        seen: segment -> users of the batch; spent: segment -> their monetary, added up.
        lists: users with a list; sources: what speaks for the places in them -> places.
        diversity: sum over the lists of the share of different categories.
        scores: of places, evenly spread; products: different ones in all lists.
    """

    gains: list[pa.Table] = field(default_factory=list)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    arrived: Counter[str] = field(default_factory=Counter)
    crossed: Counter[tuple[str, str]] = field(default_factory=Counter)
    sums: Any = 0.0
    nearest: Any = 0
    seen: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)
    lists: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    diversity: float = 0.0
    scores: Any = field(default_factory=lambda: np.zeros(0, np.float32))
    products: Any = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Learned:
    """The whole of what `user_update.learn` tells of its buckets.

    Attributes:
        types: event type -> figures, all four types.
        windows: columns of schemas.STREAM_WINDOWS without batch.
        products: columns of schemas.STREAM_PRODUCTS without batch, and revenue.
        activity: the batch's users and sessions.
        relevance: recommender -> figures.
    """

    types: dict[str, TypeCount]
    windows: pa.Table
    products: pa.Table
    activity: Activity
    relevance: dict[str, Relevance]


def learned_of(counted: Mapping[str, pa.Table], relevance: pa.Table) -> Learned:
    """Puts the buckets' figures together.

    Args:
        counted: what `user_update.learn` counted in all buckets, by the names of user_update.COUNTED.
        relevance: columns of RELEVANCE.
    """
    judged = grouped(relevance, ["recommender"], summed("trials", "hits", "reciprocal_ranks"))
    return Learned(
        _types(counted["event_types"]),
        grouped(counted["windows"], ["window_start"], summed(*_SUMMED, "revenue")),
        merge_descriptions(counted["batch_products"]),
        _activity(counted["activity"]),
        {row.pop("recommender"): Relevance(**row) for row in judged.to_pylist()},
    )


def _types(parts: pa.Table) -> dict[str, TypeCount]:
    summed_up = grouped(parts, ["event_type"], summed("events", "users", "priced", "value"))
    rows = {row["event_type"]: row for row in summed_up.to_pylist()}
    none = {"events": 0, "users": 0, "priced": 0, "value": 0.0}
    return {
        kind: TypeCount(**{name: rows[kind][name] for name in none} if kind in rows else none) for kind in EVENT_TYPES
    }


def _activity(parts: pa.Table) -> Activity:
    total = {name: pc.sum(parts[name]).as_py() for name in parts.column_names}
    sessions = max(1, total["sessions"])
    return Activity(
        users=total["users"],
        new_users=total["new_users"],
        sessions=total["sessions"],
        session_events_mean=total["session_events"] / sessions,
        session_minutes_mean=total["session_seconds"] / 60 / sessions,
    )


def answered_of(parts: Sequence[Answered], clusters: int, features: int) -> Answered:
    """Puts the parts' figures of segments and lists together.

    Args:
        parts: of blocks of users.
        clusters: how many there are.
        features: that they are made of.
    """
    whole = Answered(sums=np.zeros((clusters, features)), nearest=np.zeros(clusters, np.int64))
    for part in parts:
        whole.gains += part.gains
        whole.sums[: len(part.sums)] += part.sums
        whole.nearest[: len(part.nearest)] += part.nearest
        whole.lists += part.lists
        whole.diversity += part.diversity
        for name in ("moves", "arrived", "crossed", "seen", "spent", "sources"):
            getattr(whole, name).update(getattr(part, name))
    whole.scores = np.concatenate([whole.scores, *(part.scores for part in parts)])
    whole.products = np.unique(np.concatenate([whole.products, *(part.products for part in parts)]))
    return whole


def gains_of(whole: Answered) -> pa.Table:
    """Returns how much the scores of each segment's users rose: segment, product_id, score."""
    none = pa.schema([("segment", pa.string()), ("product_id", pa.int64()), ("score", pa.float64())]).empty_table()
    return grouped(pa.concat_tables([none, *whole.gains]), ["segment", "product_id"], summed("score"))


def lists_of(whole: Answered) -> Lists:
    """Describes a batch's lists; quantiles are those of an even sample of the scores."""
    scores = whole.scores if len(whole.scores) else np.zeros(1, np.float32)
    p10, p50, p90 = (float(value) for value in np.quantile(scores, [0.1, 0.5, 0.9]))
    return Lists(
        users=whole.lists,
        products=len(whole.products),
        diversity=whole.diversity / max(1, whole.lists),
        score_mean=float(scores.mean()),
        score_p10=p10,
        score_p50=p50,
        score_p90=p90,
    )


def crossings_of(whole: Answered) -> tuple[Crossing, ...]:
    """Returns the batch's users by RFM group and segment, in the order of the names."""
    return tuple(
        Crossing(rfm=rfm, segment=segment, users=users) for (rfm, segment), users in sorted(whole.crossed.items())
    )


@dataclass(frozen=True)
class Evolution:
    """How the segments changed with a batch: see records.BatchRecord."""

    users: dict[str, int]
    segments: dict[str, SegmentCount]
    moves: tuple[Move, ...]
    known: int
    change_rate: float
    shift: float


def evolution_of(before: Mapping[str, int], whole: Answered) -> Evolution:
    """Works out how segments changed.

    Args:
        before: segment -> users, before the batch.
        whole: the batch's figures.
    """
    after = Counter(before)
    after.update(whole.arrived)
    for (source, target), users in whole.moves.items():
        after[source] -= users
        after[target] += users
    moved, known = sum(whole.moves.values()), sum(whole.seen.values()) - sum(whole.arrived.values())
    return Evolution(
        users=dict(after),
        segments={
            name: SegmentCount(
                users=users, seen=whole.seen[name], monetary_mean=float(whole.spent[name]) / max(1, whole.seen[name])
            )
            for name, users in sorted(after.items())
        },
        moves=tuple(Move(source=a, target=b, users=users) for (a, b), users in sorted(whole.moves.items())),
        known=known,
        change_rate=moved / max(1, known),
        shift=_shift(before, after),
    )


def _shift(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Half the sum of absolute changes of shares."""
    totals = [max(1, sum(counts.values())) for counts in (before, after)]
    return sum(abs(after[name] / totals[1] - before.get(name, 0) / totals[0]) for name in after) / 2


def ranked_products(products: pa.Table, most: int) -> tuple[RankedProduct, ...]:
    """Returns the products with most points, 3 a purchase, 2 a cart, 1 a view; of equals the lowest ids.

    Args:
        products: from `learned_of`.
        most: how many.
    """
    points = pc.add(pc.add(pc.multiply(products["purchases"], 3), pc.multiply(products["carts"], 2)), products["views"])
    ranked = products.append_column("points", points).sort_by([("points", "descending"), ("product_id", "ascending")])
    return tuple(
        RankedProduct(
            product_id=row["product_id"],
            category=row["category_code"],
            brand=row["brand"],
            points=row["points"],
            events=row["events"],
        )
        for row in ranked.slice(0, most).to_pylist()
    )


def ranked_categories(products: pa.Table, most: int) -> tuple[RankedCategory, ...]:
    """Returns the categories with most events; of equals the first by name.

    Args:
        products: from `learned_of`.
        most: how many.
    """
    rows = grouped(products, ["category_code"], summed("events", "purchases", "revenue")).to_pylist()
    best = sorted(rows, key=lambda row: (-row["events"], row["category_code"]))[:most]
    return tuple(
        RankedCategory(
            category=row["category_code"],
            events=row["events"],
            purchases=row["purchases"],
            revenue=row["revenue"],
        )
        for row in best
    )
