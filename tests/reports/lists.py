"""What stands in every user's list, and how models compare."""

from __future__ import annotations

import math
from typing import Any

PRODUCTS = (
    ("electronics.smartphone", "samsung"),
    ("electronics.smartphone", "apple"),
    ("electronics.audio.headphone", "xiaomi"),
    (None, None),
    ("appliances.kitchen.refrigerators", "lucente"),
)


def _named(*names: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "recommendations": 900_000 // (place + 1), "mean_score": 0.3 + 0.01 * place}
        for place, name in enumerate(names)
    ]


LISTS: dict[str, Any] = {
    "recommendations": 7_001_180,
    "sources": [
        {"source": "als", "recommendations": 7_000_000, "lowest": 0.0, "mean": 0.41, "highest": 1.0, "compared": True},
        {
            "source": "popularity",
            "recommendations": 1_180,
            "lowest": 3.0,
            "mean": 812.5,
            "highest": 9_000.0,
            "compared": False,
        },
    ],
    "scores": {
        "bins": [round(0.05 * edge, 2) for edge in range(21)],
        "counts": [round(900_000 * math.exp(-((edge - 12) ** 2) / 30)) for edge in range(20)],
    },
    "user_scores": {"bins": [0.0, 0.25, 0.5, 1.0], "counts": [300_118, 300_000, 100_000]},
    "prices": {
        "bins": [70.0, 100.0, 150.0, 200.0],
        "counts": [1_000_180, 4_000_000, 2_000_000],
        "score_mean": [0.31, 0.42, None],
        "score_p10": [0.11, 0.12, None],
        "score_p90": [0.61, 0.72, None],
    },
    "unpriced": 1_000,
    "categories": _named("electronics.smartphone", "appliances.kitchen.refrigerators"),
    "unknown_categories": 2_000_000,
    "brands": _named("samsung", "apple"),
    "unknown_brands": 0,
    "top_products": [
        {"product_id": 1_004_856 + place, "users": 90_211 // (place + 1), "category_code": code, "brand": brand}
        for place, (code, brand) in enumerate(PRODUCTS)
    ],
}


def _measures(ndcg: float, hits: float) -> dict[str, Any]:
    return {
        "hit_rate_sampled": {"value": hits, "low": hits - 0.02, "high": hits + 0.02},
        "ndcg": {"value": ndcg, "low": ndcg - 0.004, "high": ndcg + 0.004},
        "catalogue_coverage": {"value": 0.25, "low": None, "high": None},
    }


COMPARISON: dict[str, Any] = {
    "comparison": {
        "popularity": _measures(0.0241, 0.6312),
        "als": _measures(0.1123, 0.8014),
        "hybrid": _measures(0.1312, 0.8411),
    },
    "judged": "hybrid",
    "differences": {"als": {"ndcg": {"value": 0.0189, "low": 0.0151, "high": 0.0227}}},
    "conditions": {"k": 10, "negatives": 99, "users_evaluated": 5_000, "cutoff": "2019-10-25T21:09:18+00:00"},
}
