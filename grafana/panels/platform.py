"""The platform: whether the stream keeps up, where its time goes, and what InfluxDB holds."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.panels.flux import latest, over_time, points
from grafana.panels.frame import framed
from grafana.panels.looks import below, figure, line, ranking, rows, with_limit
from grafana.panels.realtime import MOST_LATENCY, MOST_SECONDS


def dashboard() -> Dashboard:
    """Returns the dashboard."""
    return framed(
        "platform",
        "Platform",
        "Whether the machines keep up with the shop.",
        [
            ("", [slowest_tenth(), slowest_wait(), batches(), volume(), new_products()]),
            ("Stream", [percentiles(), throughput(), step_times(), step_table()]),
        ],
    )


def slowest_tenth() -> stat.Panel:
    """The 95th percentile of the batch time."""
    return figure(
        "Batch time, 95 %",
        "95 of 100 batches within the time range took no longer. Limit: 5 s.",
        "s",
        points("pipeline_health", "seconds").then('quantile(q: 0.95, method: "exact_mean")').keep("_value"),
        steps=below(0.8 * MOST_SECONDS, MOST_SECONDS),
        decimals=1,
        width=5,
    )


def slowest_wait() -> stat.Panel:
    """The 95th percentile of the latency."""
    return figure(
        "Drop to commit, 95 %",
        "95 of 100 files within the time range waited no longer. Limit: 10 s.",
        "s",
        points("pipeline_health", "latency").then('quantile(q: 0.95, method: "exact_mean")').keep("_value"),
        steps=below(0.8 * MOST_LATENCY, MOST_LATENCY),
        decimals=1,
        width=5,
    )


def batches() -> stat.Panel:
    """Batches within the range."""
    return figure(
        "Batches",
        "Batches whose files were dropped within the time range: six a minute at the default interval.",
        "short",
        points("pipeline_health", "batch").then("count()").keep("_value"),
        width=4,
    )


def volume() -> stat.Panel:
    """Bytes read within the range."""
    return figure(
        "Read",
        "Size of the files read within the time range.",
        "decbytes",
        over_time("pipeline_health", "bytes", function="sum"),
        calculation="sum",
        width=5,
    )


def new_products() -> stat.Panel:
    """Products seen for the first time within the range."""
    return figure(
        "New products",
        "Products seen for the first time within the time range: the models know them by content only.",
        "short",
        over_time("pipeline_health", "new_products", function="sum"),
        calculation="sum",
        width=5,
    )


def percentiles() -> timeseries.Panel:
    """Median and slowest batch over time."""
    query = points("pipeline_health", "seconds", "latency").window("median").wide().keep("_time", "seconds", "latency")
    panel = line(
        "Typical times",
        "Median batch time and median wait from drop to commit, by minute. A slow rise over hours means that something "
        "grows with the data.",
        "s",
        query,
        names={"seconds": "Batch time", "latency": "Drop to commit"},
        interval="1m",
    )
    return with_limit(panel, MOST_LATENCY)


def throughput() -> timeseries.Panel:
    """Bytes read per minute."""
    query = points("pipeline_health", "bytes").in_whole_windows().window("sum").per_minute().keep("_time", "_value")
    return line(
        "Read per minute",
        "Size of the files read per minute; whole minutes only.",
        "decbytes",
        query,
        name="Read",
        interval="1m",
    )


def step_times() -> bargauge.Panel:
    """Mean time of each step."""
    query = points("pipeline_steps", "seconds").then("mean()").grouped().keep("step", "_value").sorted("_value")
    return ranking("Mean time of steps", "Seconds that each step takes, mean of the time range.", "s", query, "step")


def step_table() -> table.Panel:
    """Each step's newest time."""
    query = latest("pipeline_steps", "seconds", keys=("step",)).sorted("seconds")
    return rows(
        "Steps of the newest batch",
        "Seconds of each step, longest first.",
        "s",
        query,
        {"step": "Step", "seconds": "Seconds", "_time": "Batch dropped at"},
        {"_time": "dateTimeAsIso"},
        width=16,
    )
