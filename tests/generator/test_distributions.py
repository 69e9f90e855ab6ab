"""A synthetic month of 200,000 events against the measured figures (SPEC D7).

Tolerances are about three times the spread between seeds: so many events come from 14,000 users, and one busy
user moves a small category's share by a third.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spark_apps.generator import GeneratorSpec
from spark_apps.generator.blocks import Events, MonthBlocks
from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.funnel import CART, PURCHASE, VIEW
from spark_apps.generator.tables import TableMaker
from tests.generator.ground_truth import product_weights
from tests.generator.months import Sample

CALIBRATION = load_calibration()
OCTOBER = CALIBRATION.october
WINDOW = CALIBRATION.window


def session_starts(sample: Sample) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows in session order, and where in that order each session starts."""
    order = sample.in_sessions
    session = sample.session[order]
    return order, np.concatenate([[0], np.flatnonzero(np.diff(session)) + 1])


@pytest.mark.parametrize(("kind", "key"), [("view", "views"), ("cart", "carts"), ("purchase", "purchases")])
def test_shares_of_event_types(october: Sample, kind: str, key: str) -> None:
    assert np.mean(october.type == kind) == pytest.approx(OCTOBER[key] / OCTOBER["events"], rel=0.10)


def test_there_are_no_removals_unless_asked_for(october: Sample) -> None:
    assert set(october.type) == {"view", "cart", "purchase"}


@pytest.mark.parametrize(("column", "tolerance"), [("category_code", 0.025), ("brand", 0.015)])
def test_missing_values(october: Sample, column: str, tolerance: float) -> None:
    missing = october.column(column).null_count / len(october.user)
    assert missing == pytest.approx(OCTOBER["missing"][column], abs=tolerance)


def test_events_per_session(october: Sample) -> None:
    lengths = np.bincount(october.session)
    measured = OCTOBER["events_per_session"]
    assert list(np.quantile(lengths, [0.25, 0.5, 0.75])) == [measured["p25"], measured["p50"], measured["p75"]]
    assert lengths.mean() == pytest.approx(measured["mean"], rel=0.03)
    assert lengths.std() == pytest.approx(measured["std"], rel=0.06)


def test_session_minutes(october: Sample) -> None:
    order, starts = session_starts(october)
    second = october.second[order]
    minutes = (np.maximum.reduceat(second, starts) - np.minimum.reduceat(second, starts)) / 60
    assert minutes.mean() == pytest.approx(OCTOBER["session_minutes"]["mean"], rel=0.12)
    assert np.median(minutes) == pytest.approx(OCTOBER["session_minutes"]["median"], rel=0.12)


def test_users_and_their_sessions(october: Sample) -> None:
    users = len(np.unique(october.user))
    sessions = len(np.unique(october.session))
    assert users == pytest.approx(len(october.user) * OCTOBER["users"] / OCTOBER["events"], rel=0.03)
    assert sessions / users == pytest.approx(OCTOBER["sessions"] / OCTOBER["users"], rel=0.05)
    per_user = np.sort(np.unique(october.user, return_counts=True)[1])[::-1]
    assert per_user[: users // 10].sum() > 0.4 * per_user.sum()
    assert np.median(per_user) <= 6


@pytest.fixture(scope="module")
def many_seconds() -> np.ndarray[Any, Any]:
    """Seconds of the month of 1.5 M events."""
    return np.concatenate([events.second for events in MonthBlocks(GeneratorSpec(1_500_000, "2019-10", seed=3))])


def test_hours(many_seconds: np.ndarray[Any, Any]) -> None:
    shares = np.bincount(many_seconds // 3600 % 24, minlength=24) / len(many_seconds)
    measured = np.array(OCTOBER["events_by_hour_utc_0_to_9"]) / OCTOBER["events"]
    np.testing.assert_allclose(shares[:10], measured, rtol=0.06)
    np.testing.assert_allclose(shares[10:15], shares[9], rtol=0.06)
    assert shares[15] > 0.98 * shares.max()
    assert (np.diff(shares[16:]) < 0).all()


def test_days(many_seconds: np.ndarray[Any, Any]) -> None:
    shares = np.bincount(many_seconds // 86_400) / len(many_seconds)
    measured = np.array(OCTOBER["events_by_day_1_to_10"]) / OCTOBER["events"]
    assert len(shares) == 31
    np.testing.assert_allclose(shares[:10], measured, rtol=0.06)
    np.testing.assert_allclose(shares[10:], (1 - measured.sum()) / 21, rtol=0.1)


def test_november_has_its_sale(november: Sample) -> None:
    shares = np.bincount((november.second - november.second[0]) // 86_400) / len(november.user)
    assert sorted(np.argsort(shares)[-3:] + 1) == [15, 16, 17]
    assert shares[14:17].min() > 2.3 * np.median(shares)


def test_the_catalogue_itself_has_the_measured_shares() -> None:
    """By the products' weights, where no draw of users blurs them."""
    truth = product_weights(3, "2019-10")
    weight = truth["weight"].to_numpy() / truth["weight"].to_numpy().sum()
    category, price = truth["category_id"].to_numpy(), truth["price"].cast("float64").to_numpy()
    brands = np.array(truth["brand"].fill_null("").to_pylist())
    for column in ("category_code", "brand"):
        missing = weight[truth[column].is_null().to_numpy(zero_copy_only=False)].sum()
        assert missing == pytest.approx(OCTOBER["missing"][column], abs=0.003)
    ratios = []
    for entry in CALIBRATION.categories[:100]:
        rows = np.flatnonzero(category == entry.category_id)
        share = weight[rows].sum()
        assert share == pytest.approx(entry.share, rel=0.01)
        order = rows[np.argsort(price[rows])]
        at = np.searchsorted(np.cumsum(weight[order]) / share, [0.05, 0.5, 0.95])
        ratios.append(price[order][at] / entry.prices)
        for brand, part in entry.brands.items():
            assert weight[rows][brands[rows] == brand].sum() / share == pytest.approx(part, abs=0.05), brand
    np.testing.assert_allclose(ratios, 1.0, atol=0.45)
    np.testing.assert_allclose(np.median(ratios, axis=0), 1.0, atol=0.02)


def test_category_shares(october: Sample) -> None:
    for category in CALIBRATION.categories[:15]:
        share = np.mean(october.category == category.category_id)
        assert share == pytest.approx(category.share, rel=0.06 if category.share > 0.2 else 0.45), category
    listed = np.isin(october.category, [category.category_id for category in CALIBRATION.categories])
    assert 1 - listed.mean() == pytest.approx(CALIBRATION.tail_share, rel=0.25)


def test_prices_per_category(october: Sample) -> None:
    ratios = []
    for category in CALIBRATION.categories[:40]:
        prices = october.price[october.category == category.category_id]
        ratios.append(np.quantile(prices, [0.05, 0.5, 0.95]) / category.prices)
    np.testing.assert_allclose(ratios, 1.0, atol=0.4)
    np.testing.assert_allclose(np.median(ratios, axis=0), 1.0, atol=0.06)


@pytest.mark.parametrize("kind", ["view", "cart", "purchase"])
def test_mean_prices(october: Sample, kind: str) -> None:
    mean = october.price[october.type == kind].mean()
    assert mean == pytest.approx(OCTOBER["price"][kind]["mean"], rel=0.07)


def test_price_limits(october: Sample) -> None:
    assert october.price.max() <= OCTOBER["price"]["view"]["max"] * 1.01
    assert 0 < np.mean(october.price == 0) < 0.002


def test_a_price_may_be_missing_on_a_view_only() -> None:
    month = MonthBlocks(GeneratorSpec(10, "2019-10", seed=3))
    products = np.arange(50_000, dtype=np.int32)
    nothing = np.zeros(len(products), dtype=np.int64)
    for kind in (VIEW, CART, PURCHASE):
        types = np.full(len(products), kind, dtype=np.int8)
        events = Events(nothing.astype(np.int32), types, products, nothing, nothing.astype(np.uint64))
        cents = TableMaker(month).table(events)["price"].cast("float64").to_numpy()
        assert (cents == 0).any() == (kind == VIEW)


def test_a_price_hardly_moves(october: Sample) -> None:
    shown = october.price > 0
    order = np.lexsort((october.price[shown], october.product[shown]))
    product, price = october.product[shown][order], october.price[shown][order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(product)) + 1])
    ratio = np.maximum.reduceat(price, starts) / np.minimum.reduceat(price, starts)
    assert ratio[np.minimum.reduceat(price, starts) > 5].max() < 1.04
    assert ratio.max() > 1


def test_brands_of_smartphones(october: Sample) -> None:
    phones = CALIBRATION.categories[0]
    brands = np.array(october.column("brand").fill_null("").to_pylist())[october.category == phones.category_id]
    for brand in ("samsung", "apple", "xiaomi", "huawei"):
        assert np.mean(brands == brand) == pytest.approx(phones.brands[brand], abs=0.035), brand


def test_popularity_is_as_uneven_as_measured(october: Sample) -> None:
    rows = np.random.default_rng(0).permutation(len(october.product))[:42_448]
    counts = np.sort(np.unique(october.product[rows], return_counts=True)[1])[::-1]
    measured = CALIBRATION.popularity
    assert len(counts) == pytest.approx(measured["distinct_products_in_42448_events"], rel=0.1)
    for top, share in measured["share_of_events_by_top"].items():
        got = counts[: int(top)].sum() / len(rows)
        assert got == pytest.approx(share, rel=0.35 if int(top) < 10 else 0.12), top


def test_next_events(october: Sample) -> None:
    """Shares among next events, sessions' ends left aside; carts were raised to the month's level."""
    order, starts = session_starts(october)
    kind, product = october.type[order], october.product[order]
    inside = np.ones(len(order), dtype=bool)
    inside[starts] = False
    at = np.flatnonzero(inside)
    before, after = kind[at - 1], kind[at]
    same = product[at - 1] == product[at]
    for first, shares in WINDOW["next_event"].items():
        here = before == first
        assert same[here].mean() == pytest.approx(WINDOW["next_event_on_same_product"][first], abs=0.03)
        for second in ("view", "purchase"):
            wanted = shares[second] / (1 - shares["end"])
            assert np.mean(after[here] == second) == pytest.approx(wanted, abs=0.06), (first, second)
    assert kind[starts].tolist() == ["view"] * len(starts)
    assert same[after == "cart"].mean() > 0.95


def test_sessions_stay_in_one_category(october: Sample) -> None:
    """The figures come from sessions cut at 170 minutes, 3.44 events long; so are ours up to 17 events."""
    lengths = np.bincount(october.session)
    rows = np.flatnonzero(lengths[october.session] <= 17)
    sessions = len(np.unique(october.session[rows]))
    by_category = np.unique(np.stack([october.session[rows], october.category[rows]]), axis=1, return_counts=True)
    by_product = np.unique(np.stack([october.session[rows], october.product[rows]]), axis=1)
    top = np.zeros(len(lengths), dtype=np.int64)
    np.maximum.at(top, by_category[0][0], by_category[1])
    assert len(rows) / sessions == pytest.approx(3.44, rel=0.03)
    share = WINDOW["share_of_session_events_in_its_top_category"]
    assert top.sum() / len(rows) == pytest.approx(share, abs=0.02)
    distinct = by_category[0].shape[1] / sessions
    assert distinct == pytest.approx(WINDOW["distinct_categories_per_session_mean"], abs=0.08)
    distinct = by_product.shape[1] / sessions
    assert distinct == pytest.approx(WINDOW["distinct_products_per_session_mean"], abs=0.08)
