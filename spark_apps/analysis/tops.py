"""The products, categories and brands that are viewed and purchased most (SPEC E6)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.schemas import UNKNOWN

PRODUCTS, CATEGORIES, BRANDS = "products", "categories", "brands"
BY_VIEWS, BY_PURCHASES = "by_views", "by_purchases"
TOP = 10
_KEYS = {PRODUCTS: "product_id", CATEGORIES: "category_code", BRANDS: "brand"}
_MEASURES = {BY_VIEWS: "views", BY_PURCHASES: "purchases"}
_PLACES = {BY_VIEWS: "views_place", BY_PURCHASES: "purchases_place"}


def ranked_items(events: DataFrame, keep: int) -> pa.Table:
    """Ranks products, category codes and brands by their views and by their purchases.

    Unknown categories and brands have no rank. Equals stand in the order of product id, or of text.

    Args:
        events: columns of schemas.EVENTS.
        keep: length of each ranking.

    Returns:
        At most 6 * keep rows: `kind`, one of PRODUCTS, CATEGORIES, BRANDS; product_id, category_code, brand, null
        where the kind has none, for products those of the last event; views, carts, purchases; revenue, the sum of
        purchase prices to the cent; views_place and purchases_place, from 1, null where there is no such event.
    """
    ranked = _placed(_summed(events))
    wanted = (F.col("views_place") <= keep) | (F.col("purchases_place") <= keep)
    return ranked.where(wanted).toArrow()  # at most 6 * keep


def top_lists(ranked: pa.Table) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns for each kind the TOP items by views and by purchases, as `ranked_items` ranked them."""
    return {
        kind: {by: [_described(row, kind) for row in _best(ranked, kind, by, TOP).to_pylist()] for by in _MEASURES}
        for kind in _KEYS
    }


def best_items(ranked: pa.Table, kind: str, by: str, keep: int) -> pa.Array:
    """Returns the ids or codes of the best items of a kind, best first."""
    return _best(ranked, kind, by, keep)[_KEYS[kind]].combine_chunks()


def descriptions(ranked: pa.Table) -> dict[int, dict[str, str]]:
    """Returns category code and brand of the ranked products."""
    rows = ranked.filter(pc.field("kind") == PRODUCTS).select(["product_id", "category_code", "brand"]).to_pylist()
    return {row.pop("product_id"): row for row in rows}


def _summed(events: DataFrame) -> DataFrame:
    """One row an item: first over what a product is called, then over each of the three kinds."""
    bought = F.col("event_type") == "purchase"
    per_product = events.groupBy("product_id", "category_code", "brand").agg(
        F.count_if(F.col("event_type") == "view").alias("views"),
        F.count_if(F.col("event_type") == "cart").alias("carts"),
        F.count_if(bought).alias("purchases"),
        F.sum(F.when(bought, F.col("price"))).alias("revenue"),
        F.max("event_time").alias("last_time"),
    )
    described = F.struct("last_time", F.col("category_code").alias("code"), F.col("brand").alias("name"))
    sums = [F.sum(name).alias(name) for name in ("views", "carts", "purchases", "revenue")]
    kinds = [F.grouping(key).alias(f"no_{kind}") for kind, key in _KEYS.items()]
    return (
        per_product.withColumn("described", described)
        .groupingSets([[key] for key in _KEYS.values()], *_KEYS.values())
        .agg(*sums, *kinds, F.max("described").alias("described"))
    )


def _placed(items: DataFrame) -> DataFrame:
    is_product = F.col("no_products") == 0
    kind = F.when(is_product, PRODUCTS).when(F.col("no_categories") == 0, CATEGORIES).otherwise(BRANDS)
    known = items.where(is_product | (F.coalesce("category_code", "brand") != UNKNOWN)).select(
        kind.alias("kind"),
        "product_id",
        F.when(is_product, F.col("described.code")).otherwise(F.col("category_code")).alias("category_code"),
        F.when(is_product, F.col("described.name")).otherwise(F.col("brand")).alias("brand"),
        "views",
        "carts",
        "purchases",
        F.round(F.coalesce("revenue", F.lit(0.0)), 2).alias("revenue"),
    )
    return known.select("*", *(_place(measure).alias(_PLACES[by]) for by, measure in _MEASURES.items()))


def _place(measure: str) -> Column:
    order = Window.partitionBy("kind").orderBy(F.desc(measure), "product_id", "category_code", "brand")
    return F.when(F.col(measure) > 0, F.row_number().over(order))


def _best(ranked: pa.Table, kind: str, by: str, keep: int) -> pa.Table:
    place = _PLACES[by]
    chosen = ranked.filter((pc.field("kind") == kind) & (pc.field(place) <= keep))
    return chosen.sort_by(place)


def _described(row: dict[str, Any], kind: str) -> dict[str, Any]:
    names = ("product_id", "category_code", "brand") if kind == PRODUCTS else (_KEYS[kind],)
    return {name: row[name] for name in (*names, "views", "carts", "purchases", "revenue")}
