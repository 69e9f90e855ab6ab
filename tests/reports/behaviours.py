"""What users do, as `shopstream analyze` tells it."""

from __future__ import annotations

from typing import Any


def _funnel(viewed: int, carted: int, purchased: int, without_cart: int) -> dict[str, Any]:
    return {
        "viewed": viewed,
        "carted": carted,
        "purchased": purchased,
        "purchased_without_cart": without_cart,
        "view_to_cart": carted / viewed if viewed else None,
        "cart_to_purchase": purchased / carted if carted else None,
        "view_to_purchase": (purchased + without_cart) / viewed if viewed else None,
    }


def _abandonment(carts: int, left: int) -> dict[str, Any]:
    return {"with_cart": carts, "without_purchase": left, "rate": left / carts if carts else None}


def _paths(*rows: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"sequence": path, "sessions": count, "share": count / 2_178_454} for path, count in rows]


def _affinity(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    rule = {"together": 812, "baskets_a": 1_500, "baskets_b": 4_000, "support": 0.000_81, "confidence": 0.5413}
    other = {**rule, "together": 400, "lift": 20.5}
    return {
        "baskets": 1_000_000,
        "too_large": 312,
        "largest_basket": 50,
        "candidates": 1000,
        "least_together": 100,
        "rules": [{"a": a, "b": b, **rule, "lift": 135.3}, {"a": b, "b": a, **other}],
    }


def _item(views: int, purchases: int, **names: Any) -> dict[str, Any]:
    return {**names, "views": views, "carts": purchases + 7, "purchases": purchases, "revenue": 99.5 * purchases}


PHONE = {"product_id": 1_004_856, "category_code": "electronics.smartphone", "brand": "samsung"}
CASE = {"product_id": 1_004_900, "category_code": "electronics.cover", "brand": "spigen"}
BEHAVIOUR: dict[str, Any] = {
    "funnel": {
        "users": _funnel(701_003, 90_017, 70_009, 12_011),
        "sessions": _funnel(2_170_001, 180_002, 120_003, 9_004),
        "pairs": _funnel(5_000_001, 201_002, 150_003, 8_004),
    },
    "cart_abandonment": {
        "users": _abandonment(91_001, 20_002),
        "sessions": _abandonment(181_003, 61_005),
        "pairs": _abandonment(202_001, 52_003),
    },
    "visit_frequency": {
        name: {
            "users": 712_289,
            "mean": mean,
            "median": 2.0,
            "p90": 6.0,
            "max": most,
            "distribution": {"1": 300_000, "2": 112_289, "6-10": 200_000, "51+": 100_000},
        }
        for name, mean, most in (("sessions_per_user", 3.058, 411), ("days_per_user", 2.76, 31))
    },
    "sequences": {
        "sessions": 2_178_454,
        "distinct": 1_912,
        "top": _paths(("view", 900_001), ("view>view", 800_002), ("view>view>cart>purchase", 20_003)),
        "to_purchase": _paths(
            ("view>view>cart>purchase", 20_003), ("view>cart>purchase>view>cart>remove_from_cart", 77)
        ),
    },
    "affinities": {
        "viewed_products": _affinity(CASE, PHONE),
        "bought_products": _affinity(CASE, PHONE),
        "viewed_categories": _affinity({"category_code": "sport.trainer"}, {"category_code": "sport.bicycle"}),
        "bought_categories": _affinity({"category_code": "sport.trainer"}, {"category_code": "sport.bicycle"}),
    },
    "top": {
        kind: {
            "by_views": [_item(9_000, 10, **first), _item(4_000, 20, **second)],
            "by_purchases": [_item(4_000, 20, **second), _item(9_000, 10, **first)],
        }
        for kind, first, second in (
            ("products", PHONE, CASE),
            ("categories", {"category_code": "electronics.smartphone"}, {"category_code": "electronics.cover"}),
            ("brands", {"brand": "samsung"}, {"brand": "spigen"}),
        )
    },
}
NOTHING: dict[str, Any] = {
    "funnel": dict.fromkeys(BEHAVIOUR["funnel"], _funnel(0, 0, 0, 0)),
    "cart_abandonment": dict.fromkeys(BEHAVIOUR["funnel"], _abandonment(0, 0)),
    "visit_frequency": {
        name: {"users": 0, "mean": None, "median": None, "p90": None, "max": None, "distribution": {}}
        for name in BEHAVIOUR["visit_frequency"]
    },
    "sequences": {"sessions": 0, "distinct": 0, "top": [], "to_purchase": []},
    "affinities": {name: {**found, "baskets": 0, "rules": []} for name, found in BEHAVIOUR["affinities"].items()},
    "top": {kind: {"by_views": [], "by_purchases": []} for kind in BEHAVIOUR["top"]},
}
