"""Funnel, abandonment, frequency, sequences, affinities and top lists, from two passes over the events (SPEC E6).

The first ranks products, categories and brands. The second brings each user's events together and counts there; what
comes back is counts of counts, whose number does not grow with the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.analysis.affinities import (
    AFFINITIES,
    BOUGHT_CATEGORIES,
    BOUGHT_PRODUCTS,
    MAX_BASKET,
    MAX_ITEMS,
    MIN_TOGETHER,
    VIEWED_CATEGORIES,
    VIEWED_PRODUCTS,
    Together,
    count_together,
    least_together,
    rules,
)
from spark_apps.analysis.funnels import (
    DAYS_PER_USER,
    PAIRS,
    SESSIONS,
    SESSIONS_PER_USER,
    USERS,
    abandonment,
    count_frequencies,
    count_units,
    frequency,
    funnel,
)
from spark_apps.analysis.sequences import count_sequences, describe_sequences
from spark_apps.analysis.tops import (
    BY_PURCHASES,
    BY_VIEWS,
    CATEGORIES,
    PRODUCTS,
    best_items,
    descriptions,
    ranked_items,
    top_lists,
)
from spark_apps.analysis.visits import STEPS, Ints, sorted_visits, whole_users

# A task holds so many events, some 100 bytes each, or one user's if there are more.
EVENTS_HELD = 250_000
_UNITS = (USERS, SESSIONS, PAIRS)
_FREQUENCIES = (SESSIONS_PER_USER, DAYS_PER_USER)
_SEQUENCES = "sequences"
# Baskets that count, and baskets that are too large, under the affinity's own name and these.
_BASKETS, _TOO_LARGE = " baskets", " too large"
_FIGURES = (
    *_UNITS,
    *_FREQUENCIES,
    _SEQUENCES,
    *AFFINITIES,
    *(name + end for name in AFFINITIES for end in (_BASKETS, _TOO_LARGE)),
)
_COUNTS = pa.schema([("figure", pa.int32()), ("key", pa.int64()), ("count", pa.int64())])
_CANDIDATES = {
    VIEWED_PRODUCTS: (PRODUCTS, BY_VIEWS),
    BOUGHT_PRODUCTS: (PRODUCTS, BY_PURCHASES),
    VIEWED_CATEGORIES: (CATEGORIES, BY_VIEWS),
    BOUGHT_CATEGORIES: (CATEGORIES, BY_PURCHASES),
}


def describe_behaviour(events: DataFrame) -> dict[str, Any]:
    """Computes what users do in the shop; every count is exact.

    A session is one user's events of one session id. The rules of each part stand in its module: `funnels`,
    `sequences`, `affinities`, `tops`.

    Args:
        events: columns of schemas.EVENTS.

    Returns:
        funnel and cart_abandonment, each for users, sessions and pairs (of user and product); visit_frequency;
        sequences; affinities; top.
    """
    ranked = ranked_items(events, MAX_ITEMS)
    candidates = {name: best_items(ranked, kind, by, MAX_ITEMS) for name, (kind, by) in _CANDIDATES.items()}
    counts = _counts(events, candidates)
    units = {unit: _of(counts, unit) for unit in _UNITS}
    return {
        "funnel": {unit: funnel(units[unit]) for unit in _UNITS},
        "cart_abandonment": {unit: abandonment(units[unit]) for unit in _UNITS},
        "visit_frequency": {name: frequency(_of(counts, name)) for name in _FREQUENCIES},
        _SEQUENCES: describe_sequences(_of(counts, _SEQUENCES)),
        "affinities": {name: _affinity(counts, name, candidates[name], descriptions(ranked)) for name in AFFINITIES},
        "top": top_lists(ranked),
    }


def _counts(events: DataFrame, candidates: dict[str, pa.Array]) -> pa.Table:
    """Counts everything that is counted per user, in one pass.

    At most 120,000 sequences, MAX_ITEMS^2 / 2 pairs of each affinity that are in MIN_TOGETHER baskets, one row for
    each date, and sqrt(2 * sessions) numbers of sessions come back.
    """
    counting = partial(_count_partition, candidates)
    counted = (
        _narrowed(events)
        .repartition("user_id")
        .sortWithinPartitions("user_id")
        .mapInArrow(counting, from_arrow_schema(_COUNTS))
        .groupBy("figure", "key")
        .agg(F.sum("count").alias("count"))
    )
    affinities = F.col("figure").isin([_FIGURES.index(name) for name in AFFINITIES])
    return counted.where(~affinities | (F.col("count") >= MIN_TOGETHER)).toArrow()


def _narrowed(events: DataFrame) -> DataFrame:
    kind = F.array_position(F.array(*map(F.lit, STEPS)), F.col("event_type")) - 1
    return events.select(
        "user_id",
        "user_session",
        F.unix_seconds("event_time").alias("seconds"),
        kind.cast("byte").alias("kind"),
        "product_id",
        "category_code",
    )


def _count_partition(candidates: dict[str, pa.Array], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for events in whole_users(batches, EVENTS_HELD):
        yield from _count_users(events, candidates).to_batches()


def _count_users(events: pa.Table, candidates: dict[str, pa.Array]) -> pa.Table:
    visits = sorted_visits(events)
    found: dict[str, tuple[Ints, Ints]] = {**count_units(visits), **count_frequencies(visits)}
    found[_SEQUENCES] = count_sequences(visits)
    for name, together in count_together(visits, candidates).items():
        found[name] = (together.cells, together.counts)
        found[name + _BASKETS] = (np.zeros(1, np.int64), np.array([together.baskets]))
        found[name + _TOO_LARGE] = (np.zeros(1, np.int64), np.array([together.too_large]))
    figure = np.repeat([_FIGURES.index(name) for name in found], [len(keys) for keys, _ in found.values()])
    columns = (figure, *(np.concatenate([pair[side] for pair in found.values()]) for side in (0, 1)))
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, _COUNTS, strict=True)], _COUNTS)


def _of(counts: pa.Table, figure: str) -> dict[int, int]:
    rows = counts.filter(pc.field("figure") == _FIGURES.index(figure))
    return dict(zip(rows["key"].to_pylist(), rows["count"].to_pylist(), strict=True))


def _affinity(counts: pa.Table, name: str, candidates: pa.Array, products: dict[int, dict[str, str]]) -> dict[str, Any]:
    rows = counts.filter(pc.field("figure") == _FIGURES.index(name)).sort_by("key")
    baskets, too_large = (sum(_of(counts, name + end).values()) for end in (_BASKETS, _TOO_LARGE))
    together = Together(baskets, too_large, rows["key"].to_numpy(), rows["count"].to_numpy())
    named = _product_namer(products) if name in (VIEWED_PRODUCTS, BOUGHT_PRODUCTS) else _category
    items = candidates.to_pylist()
    return {
        "baskets": baskets,
        "too_large": too_large,
        "largest_basket": MAX_BASKET,
        "candidates": len(items),
        "least_together": least_together(baskets),
        "rules": [{**rule, "a": named(items[rule["a"]]), "b": named(items[rule["b"]])} for rule in rules(together)],
    }


def _product_namer(products: dict[int, dict[str, str]]) -> Callable[[int], dict[str, Any]]:
    return lambda product: {"product_id": product, **products[product]}


def _category(code: str) -> dict[str, Any]:
    return {"category_code": code}
