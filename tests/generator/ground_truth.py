"""The ground truth behind synthetic events: how near a model can come to the best possible.

The chance that a user's next product is p: sum over the user's favourites f of

    weight(f) * ((1 - ROAMING) * share of p in the taste group of f + ROAMING * share of p in its category)

and (1 - the sum of the weights) * share of p in all events, where a share is the product's weight over the sum of all
products' weights.
Looks aside (tastes.ASIDE_WEIGHTS) come on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from spark_apps.generator.catalogue import catalogue
from spark_apps.generator.categories import BRAND_SLOTS, REST_SLOT, shop
from spark_apps.generator.clock import month_number
from spark_apps.generator.hashing import Ints
from spark_apps.generator.population import user_numbers
from spark_apps.generator.products import PRICE_LEVELS, first_products
from spark_apps.generator.tables import decimals
from spark_apps.generator.tastes import FAVOURITE_WEIGHTS, Tastes


def user_tastes(seed: int, user_ids: Ints | Sequence[int]) -> pa.Table:
    """What users like, the same in every month.

    Args:
        seed: the seed that the events were made with.
        user_ids: ids as they stand in the events.

    Returns:
        One row per user and favourite, in the order of user_ids, strongest favourite first: user_id,
        favourite (from 0), weight (share of the user's sessions; what lacks to 1 is exploration),
        category_id, category_code (null where missing), brand (null where the user goes for products without
        a brand or for the category's small brands), price_level (0 the cheapest third of the brand), and
        taste_group (joins `product_weights`).

    Raises:
        ValueError: an id that no user of this seed has.
    """
    ids = np.asarray(user_ids, dtype=np.int64)
    place, favourites = shop(), len(FAVOURITE_WEIGHTS)
    users = np.repeat(user_numbers(seed, ids), favourites)
    favourite = np.tile(np.arange(favourites), len(ids))
    tastes = Tastes(seed, first_products(seed)[1])
    category = tastes.categories(users, favourite)
    group = tastes.taste_groups(users, category)
    slot = group // PRICE_LEVELS % BRAND_SLOTS
    brand = np.where(slot == REST_SLOT, place.no_brand, place.brand[category, slot])
    return pa.table(
        {
            "user_id": np.repeat(ids, favourites),
            "favourite": favourite,
            "weight": np.tile(FAVOURITE_WEIGHTS, len(ids)),
            **place.category_columns(category),
            "brand": place.brand_column(brand),
            "price_level": group % PRICE_LEVELS,
            "taste_group": group,
        }
    )


def product_weights(seed: int, month: str) -> pa.Table:
    """The products on sale in a month and what draws people to them.

    Args:
        seed: the seed that the events were made with.
        month: such as "2019-10".

    Returns:
        One row per product: product_id, category_id, category_code, brand (both null where missing), price
        (its usual one), taste_group, released (months since October 2019) and weight.

    Raises:
        ValueError: not a month of the generator.
    """
    goods = catalogue(seed, month_number(month))
    products, place = goods.products, shop()
    return pa.table(
        {
            "product_id": goods.product_id,
            **place.category_columns(products.category),
            "brand": place.brand_column(products.brand),
            "price": decimals(products.cents),
            "taste_group": products.group,
            "released": products.released,
            "weight": products.weight,
        }
    )
