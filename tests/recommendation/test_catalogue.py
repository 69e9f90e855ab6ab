"""Products by their content terms, against scikit-learn's TF-IDF and by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from spark_apps.recommendation.catalogue import PRICE_BANDS, Catalogue
from tests.recommendation.catalogues import catalogue, products


def terms_of(row: dict[str, object], band: int) -> list[str]:
    """A product's terms as text, straight from the definition."""
    code, brand = str(row["category_code"]), str(row["brand"])
    parts = [] if code == "unknown" else code.split(".")
    terms = ["c:" + ".".join(parts[:level]) for level in range(1, min(3, len(parts)) + 1)]
    if brand != "unknown":
        terms.append("b:" + brand)
        if parts:
            terms.append(f"cb:{code}/{brand}")
    if band >= 0:
        terms.append(f"p:{code}/{band}")
    return terms


def test_cosines_are_those_of_scikit_learn() -> None:
    table = products(200)
    found = Catalogue.of(table)
    documents = [terms_of(row, band) for row, band in zip(table.to_pylist(), found.price_band, strict=True)]
    expected = TfidfVectorizer(analyzer=lambda terms: terms).fit_transform(documents)
    np.testing.assert_allclose(
        (found.matrix @ found.matrix.T).toarray(), (expected @ expected.T).toarray(), rtol=1e-5, atol=1e-6
    )


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = products(50)
    mixed = table.take(pa.array(np.random.default_rng(5).permutation(50)))
    one, other = Catalogue.of(table), Catalogue.of(mixed)
    for name in ("ids", "terms", "weights", "content_class", "price_band", "popularity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def shelf(rows: list[tuple[int, str, str, float | None, float]]) -> Catalogue:
    names = ("product_id", "category_code", "brand", "avg_price", "popularity")
    columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    types = (pa.int64(), pa.string(), pa.string(), pa.float64(), pa.float64())
    arrays = {name: pa.array(columns[name], kind) for name, kind in zip(names, types, strict=True)}
    return Catalogue.of(pa.table({**arrays, "users": pa.array([1] * len(rows))}))


def test_price_bands_are_fifths_of_the_category_s_prices() -> None:
    rows = [(n, "a", "unknown", float(n), 0.0) for n in range(10)]
    rows += [(n, "b", "unknown", float(n), 0.0) for n in range(10, 12)] + [(12, "b", "unknown", None, 0.0)]
    assert shelf(rows).price_band.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 2, -1]


def test_equal_prices_share_a_band() -> None:
    rows = [(n, "a", "unknown", 5.0 if n < 8 else 9.0, 0.0) for n in range(10)]
    assert shelf(rows).price_band.tolist() == [0] * 8 + [4] * 2


def test_a_product_of_which_nothing_is_known_looks_like_nothing() -> None:
    found = shelf([(1, "unknown", "unknown", None, 3.0), (2, "a", "x", 5.0, 1.0)])
    assert (found.matrix @ found.matrix.T).toarray().round(6).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_a_class_keeps_its_most_popular_products() -> None:
    rows = [(n, "a" if n < 5 else "b", "x", 1.0, float(n % 3)) for n in range(7)]
    found = shelf(rows)
    assert found.popular_in_class(2).tolist() == [[2, 1], [5, 6]]
    assert found.popular_in_class(4).tolist() == [[2, 1, 4, 0], [5, 6, -1, -1]]
    assert found.most_popular.tolist() == [2, 5, 1, 4, 0, 3, 6]


def test_an_empty_catalogue_holds_nothing() -> None:
    found = Catalogue.of(products(0))
    assert len(found) == 0 and not found.places(np.array([3]))[1].any()


@given(st.integers(1, 60), st.integers(0, 10))
def test_every_product_is_in_one_class_and_at_its_place(number: int, seed: int) -> None:
    found = catalogue(number, seed)
    places, known = found.places(found.ids)
    assert known.all() and places.tolist() == list(range(number))
    assert not found.places(found.ids + 1)[1].any()
    listed = found.popular_in_class(number)
    assert sorted(listed[listed >= 0].tolist()) == list(range(number))
    assert found.price_band.max(initial=-1) < PRICE_BANDS
    lengths = np.linalg.norm(found.weights, axis=1)
    assert all(abs(length - 1) < 1e-5 or length == 0 for length in lengths)


def test_prices_that_differ_by_the_order_of_adding_share_a_band() -> None:
    goods = products(6)
    for price in (19.9, 0.1 + 0.2):
        alike = pa.array([price, np.nextafter(price, 99), np.nextafter(price, 0), 500.0, 600.0, 700.0])
        described = goods.set_column(3, "avg_price", alike).set_column(1, "category_code", pa.array(["a"] * 6))
        assert len(set(Catalogue.of(described).price_band[:3].tolist())) == 1
