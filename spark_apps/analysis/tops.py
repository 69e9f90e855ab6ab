"""The products, categories and brands that are viewed and purchased most (SPEC E6)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.analysis.affinities import Item

PRODUCTS, CATEGORIES, BRANDS = "products", "categories", "brands"
BY_VIEWS, BY_PURCHASES = "by_views", "by_purchases"
TOP = 10
_KEYS = {PRODUCTS: "product_id", CATEGORIES: "category_code", BRANDS: "brand"}
_MEASURES = {BY_VIEWS: "views", BY_PURCHASES: "purchases"}
# What an item is, and what is known of it: category code and brand null where the kind has none, for products those of
# the last event; revenue, the sum of purchase prices to the cent.
ITEMS = pa.schema(
    [
        ("kind", pa.string()),
        ("product_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        *((name, pa.int64()) for name in ("views", "carts", "purchases")),
        ("revenue", pa.float64()),
    ]
)


class TopItem(Item):
    """An item with its events, and the sum of its purchase prices in the log's currency."""

    views: int
    carts: int
    purchases: int
    revenue: float


def top_lists(ranked: pa.Table) -> dict[str, dict[str, list[TopItem]]]:
    """Returns for each kind the TOP items by views and by purchases.

    Unknown categories and brands have no rank. Equals stand in the order of product id, or of text.

    Args:
        ranked: columns ITEMS; the first TOP items of each ranking, and perhaps others.
    """
    return {
        kind: {by: [_described(row, kind) for row in _best(ranked, kind, by, TOP).to_pylist()] for by in _MEASURES}
        for kind in _KEYS
    }


def best_items(ranked: pa.Table, kind: str, by: str, keep: int) -> pa.Array:
    """Returns the ids or codes of the best items of a kind, best first; columns ITEMS, as `top_lists` takes them."""
    return _best(ranked, kind, by, keep)[_KEYS[kind]].combine_chunks()


def ranked_products(ranked: pa.Table) -> dict[int, Item]:
    """Returns the ranked products by their id, with category code and brand."""
    rows = ranked.filter(pc.field("kind") == PRODUCTS).select(["product_id", "category_code", "brand"]).to_pylist()
    return {row["product_id"]: Item(**row) for row in rows}


def _best(ranked: pa.Table, kind: str, by: str, keep: int) -> pa.Table:
    measure, key = _MEASURES[by], _KEYS[kind]
    chosen = ranked.filter((pc.field("kind") == kind) & (pc.field(measure) > 0))
    return chosen.sort_by([(measure, "descending"), (key, "ascending")]).slice(0, keep)


def _described(row: dict[str, Any], kind: str) -> TopItem:
    names = ("product_id", "category_code", "brand") if kind == PRODUCTS else (_KEYS[kind],)
    return TopItem(**{name: row[name] for name in (*names, "views", "carts", "purchases", "revenue")})
