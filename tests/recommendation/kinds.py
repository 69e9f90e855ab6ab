"""The affinity by another road: one product of one user at a time, straight from the formula."""

from __future__ import annotations

from spark_apps.recommendation.affinity import EVERYBODY, PRIOR
from spark_apps.recommendation.catalogue import Catalogue


def affinity_by_hand(goods: Catalogue, row: dict[int, float], place: int) -> float:
    """One user's affinity to one product.

    Args:
        goods: the catalogue.
        row: the user's score of each place.
        place: of the product.
    """
    popularity = [max(points, 0.0) + PRIOR for points in goods.popularity.tolist()]
    liked = {touched: score for touched, score in row.items() if score > 0}
    chances = []
    for group in (goods.category, goods.branded, goods.content_class):
        like = [other for other in range(len(goods)) if group[other] == group[place]]
        cared = sum(score for touched, score in liked.items() if touched in like) / max(1e-12, sum(liked.values()))
        chances.append(cared * popularity[place] / sum(popularity[other] for other in like))
    return (1 - EVERYBODY) * sum(chances) / 3 + EVERYBODY * popularity[place] / sum(popularity)
