"""The same figures by other means: DuckDB's SQL over the raw log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from spark_apps.engine.base import Relation
from spark_apps.engine.database import Database, Limits
from spark_apps.engine.published import stored_schema
from spark_apps.ingestion.lines import lines_of, read_lines
from spark_apps.schemas import CSV_COLUMNS
from spark_apps.storage import write_parquet
from spark_apps.tables import EVENTS

_TYPED = """
    strptime(event_time, '%Y-%m-%d %H:%M:%S UTC') as event_time, product_id::bigint as product_id,
    category_id::bigint as category_id, price::double as price, user_id::bigint as user_id
"""

_CLEAN = """
create view events as select
    event_time, event_type, product_id, category_id,
    coalesce(category_code, 'unknown') as category_code, coalesce(brand, 'unknown') as brand,
    case when price > 0 then price end as price, user_id, user_session
from logged
"""

USER_FEATURES = """
with hours as (select user_id, hour(event_time) as hour, count(*) as events from events group by all),
spans as (
    select user_id, date_diff('second', min(event_time), max(event_time)) / 60.0 as minutes
    from events where user_session is not null group by user_id, user_session),
sessions as (select user_id, count(*) as sessions, avg(minutes) as minutes from spans group by user_id)
select user_id,
    date_diff('day', max(event_time)::date, (select max(event_time)::date from events))::int as recency,
    count(distinct event_time::date) as frequency,
    coalesce(sum(price) filter (event_type = 'purchase'), 0) as monetary,
    count(*) as total_events,
    count(*) filter (event_type = 'view') as views,
    count(*) filter (event_type = 'cart') as carts,
    count(*) filter (event_type = 'purchase') as purchases,
    count(*) filter (event_type = 'remove_from_cart') as removals,
    count(distinct product_id) as unique_products,
    count(distinct category_code) as unique_categories,
    count(distinct brand) as unique_brands,
    avg(price) as avg_price,
    case when views > 0 then purchases / views else 0 end::double as conversion_rate,
    case when carts > purchases then 1 - purchases / carts else 0 end::double as cart_abandonment,
    coalesce(any_value(sessions.sessions), 0) as sessions,
    any_value(sessions.minutes) as mean_session_minutes,
    strftime(min(event_time), '%Y-%m-%d %H:%M:%S') as first_seen,
    strftime(max(event_time), '%Y-%m-%d %H:%M:%S') as last_seen,
    any_value((select arg_max(hour, (hours.events, -hour)) from hours where hours.user_id = events.user_id))::int
        as preferred_hour
from events left join sessions using (user_id)
group by user_id order by user_id
"""

PRODUCT_FEATURES = """
with described as (
    select product_id, last(category_code order by event_time, category_code, brand) as category_code,
        last(brand order by event_time, category_code, brand) as brand
    from events group by product_id),
counted as (
    select product_id, count(*) as events,
        count(*) filter (event_type = 'view') as views,
        count(*) filter (event_type = 'cart') as carts,
        count(*) filter (event_type = 'purchase') as purchases,
        count(distinct user_id) as unique_users, avg(price) as avg_price,
        3 * purchases + 2 * carts + views as points
    from events group by product_id),
met as (select distinct user_id, product_id from events)
select product_id, events, views, carts, purchases, unique_users, avg_price,
    split_part(category_code, '.', 1) as category, category_code, brand,
    case when views > 0 then purchases / views else 0 end::double as conversion,
    (points / unique_users)::double as popularity,
    (points + 20 * sum(points) over () / (select count(*) from met)) / (unique_users + 20) as popularity_smoothed
from counted join described using (product_id) order by product_id
"""

INTERACTIONS = """
select user_id, product_id,
    least(10, sum(case event_type when 'view' then 1 when 'cart' then 3 when 'purchase' then 5 else -1 end))::double
        as score,
    count(*) as interaction_count, count(*) filter (event_type = 'purchase') as purchases,
    strftime(max(event_time), '%Y-%m-%d %H:%M:%S') as last_time
from events group by all order by user_id, product_id
"""


Connection = duckdb.DuckDBPyConnection


def of_log(path: Path) -> Connection:
    """Returns a database with the views `logged` (the log as it is, text parsed) and `events` (cleaned)."""
    database = duckdb.connect()
    columns = {name: "varchar" for name in CSV_COLUMNS}
    texts = f"read_csv('{path}', columns = {columns}, header = true, auto_detect = false)"
    database.execute(f"create table logged as select * replace ({_TYPED}) from {texts}")
    database.execute(_CLEAN)
    return database


def of_events(events: pa.Table) -> Connection:
    """Returns a database with a table `events` of these cleaned events."""
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    database.register("given", events)
    database.execute("create table events as select * replace (event_time::timestamp as event_time) from given")
    return database


def rows(database: Connection, query: str) -> list[dict[str, Any]]:
    """Returns a query's rows as dicts."""
    found = database.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def cleaned_files(log: Path, folder: Path) -> Relation:
    """Writes a log's usable events as a file in a folder that is not there, and returns them as an input of units."""
    _, _, below = log.read_bytes().partition(b"\n")
    with Database(Limits(1, 256 << 20, folder.parent / "spill")) as database:
        events = read_lines(lines_of(below), None, lambda: database).events
    columns = stored_schema(EVENTS)
    write_parquet(folder / "events.parquet", events.select(columns.names).cast(columns))
    return Relation.of(folder, columns)
