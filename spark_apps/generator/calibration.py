"""What was measured on the real log, read from calibration.json beside this file (SPEC D7).

Source: 'eCommerce behavior data from multi category store', REES46 Marketing Platform / Open CDP,
published on Kaggle by M. Kechinov. The file holds shares and totals, none of the log's rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class Category:
    """One category of the shop.

    Attributes:
        category_id: 19 digits.
        code: the dotted name, None where the log has none.
        share: share of all events.
        products_seen: distinct products among 42,448 events of the whole log.
        prices: 5 %, 50 % and 95 % quantile of the price over events, in the log's currency.
        brands: share of the category's events per brand; "" is a missing brand.
    """

    category_id: int
    code: str | None
    share: float
    products_seen: float
    prices: tuple[float, float, float]
    brands: Mapping[str, float]


@dataclass(frozen=True)
class Calibration:
    """The measured figures.

    Attributes:
        categories: those listed, largest share first.
        tail_categories: how many more the log has.
        tail_share: their share of all events together.
        october: totals of October 2019 as read from the file.
        window: transitions inside sessions, from the first 170 minutes of 1 October 2019.
        popularity: share of events of the top k products in a sample of 42,448 events.
    """

    categories: tuple[Category, ...]
    tail_categories: int
    tail_share: float
    october: Mapping[str, Any]
    window: Mapping[str, Any]
    popularity: Mapping[str, Any]


@lru_cache(maxsize=1)
def load_calibration() -> Calibration:
    """Reads the measured figures.

    Returns:
        The calibration, the same object on every call.
    """
    raw = json.loads(_FILE.read_text(encoding="utf-8"))
    categories = tuple(_category(entry) for entry in raw["categories"])
    return Calibration(
        categories=categories,
        tail_categories=raw["category_ids_seen"] - len(categories),
        tail_share=raw["category_tail_share"],
        october=raw["october"],
        window=raw["first_170_minutes"],
        popularity=raw["product_popularity"],
    )


def _category(entry: Mapping[str, Any]) -> Category:
    low, middle, high = entry["price_p05_p50_p95"]
    return Category(
        category_id=int(entry["category_id"]),
        code=entry["category_code"],
        share=entry["share"],
        products_seen=entry["products_seen"],
        prices=(low, middle, high),
        brands=entry["brands"],
    )
