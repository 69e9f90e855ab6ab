"""RFM scores and names of users."""

from __future__ import annotations

from itertools import product

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.segmentation.distributions import CELLS, count_cells, distributions_of
from spark_apps.segmentation.inputs import FEATURES
from spark_apps.segmentation.rfm import NAMES, RULES, SCORED, rfm_cuts, rfm_scores

EVEN = [1.0, 2.0, 3.0, 4.0]
CUTS = {"recency": EVEN, "frequency": EVEN, "monetary": EVEN}
Users = list[tuple[int, int, int, float]]
Rows = list[tuple[int, int, int, int, str]]


def values_of(users: Users) -> dict[str, np.ndarray]:
    columns = np.array(users, np.float64).reshape(-1, 4)
    return {name: columns[:, place] for place, name in enumerate(SCORED, start=1)}


def cuts_of(users: Users) -> dict[str, list[float]]:
    values, clusters = values_of(users), np.array([user % 3 for user, *_ in users], np.intp)  # cuts don't depend on it
    points = np.column_stack([values.get(name, np.zeros(len(users))) for name in FEATURES])
    return rfm_cuts(distributions_of(pa.concat_tables([CELLS.empty_table(), *count_cells(points, clusters)])))


def scored(users: Users, cuts: dict[str, list[float]]) -> Rows:
    found = rfm_scores(values_of(users), cuts)
    columns = (found.recency, found.frequency, found.monetary)
    ids = [user for user, *_ in users]
    return list(zip(ids, *(column.tolist() for column in columns), found.segments().to_pylist(), strict=True))


def test_scores_count_the_cuts_below_a_value_and_recency_the_other_way() -> None:
    users = [
        (1, 0, 5, 500.0),
        (2, 1, 1, 0.0),
        (3, 2, 2, 1.5),
        (4, 3, 3, 3.0),
        (5, 4, 4, 4.0),
        (6, 5, 1, 0.0),
        (7, 90, 90, 1e9),
        (8, 0, 1, 0.0),
        (9, 1, 5, 0.0),
    ]
    assert scored(users, CUTS) == [
        (1, 5, 5, 5, "Champions"),
        (2, 5, 1, 1, "New Customers"),
        (3, 4, 2, 2, "Potential Loyalists"),
        (4, 3, 3, 3, "Need Attention"),
        (5, 2, 4, 4, "At Risk"),
        (6, 1, 1, 1, "Lost"),
        (7, 1, 5, 5, "Cannot Lose Them"),
        (8, 5, 1, 1, "New Customers"),
        (9, 5, 5, 1, "Potential Loyalists"),
    ]


def test_all_eleven_names_are_given_and_each_field_its_rule_s() -> None:
    users = [
        (number, *scores) for number, scores in enumerate(product(range(1, 6), range(1, 6), map(float, range(1, 6))))
    ]
    found = scored(users, CUTS)
    assert {name for *_, name in found} == set(NAMES)
    for _, recency, frequency, monetary, name in found:
        assert name == RULES[recency - 1][(frequency + monetary + 1) // 2 - 1]


def test_cuts_of_users_are_those_of_its_distributions() -> None:
    users = [(user, user % 5, 1, 0.0 if user < 900 else float(user - 899)) for user in range(1000)]
    cuts = cuts_of(users)
    assert cuts["recency"] == [0.0, 1.0, 2.0, 3.0]
    assert cuts["frequency"] == []
    assert cuts["monetary"] == pytest.approx([0.0, 25.0, 50.0, 75.0], abs=1)


def test_most_users_without_a_purchase_leave_no_bucket_empty() -> None:
    users = [(user, user % 31, user % 7 + 1, max(0.0, user - 950.0)) for user in range(1000)]
    found = scored(users, cuts_of(users))
    for place in (1, 2, 3):
        assert {row[place] for row in found} == {1, 2, 3, 4, 5}
    assert sum(row[3] == 1 for row in found) == 951


def test_a_dozen_buyers_among_thousands_fill_four_buckets() -> None:
    users = [(user, 1, 1, max(0.0, user - 19_988.0)) for user in range(20_000)]
    spent = {row[0]: row[3] for row in scored(users, cuts_of(users)) if row[3] > 1}
    assert list(spent) == list(range(19_989, 20_000))
    assert {spent[user] for user in spent} == {2, 3, 4, 5}
    assert list(spent.values()) == sorted(spent.values())


def test_users_who_are_all_alike_get_one_name() -> None:
    users = [(user, 3, 2, 7.0) for user in range(10)]
    assert {row[1:] for row in scored(users, cuts_of(users))} == {(5, 1, 1, "New Customers")}


def test_no_users_have_cuts_that_can_be_used_later() -> None:
    cuts = cuts_of([])
    assert scored([(1, 0, 1, 0.0)], cuts) == [(1, 5, 1, 1, "New Customers")]
