"""What users do, against DuckDB's SQL: on the real rows and on generated ones with removals and holes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spark_apps.analysis.behaviour import describe_behaviour
from spark_apps.generator import GeneratorSpec, write_events
from tests import oracle
from tests.analysis.behaviours import counts_of
from tests.comparing import assert_rows, same

UNITS = {"users": "user_id", "sessions": "user_id, user_session", "pairs": "user_id, product_id"}
FUNNEL = """
with units as (
    select bool_or(event_type = 'view') as v, bool_or(event_type = 'cart') as c, bool_or(event_type = 'purchase') as p
    from events where {condition} group by {unit})
select count(*) filter (v) as viewed, count(*) filter (v and c) as carted, count(*) filter (v and c and p) as purchased,
    count(*) filter (v and p and not c) as purchased_without_cart,
    carted / nullif(viewed, 0) as view_to_cart, purchased / nullif(carted, 0) as cart_to_purchase,
    (purchased + purchased_without_cart) / nullif(viewed, 0) as view_to_purchase,
    count(*) filter (c) as with_cart, count(*) filter (c and not p) as without_purchase,
    without_purchase / nullif(with_cart, 0) as rate
from units
"""
FREQUENCY = """
with users as (select count(distinct {what}) as number from events group by user_id having number > 0)
select count(*) as users, avg(number) as mean, quantile_cont(number, 0.5) as median, quantile_cont(number, 0.9) as p90,
    max(number) as max from users
"""
FREQUENCIES = {"sessions_per_user": "user_session", "days_per_user": "event_time::date"}
SEQUENCES = """
with ordered as (
    select user_id, user_session, event_type, row_number() over moment as place,
        lag(event_type, 1) over moment as before, lag(event_type, 2) over moment as earlier
    from events where user_session is not null
    window moment as (partition by user_id, user_session order by event_time,
        list_position(['view', 'cart', 'remove_from_cart', 'purchase'], event_type))),
kept as (
    select *, row_number() over (partition by user_id, user_session order by place) as step
    from ordered where not coalesce(event_type = before and event_type = earlier, false)),
written as (
    select string_agg(case when step > 8 then '...' else event_type end, '>' order by place) as sequence
    from kept where step <= 9 group by user_id, user_session)
select sequence, count(*) as sessions, count(*) / (select count(*) from written) as share
from written group by sequence order by sessions desc, sequence
"""
RULES = """
with items as (select distinct {basket} as basket, {item} as item from events where {condition}),
baskets as (select basket from items group by basket having count(*) <= 50),
ranked as (
    select {item} as item, row_number() over (order by count(*) desc, {item}) as place
    from events where event_type = '{kind}' and {known} group by {item} qualify place <= 1000),
total as (select count(*) as baskets from baskets),
held as (select basket, item, place from items join baskets using (basket) join ranked using (item)),
alone as (select place, any_value(item) as item, count(*) as baskets from held group by place),
pairs as (
    select one.place as one, other.place as other, count(*) as together
    from held one join held other on one.basket = other.basket and one.place < other.place group by all)
select together, least(a.baskets, b.baskets) as baskets_a, greatest(a.baskets, b.baskets) as baskets_b,
    together / total.baskets as support, together / least(a.baskets, b.baskets) as confidence,
    together * total.baskets / (a.baskets * b.baskets) as lift
from pairs join alone a on a.place = one join alone b on b.place = other, total
where together >= greatest(5, ceil(0.0001 * total.baskets)) and lift > 1
order by round(lift, 9) desc, together desc, one, other limit 20
"""
BASKETS = {
    "viewed_products": ("(user_id, user_session)", "product_id", "view"),
    "bought_products": ("user_id", "product_id", "purchase"),
    "viewed_categories": ("(user_id, user_session)", "category_code", "view"),
    "bought_categories": ("user_id", "category_code", "purchase"),
}
TOP = """
select {key}, count(*) filter (event_type = 'view') as views, count(*) filter (event_type = 'cart') as carts,
    count(*) filter (event_type = 'purchase') as purchases,
    round(coalesce(sum(price) filter (event_type = 'purchase'), 0), 2) as revenue
from events where {key}::varchar <> 'unknown' group by {key} having {measure} > 0
order by {measure} desc, {key} limit 10
"""
KEYS = {"products": "product_id", "categories": "category_code", "brands": "brand"}


@dataclass(frozen=True)
class Log:
    """What was found in a log, and a database of its events."""

    found: dict[str, Any]
    database: oracle.Connection

    def rows(self, query: str) -> list[dict[str, Any]]:
        return oracle.rows(self.database, query)


@pytest.fixture(scope="module", params=["real", "generated"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Log:
    if request.param == "real":
        path: Path = request.getfixturevalue("sample_path")
    else:
        path = tmp_path_factory.mktemp("generated") / "events.csv"
        write_events(GeneratorSpec(60_000, "2019-10", 11, removals=0.3), path)
    folder = tmp_path_factory.mktemp("cleaned")
    counts = counts_of(folder, oracle.cleaned_files(path, folder / "events"))
    return Log(describe_behaviour(counts).figures(), oracle.of_log(path))


@pytest.mark.parametrize("unit", UNITS)
def test_funnel_and_abandonment(log: Log, unit: str) -> None:
    condition = "user_session is not null" if unit == "sessions" else "true"
    [expected] = log.rows(FUNNEL.format(unit=UNITS[unit], condition=condition))
    assert same({**log.found["funnel"][unit], **log.found["cart_abandonment"][unit]}, expected)
    assert expected["purchased"] > 0


@pytest.mark.parametrize("figure", FREQUENCIES)
def test_frequencies(log: Log, figure: str) -> None:
    described = dict(log.found["visit_frequency"][figure])
    assert sum(described.pop("distribution").values()) == described["users"]
    assert same(described, log.rows(FREQUENCY.format(what=FREQUENCIES[figure]))[0])


def test_sequences(log: Log) -> None:
    expected, found = log.rows(SEQUENCES), log.found["sequences"]
    assert found["distinct"] == len(expected)
    assert found["sessions"] == sum(row["sessions"] for row in expected)
    assert_rows(found["top"], expected[:15])
    assert_rows(found["to_purchase"], [row for row in expected if "purchase" in row["sequence"]][:15])


@pytest.mark.parametrize("name", BASKETS)
def test_affinities(log: Log, name: str) -> None:
    basket, item, kind = BASKETS[name]
    known = f"{item}::varchar <> 'unknown'"
    condition = f"event_type = '{kind}' and {known}" + (" and user_session is not null" if kind == "view" else "")
    expected = log.rows(RULES.format(basket=basket, item=item, kind=kind, known=known, condition=condition))
    rules = log.found["affinities"][name]["rules"]
    assert_rows([{key: rule[key] for key in rule if key not in "ab"} for rule in rules], expected, rel=1e-9)
    assert expected or kind == "purchase"


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("by", ["views", "purchases"])
def test_tops(log: Log, kind: str, by: str) -> None:
    expected = log.rows(TOP.format(key=KEYS[kind], measure=by))
    found = log.found["top"][kind][f"by_{by}"]
    assert_rows([{key: row[key] for key in expected[0]} for row in found], expected, rel=1e-9)
