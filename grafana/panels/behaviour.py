"""What shoppers do: events, funnel, sessions, products, categories, prices, hours."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, bargauge, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.panels.flux import Flux, by_hours, by_tag, chosen, in_hours, over_time, points, tag_values
from grafana.panels.frame import framed, variable
from grafana.panels.looks import bars, figure, line, ranking, rows

EVENT_TYPES = chosen("event_type", "event_type")
CATEGORIES = chosen("category", "category")
MOST_WINDOWS = 150
PRODUCT_FIELDS = ("product_id", "category", "brand", "score", "events")
BY_TYPE = "${__field.labels.event_type}"


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "behaviour",
        "Behaviour overview",
        "What shoppers do, batch by batch of the replayed month: how many, how far towards a purchase, and for what.",
        [
            ("", [conversion_now(), cart_rate_now(), revenue_now(), shop_clock(), shoppers(), new_shoppers()]),
            ("Events", [events_per_minute(), funnel()]),
            ("Shoppers", [conversion(), active_users(), session_length(), session_size(), prices()]),
            ("Products and categories", [top_products(), top_categories(), category_activity()]),
            ("Time", [hours(), revenue()]),
        ],
        [
            variable("event_type", "Event type", "Kinds of events.", tag_values("user_behavior", "event_type")),
            variable("category", "Category", "First part of the category code.", str(categories())),
        ],
    )


def categories() -> object:
    """The categories that were among a batch's ten in the range."""
    seen = by_hours("category_popularity", "category").keep("_value").grouped()
    return seen.then("distinct()").sorted("_value", descending=False)


def shop_clock() -> stat.Panel:
    """The original time that the replay has reached."""
    query = over_time("user_activity", "event_clock", function="last")
    query = query.then("map(fn: (r) => ({_time: r._time, _value: float(v: r.event_clock) * 1000.0}))")
    return figure(
        "Shop clock",
        "Original time (UTC) of the last event read. The replay runs faster than November did.",
        "dateTimeAsIso",
        query,
    )


def shoppers() -> stat.Panel:
    """Users of the last batch."""
    return figure(
        "Shoppers",
        "Distinct users of the newest batch, new ones included.",
        "short",
        over_time("user_activity", "users", function="last"),
    )


def new_shoppers() -> stat.Panel:
    """Users never seen before the last batch."""
    return figure(
        "New shoppers",
        "Users of the newest batch that were never seen before it.",
        "short",
        over_time("user_activity", "new_users", function="last"),
    )


def conversion_now() -> stat.Panel:
    """Purchases per view of the last batch."""
    return figure(
        "Conversion",
        "Purchases per view in the newest batch. October of the real log: 1.8 %.",
        "percentunit",
        over_time("user_activity", "conversion", function="last"),
        decimals=2,
    )


def cart_rate_now() -> stat.Panel:
    """Carts per view of the last batch."""
    return figure(
        "Cart rate",
        "Products put in the cart per view in the newest batch. October of the real log: 2.3 %.",
        "percentunit",
        over_time("user_activity", "cart_rate", function="last"),
        decimals=2,
    )


def revenue_now() -> stat.Panel:
    """Money made within the range."""
    return figure(
        "Revenue",
        "Sum of the prices of all purchases within the time range.",
        "currencyUSD",
        over_time("user_activity", "revenue", function="sum"),
        calculation="sum",
    )


def events_per_minute() -> timeseries.Panel:
    """Events by type."""
    query = points("user_behavior", "events").where(EVENT_TYPES).in_whole_windows().window("sum").per_minute()
    return line(
        "Events per minute",
        "Events read per minute of real time, by type; whole minutes only. Views are by far the most: choose other "
        "event types above to see those.",
        "short",
        query.keep("_time", "_value", "event_type"),
        name=BY_TYPE,
        width=16,
        interval="1m",
        stacked=True,
    )


def funnel() -> bargauge.Panel:
    """Views, carts and purchases within the range."""
    steps = 'r.event_type == "view" or r.event_type == "cart" or r.event_type == "purchase"'
    query = points("user_behavior", "events").where(steps).then("sum()").grouped().keep("event_type", "_value")
    return ranking(
        "Funnel",
        "From seeing to buying: events of each step within the time range. Carts lack what was bought without one.",
        "short",
        query.sorted("_value"),
        "event_type",
    )


def conversion() -> timeseries.Panel:
    """Purchases and carts per view over time."""
    return line(
        "Conversion and cart rate",
        "Purchases and carts per view. A fall of both at once points at the data, of one at the shop.",
        "percentunit",
        over_time("user_activity", "conversion", "cart_rate"),
        names={"conversion": "Purchases per view", "cart_rate": "Carts per view"},
    )


def active_users() -> timeseries.Panel:
    """Users and sessions of each batch."""
    return line(
        "Users and sessions per batch",
        "Distinct users, those new among them, and sessions, as a batch has them. New users become fewer as the "
        "month goes on.",
        "short",
        over_time("user_activity", "users", "new_users", "sessions"),
        names={"users": "Users", "new_users": "New users", "sessions": "Sessions"},
    )


def session_length() -> timeseries.Panel:
    """Minutes and events of a session within a batch."""
    return line(
        "Session length",
        "Mean minutes from first to last event of a session, with what it has in the batch. Sessions cut by the end of "
        "a batch look shorter than they were.",
        "m",
        over_time("user_activity", "session_minutes_mean"),
        names={"session_minutes_mean": "Minutes"},
        width=6,
    )


def session_size() -> timeseries.Panel:
    """Events of a session within a batch."""
    return line(
        "Session size",
        "Mean events of a session, with what it has in the batch. October of the real log has 4.6 in whole sessions.",
        "none",
        over_time("user_activity", "session_events_mean"),
        names={"session_events_mean": "Events"},
        width=6,
    )


def prices() -> timeseries.Panel:
    """The mean price of viewed, carted and bought products."""
    return line(
        "Price level",
        "Mean price of the products viewed, put in the cart and bought.",
        "currencyUSD",
        by_tag("user_behavior", "price_mean", "event_type", condition=EVENT_TYPES),
        name=BY_TYPE,
        width=12,
    )


def products_query() -> Flux:
    """The ten products with most points."""
    query = by_hours("product_popularity", *PRODUCT_FIELDS).wide().where(CATEGORIES)
    query = query.grouped("product_id", "category", "brand").then(
        "reduce(identity: {score: 0.0, events: 0.0}, fn: (r, accumulator) => ({"
        "score: accumulator.score + float(v: r.score), events: accumulator.events + float(v: r.events)}))"
    )
    return query.grouped().sorted("score").then("limit(n: 10)").keep(*PRODUCT_FIELDS)


def top_products() -> table.Panel:
    """The products with most points within the range."""
    heads = {"product_id": "Product", "category": "Category", "brand": "Brand", "score": "Points", "events": "Events"}
    return rows(
        "Top products",
        "Points (3 a purchase, 2 a cart, 1 a view) and events, added up over the batches in whose ten a product was; "
        "of whole hours the fifty with most points.",
        "locale",
        products_query(),
        heads,
        {"product_id": "none"},
        path="category",
        width=24,
        height=12,
    )


def categories_query() -> Flux:
    """Events of categories, most first."""
    query = by_hours("category_popularity", "category", "events").wide().where(CATEGORIES)
    query = query.grouped("category").then('sum(column: "events")').grouped().keep("category", "events")
    return query.then('rename(columns: {events: "_value"})').sorted("_value")


def top_categories() -> barchart.Panel:
    """The categories with most events within the range."""
    panel = bars(
        "Top categories",
        "Events of each category, over the batches in whose ten it was; the fifteen with most.",
        "short",
        categories_query().then("limit(n: 15)").named("events"),
        {"events": "Events"},
        width=24,
        lying=True,
    )
    return panel.show_value(common_models.VisibilityMode.ALWAYS)


def revenue_query() -> Flux:
    """Revenue per minute of categories, in whole windows."""
    query = in_hours("category_popularity", "category", "revenue").wide().where(CATEGORIES)
    query = query.grouped("category").then('rename(columns: {revenue: "_value"})')
    query = query.then("aggregateWindow(every: every, fn: sum, createEmpty: false)").per_minute("every")
    return query.keep("_time", "_value", "category")


def category_activity() -> timeseries.Panel:
    """Revenue of categories over time."""
    panel = line(
        "Revenue by category",
        "Money made per minute of real time with each of a batch's ten categories; whole minutes only, over more than "
        "a day whole hours.",
        "currencyUSD",
        revenue_query(),
        name="${__field.labels.category}",
        width=24,
        interval="1m",
        stacked=True,
    )
    # sums of what was first brought together take their time for each window of each category
    return panel.max_data_points(MOST_WINDOWS)


def hours() -> barchart.Panel:
    """Events by the hour of the day in which they happened."""
    query = points("user_activity", "hour", "events").wide().grouped("hour").then('sum(column: "events")').grouped()
    clock = '(if r.hour < 10 then "0" else "") + string(v: r.hour)'
    query = query.sorted("hour", descending=False)
    return bars(
        "Hour of day",
        "Events by the hour (UTC) of original time that a batch ended in, within the time range. Nights are quiet.",
        "short",
        query.then(f"map(fn: (r) => ({{clock: {clock}, events: r.events}}))"),
        {"events": "Events"},
    )


def revenue() -> timeseries.Panel:
    """Money made per minute."""
    query = points("user_activity", "revenue").in_whole_windows().window("sum").per_minute().keep("_time", "_value")
    return line(
        "Revenue per minute",
        "Sum of the prices of purchases per minute of real time; whole minutes only.",
        "currencyUSD",
        query,
        name="Revenue",
        interval="1m",
    )
