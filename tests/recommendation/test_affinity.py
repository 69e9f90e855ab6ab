"""Affinities are the formula's, add up to 1, and favour the kinds that a user cares for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.recommendation.affinity import EVERYBODY, Affinity
from spark_apps.recommendation.catalogue import Catalogue
from tests.recommendation.catalogues import catalogue, histories
from tests.recommendation.kinds import affinity_by_hand


def test_affinities_are_the_formula_s_and_add_up_to_one() -> None:
    goods = catalogue(30)
    users = histories(12, len(goods))
    everything = np.broadcast_to(np.arange(len(goods)), (len(users), len(goods)))
    affinity = Affinity.of(goods)
    found = affinity.affinities(affinity.shares_of(users), everything)
    for user in range(len(users)):
        inside = slice(users.offsets[user], users.offsets[user + 1])
        row = dict(zip(users.places[inside].tolist(), users.scores[inside].tolist(), strict=True))
        expected = [affinity_by_hand(goods, row, place) for place in range(len(goods))]
        np.testing.assert_allclose(found[user], expected)
        assert found[user].sum() == pytest.approx(1.0 if max(row.values()) > 0 else EVERYBODY)


def test_who_likes_nothing_has_everybody_s_affinities() -> None:
    goods = catalogue(30)
    users = replace(histories(3, len(goods)), scores=np.zeros(int(histories(3, len(goods)).offsets[-1]), np.float32))
    affinity = Affinity.of(goods)
    found = affinity.affinities(affinity.shares_of(users), np.broadcast_to(np.arange(30), (3, 30)))
    np.testing.assert_allclose(found, np.broadcast_to(EVERYBODY * affinity.overall, (3, 30)))
    assert (affinity.groupings[0].favourites(affinity.shares_of(users)[0], 4) == -1).all()


def test_favourites_are_the_groups_with_the_largest_shares() -> None:
    goods = catalogue(60)
    users = histories(20, len(goods))
    for grouping in Affinity.of(goods).groupings:
        sparse = grouping.shares_of(users)
        shares = sparse.toarray()
        for user, favourites in enumerate(grouping.favourites(sparse, 3)):
            by_share = sorted(np.flatnonzero(shares[user]), key=lambda group: (-shares[user, group], group))[:3]
            assert [group for group in favourites if group >= 0] == by_share


def test_brands_are_told_apart_within_a_category_only() -> None:
    goods = Catalogue.of(
        pa.table(
            {
                "product_id": [1, 2, 3, 4],
                "category_code": ["a.b", "a.b", "a.c", "a.b"],
                "brand": ["x", "y", "x", "x"],
                "avg_price": [1.0, 1.0, 1.0, 1.0],
                "popularity": [1.0, 1.0, 1.0, 1.0],
                "users": [1, 1, 1, 1],
            }
        )
    )
    assert goods.branded[0] == goods.branded[3]
    assert len(set(goods.branded[:3].tolist())) == 3
