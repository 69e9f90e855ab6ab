"""Users' tastes and the shop's products over the months: what lasts, what comes new, what can be learnt."""

from __future__ import annotations

import numpy as np
import pytest

from spark_apps.generator import GeneratorSpec
from spark_apps.generator.population import user_numbers
from spark_apps.generator.tastes import FAVOURITE_WEIGHTS
from tests.generator.ground_truth import product_weights, user_tastes
from tests.generator.months import Sample, make_sample

SEED = 11


def share_in_favourites(sample: Sample, users: np.ndarray, tastes_of: np.ndarray) -> float:
    """Share of the users' events that fall into the favourite categories of `tastes_of`, user by user."""
    known = np.unique(users)
    rows = np.isin(sample.user, known)
    tastes = user_tastes(SEED, tastes_of)
    favourites = tastes["category_id"].to_numpy().reshape(len(known), -1)
    mine = favourites[np.searchsorted(known, sample.user[rows])]
    return float((mine == sample.category[rows][:, None]).any(axis=1).mean())


def test_tastes_last_from_october_to_november(october: Sample, november: Sample) -> None:
    both = np.intersect1d(october.user, november.user)
    assert len(both) > 5000
    shuffled = np.random.default_rng(0).permutation(both)
    for month in (october, november):
        assert share_in_favourites(month, both, both) > 0.85
        assert share_in_favourites(month, both, shuffled) < 0.45


def test_events_fall_on_the_taste_groups(october: Sample) -> None:
    """Inside a favourite category most looks go to the user's brand and price level, not to others."""
    truth = product_weights(SEED, "2019-10")
    products = truth["product_id"].to_numpy()
    order = np.argsort(products)
    group = truth["taste_group"].to_numpy()[order][np.searchsorted(products[order], october.product)]
    users = np.unique(october.user)
    tastes = user_tastes(SEED, users)
    at = np.searchsorted(users, october.user)
    categories = tastes["category_id"].to_numpy().reshape(len(users), -1)[at]
    groups = tastes["taste_group"].to_numpy().reshape(len(users), -1)[at]
    phones = october.category == 2053013555631882655
    liked = (categories == 2053013555631882655) & phones[:, None]
    hit = ((groups == group[:, None]) & liked).any(axis=1)[liked.any(axis=1)]
    assert hit.mean() > 0.85
    largest = np.unique(group[phones], return_counts=True)[1].max() / phones.sum()
    assert largest < 0.25


def test_who_likes_a_brand_in_one_category_likes_it_in_the_next(october: Sample) -> None:
    tastes = user_tastes(SEED, np.unique(october.user))
    brand = np.array(tastes["brand"].fill_null("").to_pylist()).reshape(-1, len(FAVOURITE_WEIGHTS))
    category = tastes["category_id"].to_numpy().reshape(brand.shape)
    other = (brand[:, 0] == "samsung") & (category[:, 0] != category[:, 1]) & (brand[:, 1] != "")
    others = (brand[:, 0] != "samsung") & (category[:, 0] != category[:, 1]) & (brand[:, 1] != "")
    assert np.mean(brand[other, 1] == "samsung") > 1.5 * np.mean(brand[others, 1] == "samsung")


def test_tastes_are_the_same_whoever_asks_and_in_any_order(october: Sample) -> None:
    users = np.unique(october.user)[:500]
    together = user_tastes(SEED, users)
    backwards = user_tastes(SEED, users[::-1])
    alone = user_tastes(SEED, [int(users[7])])
    size = len(FAVOURITE_WEIGHTS)
    assert alone.equals(together.slice(7 * size, size))
    assert alone.equals(backwards.slice((500 - 8) * size, size))
    assert together["weight"].to_pylist()[:size] == list(FAVOURITE_WEIGHTS)
    assert not user_tastes(SEED, users)["category_id"].equals(user_tastes(SEED, users[1:])["category_id"])


def test_an_id_of_another_seed_is_refused(october: Sample) -> None:
    with pytest.raises(ValueError, match="no user id of seed"):
        user_tastes(SEED, [*np.unique(october.user)[:3], 511_999_999])
    unknown = [number for number in range(512_000_000, 512_000_008) if number not in october.user]
    with pytest.raises(ValueError, match="no user id of seed"):
        user_tastes(SEED, unknown)


def test_a_third_of_novembers_users_are_new(october: Sample, november: Sample) -> None:
    users = np.unique(november.user)
    new = np.mean(~np.isin(users, october.user))
    assert 0.28 < new < 0.40
    numbers = [user_numbers(SEED, np.unique(month.user)) for month in (october, november)]
    assert numbers[0].min() < numbers[1].min()
    assert numbers[0].max() < numbers[1].max()


def test_busy_users_stay_busy(october: Sample, november: Sample) -> None:
    both = np.intersect1d(october.user, november.user)
    before = np.bincount(np.searchsorted(both, october.user[np.isin(october.user, both)]))
    after = np.bincount(np.searchsorted(both, november.user[np.isin(november.user, both)]))
    busy = before >= np.quantile(before, 0.9)
    assert after[busy].mean() > 2 * after[~busy].mean()


def test_november_has_new_products_and_keeps_the_old_ones() -> None:
    old, new = product_weights(SEED, "2019-10"), product_weights(SEED, "2019-11")
    was, now = set(old["product_id"].to_pylist()), new["product_id"].to_pylist()
    assert was < set(now)
    assert len(now) == len(set(now))
    assert 0.005 < len(now) / len(was) - 1 < 0.05
    kept = new.filter([number in was for number in now]).sort_by("product_id")
    assert kept.equals(old.sort_by("product_id"))
    weight = new["weight"].to_numpy()
    assert 0.02 < weight[new["released"].to_numpy() == 1].sum() / weight.sum() < 0.1


def test_product_ids_never_meet_up_to_the_last_month() -> None:
    last = product_weights(SEED, "2029-09")
    ids = last["product_id"].to_numpy()
    assert len(np.unique(ids)) == len(ids) > 300_000
    place = (ids - 1_000_000) // 100_000
    assert len(np.unique(place)) == 541
    assert len(np.unique(np.stack([place, last["category_id"].to_numpy()]), axis=1).T) == 541
    assert np.isin(product_weights(SEED, "2019-10")["product_id"].to_numpy(), ids).all()


def test_new_products_are_sold_in_november_only(october: Sample, november: Sample) -> None:
    truth = product_weights(SEED, "2019-11")
    new = truth["product_id"].to_numpy()[truth["released"].to_numpy() == 1]
    assert not np.isin(october.product, new).any()
    assert 0.02 < np.isin(november.product, new).mean() < 0.1


def test_old_products_keep_category_brand_and_price(october: Sample, november: Sample) -> None:
    def facts(sample: Sample) -> dict[int, tuple[int, str | None]]:
        brands = sample.column("brand").to_pylist()
        return dict(zip(sample.product.tolist(), zip(sample.category.tolist(), brands, strict=True), strict=True))

    before, after = facts(october), facts(november)
    common = before.keys() & after.keys()
    assert len(common) > 10_000
    assert all(before[product] == after[product] for product in common)
    prices = [dict(zip(s.product[s.price > 5], s.price[s.price > 5], strict=True)) for s in (october, november)]
    ratios = [prices[1][product] / prices[0][product] for product in prices[0].keys() & prices[1].keys()]
    assert 0.95 < min(ratios) <= max(ratios) < 1.05


def test_the_number_of_users_can_be_given() -> None:
    sample = make_sample(GeneratorSpec(60_000, "2019-10", SEED, users=2000))
    assert len(np.unique(sample.user)) == pytest.approx(2000, rel=0.06)


def test_removals_follow_carts_on_the_same_product() -> None:
    sample = make_sample(GeneratorSpec(100_000, "2019-10", SEED, removals=0.5))
    order = sample.in_sessions
    kind, product, session = sample.type[order], sample.product[order], sample.session[order]
    at = np.flatnonzero(kind == "remove_from_cart")
    assert (kind[at - 1] == "cart").all()
    assert (session[at - 1] == session[at]).all()
    assert (product[at - 1] == product[at]).all()
    followed = np.flatnonzero(kind[:-1] == "cart")
    followed = followed[session[followed] == session[followed + 1]]
    assert np.mean(kind[followed + 1] == "remove_from_cart") == pytest.approx(0.5, abs=0.05)
