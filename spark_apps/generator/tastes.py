"""What users like: favourite categories, brands and a price level that last over sessions and months.

Every figure here is a pure function of (seed, user number). Averaged over users, categories, brands and
price levels come out with their share of the whole log, so personal tastes do not bend the totals:

- Favourite categories: the strongest is drawn from all, the others nearly always from its department.
- Brand: each user likes every brand to a lasting degree (an exponential race weighted by the brand's share),
  so that who prefers a brand in one category tends to prefer it in the next.
- Price level: one level per user, which in three categories of ten gives way to a level of its own.

What cannot be learnt: the sessions in a random category (what FAVOURITE_WEIGHTS lack to 1), the looks at products
outside the user's taste group (ROAMING), and which product of a group comes next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_apps.generator.categories import BRAND_SLOTS, category_at, shop
from spark_apps.generator.hashing import Floats, Ints, Purpose, chances
from spark_apps.generator.products import PRICE_LEVELS, Groups

# Share of a user's sessions in each favourite category; the rest are in a random category.
FAVOURITE_WEIGHTS = (0.42, 0.25, 0.17, 0.11)
# The same for looks aside in the middle of a session.
ASIDE_WEIGHTS = (0.25, 0.25, 0.25, 0.20)
# Share of the products looked at that come from anywhere in the category.
ROAMING = 0.05

_SAME_DEPARTMENT = 0.95
_OWN_LEVEL = 0.3


@dataclass(frozen=True)
class Tastes:
    """Reads users' tastes.

    Attributes:
        seed: the generator's seed.
        groups: the taste groups of that seed.
    """

    seed: int
    groups: Groups

    def categories(self, users: Ints, favourites: Ints) -> Ints:
        """Favourite categories.

        Args:
            users: user numbers.
            favourites: which favourite of each, 0 the strongest.

        Returns:
            Index into the shop's categories per user.
        """
        place = shop()
        first = category_at(chances(self.seed, Purpose.FAVOURITE, users, 0))
        same = chances(self.seed, Purpose.SAME_DEPARTMENT, users, favourites) < _SAME_DEPARTMENT
        near = same & (favourites > 0)
        low = np.where(near, place.department_start[first], 0.0)
        high = np.where(near, place.department_end[first], 1.0)
        return category_at(low + (high - low) * chances(self.seed, Purpose.FAVOURITE, users, favourites))

    def taste_groups(self, users: Ints, categories: Ints) -> Ints:
        """The taste group that each user looks at in a category.

        Args:
            users: user numbers.
            categories: category per user.

        Returns:
            Group numbers as in `Products.group`.
        """
        slot = self._brand_slots(users, categories)
        taste = self._price_tastes(users, categories)
        cuts = self.groups.level_cuts[categories, slot]
        level = (taste[:, None] >= cuts).sum(axis=1)
        return np.asarray((categories * BRAND_SLOTS + slot) * PRICE_LEVELS + level, dtype=np.int64)

    def _brand_slots(self, users: Ints, categories: Ints) -> Ints:
        place = shop()
        # No brand, or the small brands of a category, are no taste to carry to the next one.
        own = -1 - (categories[:, None] * BRAND_SLOTS + np.arange(BRAND_SLOTS))
        brand = place.brand[categories]
        key = np.where(brand == place.no_brand, own, brand)
        waiting = -np.log(chances(self.seed, Purpose.BRAND_TASTE, users[:, None], key))
        with np.errstate(divide="ignore"):
            return np.asarray(np.argmin(waiting / self.groups.slot_share[categories], axis=1))

    def _price_tastes(self, users: Ints, categories: Ints) -> Floats:
        usual = chances(self.seed, Purpose.PRICE_TASTE, users)
        other = chances(self.seed, Purpose.OTHER_PRICE_TASTE, users, categories)
        exception = chances(self.seed, Purpose.PRICE_EXCEPTION, users, categories) < _OWN_LEVEL
        return np.where(exception, other, usual)
